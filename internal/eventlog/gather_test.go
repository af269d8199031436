package eventlog

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// slow makes each write of a replica take that long, and counts them.
func slow(r *replica, write time.Duration) *puts {
	writes := &puts{}
	r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		if op.Kind == faultblob.Put {
			writes.add(op)
			time.Sleep(write) // in the bubble's time
		}
		return faultblob.None
	})
	return writes
}

// clients send so many commands each, the next when the one before is answered, after a pause.
func clients(t *testing.T, r *replica, n, each int, pause time.Duration) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for range each {
				r.do(t, say(fmt.Sprint(i)))
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()
}

// Ensure that clients that come again at each answer share one commit, not two in turns, on a store that
// takes its time; also where they need a moment to come.
func TestGatherCrowd(t *testing.T) {
	for name, c := range map[string]struct{ write, pause time.Duration }{
		"at once":        {20 * time.Millisecond, 0},
		"after a moment": {20 * time.Millisecond, 5 * time.Millisecond},
		"far store":      {200 * time.Millisecond, 15 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, faultblob.New().Store(true))
				writes := slow(r, c.write)
				began := time.Now()
				const rounds = 20
				clients(t, r, 64, rounds, c.pause)
				// The first commit may be of whoever came first alone.
				if n := len(writes.data); n > rounds+2 {
					t.Errorf("%d commits for %d commands of each client", n, rounds)
				}
				if took, most := time.Since(began), (rounds+2)*(c.write+c.pause); took > most {
					t.Errorf("it took %s, more than %s", took, most)
				}
			})
		})
	}
}

// Ensure that nobody who is alone waits for company, also after a crowd was there.
func TestGatherAlone(t *testing.T) {
	const write = 20 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		r := start(t, faultblob.New().Store(true))
		slow(r, write)
		for range 2 {
			began := time.Now()
			clients(t, r, 1, 10, 0)
			if took := time.Since(began); took != 10*write {
				t.Errorf("10 commands took %s", took)
			}
			clients(t, r, 30, 1, 0)
			time.Sleep(time.Second)
		}
	})
}

// Ensure that a wait in vain is not repeated for some time: each time a crowd is answered and goes, and one
// comes in the moment in which the crowd is waited for.
func TestGatherInVain(t *testing.T) {
	const write = 20 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		r := start(t, faultblob.New().Store(true))
		writes := slow(r, write)
		began := time.Now()
		const rounds = 1 + gatherPause
		for range rounds {
			clients(t, r, 11, 1, 0)
			clients(t, r, 1, 1, 0)
			time.Sleep(time.Second)
		}
		waited := time.Since(began) - rounds*time.Second - time.Duration(len(writes.data))*write
		if waited != write/gatherShare {
			t.Errorf("they waited %s in %d commits, not just the first time", waited, len(writes.data))
		}
	})
}

// Ensure that a fast store is not waited for, and that closing ends a wait.
func TestGatherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, faultblob.New().Store(true))
		writes := slow(r, gatherFrom-1)
		began := time.Now()
		for range 5 {
			clients(t, r, 5, 1, 0)
		}
		if took := time.Since(began); took != time.Duration(len(writes.data))*(gatherFrom-1) {
			t.Errorf("%d commits took %s", len(writes.data), took)
		}
		slow(r, 40*time.Millisecond)
		clients(t, r, 5, 1, 0)
		began = time.Now()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("closing took %s", took)
		}
	})
}
