package eventlog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

var chaosSeeds = flag.Int("chaos.seeds", 40, "seeds of TestChaos; one that fails is named and repeats with -chaos.from")
var chaosFrom = flag.Uint64("chaos.from", 1, "the first seed of TestChaos")

// Three replicas on one bucket, clients at each, every kind of fault at every call, clocks hours apart and
// days passing. Whatever happens: an acknowledged command is in the log exactly once, a refused one is not, a
// thing has one holder at a time, and a read shows all that was acknowledged before it began.
func TestChaos(t *testing.T) {
	for seed := *chaosFrom; seed < *chaosFrom+uint64(*chaosSeeds); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

// record is what a client knows of a command of its own.
type record struct {
	*act
	err error
}

// world is one run: a bucket, its replicas, and what the clients were told.
type world struct {
	bucket   *faultblob.Bucket
	replicas []*replica

	mu      sync.Mutex
	rng     *rand.Rand
	quiet   bool // no faults
	records []record
	acked   int
}

func chaos(t *testing.T, seed uint64) {
	w := &world{bucket: faultblob.New(), rng: rand.New(rand.NewPCG(seed, 0)), quiet: true}
	for range 3 {
		s := w.bucket.Store(true)
		skew := time.Duration(w.rng.IntN(40)-20) * time.Hour
		s.SetClock(func() time.Time { return time.Now().Add(skew) })
		s.OnCall(w.fault)
		s.OnAnswer(func(ctx context.Context, _ faultblob.Op) { w.delay(ctx) })
		w.replicas = append(w.replicas, start(t, s))
	}
	w.setQuiet(false)
	var wg sync.WaitGroup
	for c := range 6 {
		wg.Go(func() { w.client(t, c, rand.New(rand.NewPCG(seed, uint64(c+1)))) })
	}
	wg.Wait()
	w.setQuiet(true)
	for _, r := range w.replicas {
		r.store.Release()
		must(t, r.Sync(t.Context()), nil)
	}
	log := checked(t, w.bucket)
	judge(t, log, w.records)
	for _, r := range w.replicas {
		equal(t, "a replica's events", actors(r.desk.own()), actors(log))
	}
}

func (w *world) setQuiet(quiet bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = quiet
}

func (w *world) delay(ctx context.Context) {
	w.mu.Lock()
	d := time.Duration(w.rng.IntN(30)) * time.Millisecond
	w.mu.Unlock()
	_ = pause(ctx, d)
}

func (w *world) fault(ctx context.Context, op faultblob.Op) faultblob.Fault {
	w.delay(ctx)
	w.mu.Lock()
	dice, quiet := w.rng.IntN(100), w.quiet
	w.mu.Unlock()
	writing := op.Kind == faultblob.Put
	switch {
	case quiet:
	case dice < 2:
		return faultblob.Refuse
	case dice < 5:
		return faultblob.Drop
	case dice < 8 && writing:
		return faultblob.Lose
	case dice < 10 && writing:
		return faultblob.Late
	case dice < 13 && writing:
		return faultblob.Repeat
	case dice < 10 && op.Kind == faultblob.Get && isCommit(op):
		return faultblob.Cut
	}
	return faultblob.None
}

// client does 25 things at one replica: mostly commands, some of which it does not wait for.
func (w *world) client(t *testing.T, c int, rng *rand.Rand) {
	r := w.replicas[c%3]
	for n := range 25 {
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		switch rng.IntN(8) {
		case 0:
			time.Sleep(5 * time.Hour)
		case 1:
			r.store.Release()
		case 2:
			w.mu.Lock()
			before := w.acked
			w.mu.Unlock()
			if r.Sync(t.Context()) == nil && len(r.desk.own()) < before {
				t.Errorf("a read showed %d events after %d were acknowledged", len(r.desk.own()), before)
			}
		default:
			a := take(fmt.Sprint(rng.IntN(3)), fmt.Sprintf("%d.%d", c, n))
			if rng.IntN(2) == 0 {
				a.kind = "freed"
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(12000))*time.Millisecond)
			w.told(a, r.Submit(ctx, a))
			cancel()
		}
	}
}

func (w *world) told(a *act, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, record{a, err})
	if err == nil && !a.refused {
		w.acked++
	}
}

// judge holds what the clients were told against what is in the log.
func judge(t *testing.T, log []Event, records []record) {
	t.Helper()
	names := actors(log)
	for _, r := range records {
		n := 0
		for _, name := range names {
			if name == r.who {
				n++
			}
		}
		switch {
		case r.err == nil && !r.refused && n != 1:
			t.Errorf("%s was acknowledged and is %d times in the log", r.who, n)
		case r.err == nil && r.refused && n != 0:
			t.Errorf("%s was refused and is in the log", r.who)
		case n > 1:
			t.Errorf("%s happened %d times", r.who, n)
		case n > 0 && (errors.Is(r.err, ErrUnavailable) || errors.Is(r.err, ErrOverloaded)):
			t.Errorf("%s was told that nothing was stored and is in the log: %v", r.who, r.err)
		}
	}
	holder := map[string]string{}
	for _, e := range log {
		if e.Type == "taken" && holder[e.Thread] != "" {
			t.Errorf("%s took %s, which %s holds", e.Actor, e.Thread, holder[e.Thread])
		}
		fold(holder, e)
	}
	if !slices.IsSortedFunc(log, func(a, b Event) int { return a.TS.Compare(b.TS) }) {
		t.Error("ts goes back")
	}
}
