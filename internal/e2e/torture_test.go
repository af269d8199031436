//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

var (
	tortureSeed = flag.Uint64("torture.seed", 0, "seed of TestTorture's faults and calls; 0 draws one")
	tortureFor  = flag.Duration("torture.for", 12*time.Second, "how long TestTorture runs on each storage, at least")
	tortureOps  = flag.Int("torture.operations", 1000, "how many calls TestTorture makes on each storage, at least")
)

const (
	callers     = 24
	arenas      = 3               // exchanges in use at a time
	tortureEnds = 2 * time.Minute // after twice torture.for, calls or no calls
	recovery    = 30 * time.Second
)

// torture is one run.
type torture struct {
	record    *record
	faults    *faults
	transport *http.Transport

	mu    sync.Mutex
	all   []*arena
	inUse [arenas]*arena
}

// TestTorture: whatever happens to servers, their connections, their store and its clock, the answers
// of all replicas together are those of one server that did one call after the other, nothing that was
// acknowledged is lost, nothing that was refused as not stored is ever seen, and every server recovers
// by itself. With three replicas on S3, and on a folder, whose one process sees no network and has no
// clock but the machine's: there it is only killed and put to sleep.
func TestTorture(t *testing.T) {
	seed := *tortureSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Run("s3", func(t *testing.T) {
		x, place := tortureS3(t, seed)
		x.verdict(t, x.run(t, seed, *tortureFor, *tortureOps), place, seed)
	})
	t.Run("filesystem", func(t *testing.T) {
		x, place := tortureFolder(t)
		x.verdict(t, x.run(t, seed, *tortureFor, *tortureOps), place, seed)
	})
}

// tortureS3 is a run of three replicas on S3.
func tortureS3(t *testing.T, seed uint64) (*torture, storage) {
	t.Helper()
	store := s3test.Start(t)
	place := bucketOf(t, store)
	var replicas []*replica
	for i := range 3 {
		l := newLine(t, store, rand.New(rand.NewPCG(seed, 1000+uint64(i))))
		replicas = append(replicas, &replica{name: fmt.Sprintf("replica-%d", i), line: l,
			settings: append(append([]string{trustUs}, place.settings...), "S3_ENDPOINT="+l.endpoint)}) // the last one wins
	}
	return newTorture(t, replicas, store), place
}

// tortureFolder is a run of one server on a folder.
func tortureFolder(t *testing.T) (*torture, storage) {
	t.Helper()
	place := folder(t)
	return newTorture(t, []*replica{{name: "server", settings: append([]string{trustUs}, place.settings...)}}, nil), place
}

