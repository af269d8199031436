package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// readAgain reads the log after each seq, with several limits, and makes sure that it is what was applied.
func readAgain(t *testing.T, l *Log, log []Event) {
	t.Helper()
	for after := int64(-1); after <= int64(len(log))+1; after++ {
		limits := []int{7}
		if after%10 == 0 {
			limits = []int{1, 7, 1000}
		}
		for _, limit := range limits {
			from := min(max(int(after), 0), len(log))
			want := log[from:min(from+limit, len(log))]
			got, err := l.Events(t.Context(), after, limit)
			if err != nil {
				t.Fatalf("after %d: %v", after, err)
			}
			if payloads(got) >= pageBytes/2 { // enough for one page
				want = want[:len(got)]
			}
			if diff := differenceButPlaces(got, want); diff != "" {
				t.Fatalf("%d after %d: %s", limit, after, diff)
			}
		}
	}
}

func payloads(events []Event) (size int) {
	for _, e := range events {
		size += len(e.Payload)
	}
	return size
}

func differenceButPlaces(got, want []Event) string {
	want = slices.Clone(want)
	for i := range want {
		want[i].At = At{}
	}
	return difference(got, want)
}

// numbered are all of a replica's events with a seq, those of the log itself among them.
func (d *desk) numbered() []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.events), func(e Event) bool { return e.Seq == 0 })
}

// history writes some days of a log: commits of one and of many events, small and large.
func history(t *testing.T, rng *rand.Rand, w *replica) {
	for range 3 {
		for range rng.IntN(5) {
			var clients sync.WaitGroup
			for range 1 + rng.IntN(30) {
				a := say(fmt.Sprint(rng.IntN(100)))
				if rng.IntN(8) == 0 {
					a.size = rng.IntN(30 << 10)
				}
				clients.Go(func() { w.do(t, a) })
			}
			clients.Wait()
		}
		for range rng.IntN(40) {
			w.do(t, say(fmt.Sprint(rng.IntN(100))))
		}
		time.Sleep(24 * time.Hour)
	}
	w.do(t, say("last"))
}

// Ensure that Events is what was applied, whoever reads from wherever: a log of random commits, before and after
// its days are merged, with what sleepers left in merged days, at the one who wrote it, at one who followed, at
// one that began with a snapshot of before the merges or of after them, and at one that read it all.
func TestEventsAreTheLog(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				b := faultblob.New()
				b.AllowMerges()
				w := start(t, b.Store(true))
				follower := start(t, b.Store(true))
				history(t, rng, w)
				must(t, follower.Sync(t.Context()), nil)
				log := w.desk.numbered()
				must(t, w.Snapshot(t.Context()), nil)
				all := []*replica{w, follower, start(t, b.Store(true))}
				for _, r := range all {
					readAgain(t, r.Log, log)
				}
				commits := map[string][]byte{}
				for _, k := range b.Keys(Prefix("home")) {
					commits[k], _ = b.Get(k)
				}
				time.Sleep(2 * mergeAfter)
				merged := compacted(t, b.Store(true))
				for k, commit := range commits {
					if _, there := b.Get(k); !there && rng.IntN(2) == 0 {
						b.Put(k, strayCommit(commit))
					}
				}
				all = append(all, start(t, b.Store(true)))
				plain, err := Open(t.Context(), b.Store(true), "home", fed{newDesk()}, Options{})
				must(t, err, nil)
				defer plain.Close(context.Background())
				readAgain(t, plain, log)
				for _, r := range all {
					readAgain(t, r.Log, log)
				}
				t.Logf("%d events in %d commits, %d days merged, %d marks", len(log), len(commits), len(merged.Days), len(w.marks))
			})
		})
	}
}

// strayCommit is what a sleeper may have written in the place of a commit that a merge took: as long, and as
// sound, and not the log.
func strayCommit(commit []byte) []byte {
	return bytes.ReplaceAll(commit, []byte(`"event_type":"said"`), []byte(`"event_type":"gone"`))
}

