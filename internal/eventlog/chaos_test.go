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

// Three replicas on one bucket, clients at each, two that merge closed days, snapshots and starts from them, every
// kind of fault at every call, clocks days apart, days passing, and calls that sleep for days on their way to the
// store or back. Whatever happens: an acknowledged command is in the log exactly once, a refused one is not, a
// thing has one holder at a time, a read shows all that was acknowledged before it began, a start finds a beginning
// of the log, a snapshot is what the log makes, and in the end each closed day is one object.
func TestChaos(t *testing.T) {
	merges, orphans, restores := 0, 0, 0
	for seed := *chaosFrom; seed < *chaosFrom+uint64(*chaosSeeds); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := chaos(t, seed)
				merges, orphans, restores = merges+w.merges, orphans+w.orphans, restores+w.restores
			})
		})
	}
	t.Logf("%d days were merged under way, %d commits written into a merged day were taken back, %d starts were from a snapshot", merges, orphans, restores)
	if *chaosSeeds >= 40 && (merges == 0 || orphans == 0 || restores == 0) {
		t.Error("the world is too quiet to prove anything")
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
	merges  int
	orphans int // taken back

	starts   [][]Event // what starts under way found
	restores int       // of them from a snapshot
}

func chaos(t *testing.T, seed uint64) *world {
	w := &world{bucket: faultblob.New(), rng: rand.New(rand.NewPCG(seed, 0)), quiet: true}
	w.bucket.AllowMerges()
	for range 3 {
		s := w.store()
		s.OnCall(func(ctx context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Delete && isCommit(op) { // a replica deletes no other
				w.mu.Lock()
				w.orphans++
				w.mu.Unlock()
			}
			return w.fault(ctx, op)
		})
		w.replicas = append(w.replicas, start(t, s))
	}
	w.setQuiet(false)
	var clients, compactors sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for c := range uint64(2) {
		compactors.Go(func() { w.compactor(ctx, rand.New(rand.NewPCG(seed, 10+c))) })
	}
	for c := range 6 {
		clients.Go(func() { w.client(t, c, rand.New(rand.NewPCG(seed, uint64(c+1)))) })
	}
	clients.Wait()
	w.setQuiet(true)
	cancel()
	compactors.Wait()
	time.Sleep(longestSleep) // what is still under way wakes up, and may yet be committed
	for _, r := range w.replicas {
		r.store.Release()
	}
	for _, r := range w.replicas {
		must(t, r.Sync(t.Context()), nil)
	}
	log := checked(t, w.bucket)
	judge(t, log, w.records)
	for _, events := range w.starts {
		equal(t, "the events of a start", actors(events), actors(log[:min(len(events), len(log))]))
	}
	for _, r := range w.replicas {
		equal(t, "a replica's events", actors(r.desk.own()), actors(log))
	}
	time.Sleep(2 * mergeAfter)
	compacted(t, w.bucket.Store(true))
	equal(t, "the events after the last merge", actors(checked(t, w.bucket)), actors(log))
	for d := range w.days() {
		if n := len(folder(w.bucket, d)); n != 1 && d != w.replicas[0].today() {
			t.Errorf("%s is %d objects in the end", d, n)
		}
	}
	return w
}

// store returns a view of the bucket with everything that can go wrong.
func (w *world) store() *faultblob.Store {
	s := w.bucket.Store(true)
	skew := time.Duration(w.rng.IntN(192)-96) * time.Hour
	s.SetClock(func() time.Time { return time.Now().Add(skew) })
	s.OnCall(w.fault)
	s.OnAnswer(func(ctx context.Context, _ faultblob.Op) { w.delay(ctx) })
	return s
}

// days are those that the log has objects in.
func (w *world) days() map[day]struct{} {
	days := map[day]struct{}{}
	for _, k := range w.bucket.Keys(Prefix("home")) {
		if p, ok := parseKey("home", k); ok && p.seq > 0 {
			days[p.day] = struct{}{}
		}
	}
	return days
}

// compactor merges what can be merged every few hours, as well as the faults let it.
func (w *world) compactor(ctx context.Context, rng *rand.Rand) {
	w.mu.Lock()
	s := w.store()
	w.mu.Unlock()
	for pause(ctx, time.Duration(rng.IntN(12*60))*time.Minute) == nil {
		if rng.IntN(4) == 0 {
			s.Release()
		}
		r, _ := Compact(ctx, s, "home") // of its errors some are wanted, and none does harm
		w.mu.Lock()
		w.merges += len(r.Days)
		w.mu.Unlock()
		w.restart(ctx, s)
	}
	s.Release()
}

// restart opens the log as a new replica would, as well as the faults let it, and writes a snapshot of it.
func (w *world) restart(ctx context.Context, s *faultblob.Store) {
	d := newDesk()
	l, err := Open(ctx, s, "home", d, Options{})
	if err != nil {
		return
	}
	events := d.own()
	w.mu.Lock()
	w.starts = append(w.starts, events)
	if l.Unsaved() < int64(len(events)) {
		w.restores++
	}
	w.mu.Unlock()
	_ = l.Snapshot(ctx) // of its errors none does harm
	_ = l.Close(context.WithoutCancel(ctx))
}

func (w *world) setQuiet(quiet bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = quiet
}

// longestSleep is several times what it takes for a day to be closed and merged.
const longestSleep = 120 * time.Hour

// delay lets a call take its time. Some sleep for days, as on a machine that is suspended: their time-outs do
// not end them.
func (w *world) delay(ctx context.Context) {
	w.mu.Lock()
	d, sleep := time.Duration(w.rng.IntN(30))*time.Millisecond, time.Duration(0)
	if !w.quiet && w.rng.IntN(60) == 0 {
		sleep = time.Duration(w.rng.Int64N(int64(longestSleep)))
	}
	w.mu.Unlock()
	_ = pause(ctx, d)
	time.Sleep(sleep)
}

func (w *world) fault(ctx context.Context, op faultblob.Op) faultblob.Fault {
	w.delay(ctx)
	w.mu.Lock()
	dice, quiet := w.rng.IntN(100), w.quiet
	w.mu.Unlock()
	writing := op.Kind == faultblob.Put || op.Kind == faultblob.Delete
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
		switch rng.IntN(9) {
		case 0:
			time.Sleep(time.Duration(rng.IntN(40)) * time.Hour)
		case 1:
			r.store.Release()
		case 2:
			w.mu.Lock()
			before := w.acked
			w.mu.Unlock()
			if r.Sync(t.Context()) == nil && len(r.desk.own()) < before {
				t.Errorf("a read showed %d events after %d were acknowledged", len(r.desk.own()), before)
			}
		case 3:
			_ = r.Snapshot(t.Context())
		default:
			a := take(fmt.Sprint(rng.IntN(3)), fmt.Sprintf("%d.%d", c, n))
			if rng.IntN(2) == 0 {
				a.kind = "freed"
			}
			ctx, cancel := context.WithCancel(t.Context())
			if rng.IntN(2) == 0 { // the others wait however long it takes
				ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(12000))*time.Millisecond)
			}
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