func newTorture(t *testing.T, replicas []*replica, store *s3test.Server) *torture {
	t.Helper()
	x := &torture{record: newRecord(), transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	x.faults = &faults{begun: x.record.begun, replicas: replicas, store: store, wrong: x.record.fault, counts: map[string]int{}}
	t.Cleanup(func() {
		for _, r := range replicas {
			if s := r.current(); s != nil {
				s.kill()
			}
		}
	})
	for _, r := range replicas {
		ctx, cancel := context.WithTimeout(t.Context(), readyWithin)
		err := x.faults.start(ctx, r)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range arenas {
		x.arena(i)
	}
	return x
}

// arena is the exchange in a place, a new one where it has had its time.
func (x *torture) arena(i int) *arena {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a := x.inUse[i]; a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.created < threadsEach {
			return a
		}
	}
	x.inUse[i] = &arena{name: fmt.Sprintf("exchange-%d", len(x.all)), people: map[int]person{}}
	x.all = append(x.all, x.inUse[i])
	return x.inUse[i]
}

// run makes calls while things go wrong, at least that many for at least that long, and looks at
// everything when all is right again.
func (x *torture) run(t *testing.T, seed uint64, least time.Duration, operations int) (o ordeal) {
	ctx, end := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for i := range callers {
		w := &caller{id: i, run: x, rng: rand.New(rand.NewPCG(seed, 2000+uint64(i))), patience: waits}
		if i%3 == 0 {
			w.patience = 12 * time.Second // waits for the answer that says nobody knows
		}
		working.Go(func() {
			for ctx.Err() == nil {
				w.step()
			}
		})
	}
	go func() { // ends the run
		defer end()
		for pause(ctx, 100*time.Millisecond) {
			lasted := time.Since(x.record.begun)
			if lasted > least && x.record.total() >= operations || lasted > 2*least+tortureEnds {
				return
			}
		}
	}()
	x.faults.run(t, ctx, seed)
	working.Wait()
	o.lasted, o.calls = time.Since(x.record.begun), x.record.total()
	x.look()
	for _, r := range x.faults.replicas {
		x.faults.kill(r)
	}
	return o
}

// ordeal is how long a run was.
type ordeal struct {
	lasted time.Duration
	calls  int
}

// look reads everything at every replica, which must have recovered.
func (x *torture) look() {
	w := &caller{id: callers, run: x, rng: rand.New(rand.NewPCG(0, 0)), patience: recovery}
	for _, a := range x.all {
		var me person
		for _, p := range a.people {
			me = p
		}
		if me.key == "" {
			continue // nobody was told of a key
		}
		for _, r := range x.faults.replicas {
			if !x.recovered(r, func() fate { return w.list(r, a, me, "") }) ||
				!x.recovered(r, func() fate { return w.executors(r, a, me) }) {
				return
			}
		}
		for i, t := range a.topics {
			r := x.faults.replicas[i%len(x.faults.replicas)]
			if !x.recovered(r, func() fate { return w.read(r, a, me, t) }) {
				return
			}
		}
	}
}

// recovered repeats a read until it is answered.
func (x *torture) recovered(r *replica, read func() fate) bool {
	for begun := time.Now(); ; {
		switch what := read(); {
		case what == answered:
			return true
		case what == impossible:
			return false // which is a fault already
		case time.Since(begun) > recovery:
			x.record.fault("%s has not recovered: %v after all was right again it does not answer", r.name, recovery)
			return false
		}
	}
}

// verdict checks the history and the log.
func (x *torture) verdict(t *testing.T, o ordeal, place storage, seed uint64) {
	t.Helper()
	defer func() {
		if t.Failed() {
			x.howToRepeat(t, seed)
		}
	}()
	violations := x.record.check(t.ArtifactDir())
	for i, v := range violations {
		if i < 10 {
			t.Error(v)
		}
	}
	threads := 0
	for _, a := range x.all {
		threads += len(a.topics)
	}
	t.Logf("seed %d: %d calls in %v (and %d after it) on %d threads of %d exchanges: %d answered, %d refused, %d unknown; %d violations",
		seed, o.calls, o.lasted.Round(time.Second), x.record.total()-o.calls, threads, len(x.all),
		x.record.fates[string(answered)], x.record.fates[string(refused)], x.record.fates[string(unknown)], len(violations))
	t.Logf("faults: %s", x.faults.summary())
	if o.calls < *tortureOps {
		t.Errorf("only %d calls were made, at least %d were asked for", o.calls, *tortureOps)
	}
	checkPasses(t, place.settings)
	for _, a := range x.all[:min(len(x.all), 8)] { // the program's own check has seen all of them
		checkLog(t, place.data, a.name)
	}
}

// howToRepeat names the command that repeats a run's faults, and keeps the diary of them.
func (x *torture) howToRepeat(t *testing.T, seed uint64) {
	t.Helper()
	diary := filepath.Join(t.ArtifactDir(), "faults.txt")
	if err := os.WriteFile(diary, []byte(strings.Join(x.faults.diary, "\n")+"\n"), 0o600); err != nil {
		t.Error(err)
	}
	t.Logf("to repeat it: make torture SEED=%d DURATION=%v OPERATIONS=%d (go test -artifacts keeps %s)\nthe first faults of %d:\n%s",
		seed, *tortureFor, *tortureOps, diary, len(x.faults.diary), strings.Join(x.faults.diary[:min(len(x.faults.diary), 40)], "\n"))
}