// Ensure that a merge that comes in between two reads of one page does no harm, wherever that is, nor what a
// sleeper writes behind it.
func TestEventsDuringAMerge(t *testing.T) {
	for stop := 1; ; stop++ {
		met := false
		synctest.Test(t, func(t *testing.T) {
			b := faultblob.New()
			b.AllowMerges()
			w := start(t, b.Store(true))
			for i := range 40 {
				w.do(t, say(fmt.Sprint(i)))
			}
			d, log := w.today(), w.desk.numbered()
			commits := map[string][]byte{}
			for _, k := range folder(b, d)[1:] {
				commits[k], _ = b.Get(k)
			}
			var mu sync.Mutex
			calls := 0
			w.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls == stop {
					met = true
					merge(b, d)
					for k, commit := range commits {
						b.Put(k, strayCommit(commit))
					}
				}
				return faultblob.None
			})
			got, err := w.Events(t.Context(), 20, 10)
			must(t, err, nil)
			if diff := differenceButPlaces(got, log[20:30]); diff != "" {
				t.Errorf("merged before read %d: %s", stop, diff)
			}
		})
		if !met {
			if stop < 10 {
				t.Errorf("only %d reads", stop)
			}
			return
		}
	}
}

// Ensure that Events costs what it returns: however long the log is, a page is one read in a merged day, and a
// read for each of the commits near it in an open one.
func TestEventsCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		b.AllowMerges()
		w := start(t, b.Store(true))
		for i := range 400 {
			w.do(t, say(fmt.Sprint(i)))
		}
		cost := func(after int64, limit int) int {
			count := calls(w.store)
			got, err := w.Events(t.Context(), after, limit)
			must(t, err, nil)
			if len(got) != limit || got[0].Seq != after+1 {
				t.Fatalf("%d events from %d", len(got), got[0].Seq)
			}
			return count()
		}
		if n := cost(200, 10); n > 2*markSeqs+1 {
			t.Errorf("%d reads in an open day", n)
		}
		time.Sleep(24 * time.Hour)
		w.do(t, say("last"))
		time.Sleep(likelyMerged)
		compacted(t, b.Store(true))
		if n := cost(200, 10); n != 1 {
			t.Errorf("%d reads in a merged day", n)
		}
		if n := cost(0, 390); n != 1 {
			t.Errorf("%d reads of nearly all of a merged day", n)
		}
	})
}

// Ensure that a page ends where it has enough bytes, and that the largest commit is still one.
func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, faultblob.New().Store(false))
		for range 20 {
			a := say("x")
			a.size = 200 << 10
			w.do(t, a)
		}
		got, err := w.Events(t.Context(), 0, 1000)
		must(t, err, nil)
		if size := len(got) * 200 << 10; size < pageBytes/2 || size > 2*pageBytes {
			t.Errorf("%d events of 200 KiB at once", len(got))
		}
		a := say("y")
		a.size = maxCommand - 1024
		w.do(t, a)
		got, err = w.Events(t.Context(), 20, 1)
		must(t, err, nil)
		if len(got) != 1 || got[0].Actor != "y" {
			t.Errorf("%d events", len(got))
		}
	})
}

// Ensure that what can't be read is said to be so, and what is not the log any more too.
func TestEventsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		w := start(t, b.Store(true))
		for i := range 3 {
			w.do(t, say(fmt.Sprint(i)))
		}
		w.store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return faultblob.Drop })
		_, err := w.Events(t.Context(), 0, 10)
		must(t, err, ErrUnavailable)
		w.store.OnCall(nil)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Events(gone, 0, 10); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for _, k := range folder(b, w.today())[1:] {
			b.Remove(k)
		}
		_, err = w.Events(t.Context(), 1, 10)
		must(t, err, ErrDamaged)
		must(t, w.Close(t.Context()), nil)
	})
}
