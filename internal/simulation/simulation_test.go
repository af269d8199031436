package simulation

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/buckettest"
)

var (
	seeds     = flag.Int("simulation.seeds", 0, "how many seeds TestSimulation plays; 0 is 200, or fewer under the race detector")
	firstSeed = flag.Uint64("simulation.from", 1, "the first of them; 0 draws one")
	allSeeds  = flag.Bool("simulation.all", false, "go on after a seed that fails")
	showTrace = flag.Bool("simulation.trace", false, "print the whole trace of a seed that fails")
	repeats   = flag.Int("simulation.repeats", 0, "how many seeds TestSeedsRepeat plays twice; 0 is 12, or fewer under the race detector")
	patience  = flag.Duration("simulation.patience", 5*time.Minute, "how long a seed may take before its world is taken to stand still")
)

// How many seeds are played where nothing else is asked for (race_test.go has fewer).
var usualSeeds, usualRepeats = 200, 12

// What the simulation takes for a store must be one.
func TestIsABucket(t *testing.T) {
	buckettest.Run(t, func(testing.TB) buckettest.Store {
		return newView(newBucket(time.Now), nil, 0, time.Now)
	}, buckettest.Options{Keys: 2000})
}

// play runs a seed in a bubble of its own. A world that stands still can't be told from inside.
func play(t *testing.T, seed uint64) (w *world) {
	watch := time.AfterFunc(*patience, func() {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		fmt.Fprintf(os.Stderr, "seed %d stands still: is a lock held across a call of the store?\n%s\n--- FAIL: seed=%d\n", seed, buf, seed)
		os.Exit(2)
	})
	defer watch.Stop()
	synctest.Test(t, func(t *testing.T) { w = run(t, seed) })
	return w
}

// TestSimulation plays seed after seed. It stops at the first few that fail: each of them can be repeated alone.
func TestSimulation(t *testing.T) {
	n, start := cmp.Or(*seeds, usualSeeds), *firstSeed
	if start == 0 {
		start = rand.Uint64N(1 << 32)
	}
	var mu sync.Mutex
	var sum counts
	for from := start; from < start+uint64(n) && (*allSeeds || !t.Failed()); from += atOnce {
		t.Run(fmt.Sprintf("from=%d", from), func(t *testing.T) {
			for seed := from; seed < min(from+atOnce, start+uint64(n)); seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					t.Parallel()
					w := play(t, seed)
					report(t, w)
					mu.Lock()
					defer mu.Unlock()
					sum.add(w.counts)
				})
			}
		})
	}
	t.Logf("%d seeds from %d: %s", n, start, sum)
	for _, p := range sum.fields() {
		if n >= 100 && *p == 0 && !t.Failed() {
			t.Errorf("the world is too quiet to prove anything")
		}
	}
}

// report fails the test with what a seed broke and how to repeat it.
func report(t *testing.T, w *world) {
	t.Helper()
	if len(w.broken) == 0 {
		return
	}
	lines := w.trace
	if !*showTrace {
		lines = lines[max(0, len(lines)-30):]
	}
	t.Errorf("%s\n%s\nseed %d breaks: %s\nrepeat it with: go test -tags grpcnotrace ./internal/simulation -run '^TestSimulation$' -args -simulation.seeds 1 -simulation.from %d -simulation.trace",
		strings.Join(lines, "\n"), strings.Join(w.logged, ""), w.seed, strings.Join(w.broken[:min(len(w.broken), 5)], "\n"), w.seed)
}

// A seed is one run: the same turns, in the same order, at the same times.
func TestSeedsRepeat(t *testing.T) {
	for seed := uint64(1); seed <= uint64(cmp.Or(*repeats, usualRepeats)); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			first, second := play(t, seed), play(t, seed)
			if slices.Equal(first.trace, second.trace) {
				return
			}
			same := 0
			for same < min(len(first.trace), len(second.trace)) && first.trace[same] == second.trace[same] {
				same++
			}
			t.Errorf("the same turns until\n%s\nthen once\n%q\nand once\n%q", strings.Join(first.trace[max(0, same-10):same], "\n"),
				first.trace[same:min(same+3, len(first.trace))], second.trace[same:min(same+3, len(second.trace))])
		})
	}
}
