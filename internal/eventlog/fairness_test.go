package eventlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// TestNobodyStarves has three replicas write at once for a minute, as fast as a store lets them that takes 8 to
// 24 ms for a read and 20 to 60 ms for a write: no write is refused, each is there, and no replica has much
// less than its share.
func TestNobodyStarves(t *testing.T) {
	const (
		replicas = 3
		writers  = 2 // of each
		pace     = 10 * time.Millisecond
	)
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := faultblob.New()
				var done [replicas]int
				var slowest time.Duration
				var mu sync.Mutex
				var all sync.WaitGroup
				end := time.Now().Add(time.Minute)
				for i := range replicas {
					store := b.Store(true)
					r := start(t, store)
					late := latency(rand.New(rand.NewPCG(seed, uint64(i))))
					store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault { late(op); return faultblob.None })
					store.OnAnswer(func(_ context.Context, op faultblob.Op) { late(op) })
					for w := range writers {
						all.Go(func() {
							for n := 0; time.Now().Before(end); n++ {
								time.Sleep(pace)
								began := time.Now()
								if err := r.Submit(t.Context(), say(fmt.Sprint(i, w, n))); err != nil {
									t.Errorf("replica %d after %v: %v", i, time.Since(began), err)
									return
								}
								mu.Lock()
								done[i]++
								slowest = max(slowest, time.Since(began))
								mu.Unlock()
							}
						})
					}
				}
				all.Wait()
				sum := 0
				for _, n := range done {
					sum += n
				}
				for i, n := range done {
					if n < sum/replicas*2/3 {
						t.Errorf("replica %d did %d of %d writes", i, n, sum)
					}
				}
				if len(checked(t, b)) != sum {
					t.Errorf("%d writes were answered, and %d events are there", sum, len(checked(t, b)))
				}
				t.Logf("%v writes, the slowest took %v", done, slowest)
			})
		})
	}
}

// latency returns what waits for as long as one way to the store takes.
func latency(rng *rand.Rand) func(faultblob.Op) {
	var mu sync.Mutex
	return func(op faultblob.Op) {
		least := 4 * time.Millisecond
		if op.Kind == faultblob.Put {
			least = 10 * time.Millisecond
		}
		mu.Lock()
		d := least + time.Duration(rng.Int64N(int64(2*least)))
		mu.Unlock()
		time.Sleep(d)
	}
}
