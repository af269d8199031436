package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// places are the positions of events.
func places(events []Event) []At {
	at := make([]At, len(events))
	for i, e := range events {
		at[i] = e.At
	}
	return at
}

// fetched reads events again, one by one and all at once, and makes sure that they are those.
func fetchedAgain(t *testing.T, l *Log, events []Event) {
	t.Helper()
	got, err := l.Fetch(t.Context(), places(events))
	if err != nil {
		t.Fatal(err)
	}
	if diff := difference(got, events); diff != "" {
		t.Errorf("all: %s", diff)
	}
	for _, e := range events {
		got, err := l.Fetch(t.Context(), []At{e.At})
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(got, []Event{e}); diff != "" {
			t.Errorf("seq %d: %s", e.Seq, diff)
		}
	}
}

// calls counts a view's calls.
func calls(s *faultblob.Store) (count func() int) {
	var mu sync.Mutex
	n := 0
	s.OnCall(func(context.Context, faultblob.Op) faultblob.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		return faultblob.None
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		defer func() { n = 0 }()
		return n
	}
}

// Events are found by their positions before and after their day is merged: by the replica that committed
// them, by one that was there all the time, by one that began before and one that began after the merge, and
// by one that has the positions from a snapshot.
func TestFetchAcrossAMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := dayOld(t)
		w.do(t, say("4"))
		follower := start(t, b.Store(true))
		must(t, w.Snapshot(t.Context()), nil)
		restored := start(t, b.Store(true))
		if restored.Unsaved() != 0 {
			t.Error("it did not begin from the snapshot")
		}
		all := []*replica{w, follower, restored}
		for _, r := range all {
			fetchedAgain(t, r.Log, r.desk.own())
		}
		compacted(t, b.Store(true))
		equal(t, "the day", folder(b, d), []string{positionKey("home", d, 1)})
		all = append(all, start(t, b.Store(true)))
		plain, err := Open(t.Context(), b.Store(true), "home", fed{newDesk()}, Options{})
		must(t, err, nil)
		defer plain.Close(context.Background())
		for i, r := range all {
			events := r.desk.own()
			fetchedAgain(t, r.Log, events)
			fetchedAgain(t, plain, events)
			if diff := difference(events, w.desk.own()); diff != "" {
				t.Errorf("replica %d: %s", i, diff)
			}
		}
	})
}

// A cold message costs one ranged read: in an open day, in a day merged long ago, and in the first object of
// its day. What lies near each other is read at once.
func TestFetchCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		b.AllowMerges()
		w := start(t, b.Store(true))
		gate, _ := holdFirst(w)
		var clients sync.WaitGroup
		for i := range 40 {
			clients.Go(func() { w.do(t, say(fmt.Sprint(i))) })
			synctest.Wait() // the first is on its way, the others queue up
		}
		close(gate)
		clients.Wait()
		if n := len(folder(b, w.today())); n != 2 {
			t.Fatalf("%d commits", n)
		}
		count := calls(w.store)
		events := w.desk.own()
		for _, e := range events {
			fetchOne(t, w, e)
		}
		if n := count(); n != len(events) {
			t.Errorf("%d calls for %d events", n, len(events))
		}
		fetchAll := func(what string, want int) {
			t.Helper()
			count()
			if _, err := w.Fetch(t.Context(), places(events)); err != nil {
				t.Fatal(err)
			}
			if n := count(); n != want {
				t.Errorf("%s: %d calls, want %d", what, n, want)
			}
		}
		fetchAll("two commits", 2)
		time.Sleep(24 * time.Hour)
		w.do(t, say("next day"))
		time.Sleep(likelyMerged + time.Second)
		compacted(t, b.Store(true))
		fetchAll("a merged day", 1)
		for _, e := range events {
			fetchOne(t, w, e)
		}
		if n := count(); n != len(events) {
			t.Errorf("%d calls for %d events of a merged day", n, len(events))
		}
	})
}

func fetchOne(t *testing.T, r *replica, e Event) {
	t.Helper()
	got, err := r.Fetch(t.Context(), []At{e.At})
	if err != nil || difference(got, []Event{e}) != "" {
		t.Errorf("seq %d: %+v, %v", e.Seq, got, err)
	}
}

// Events far apart in one object are not read with all that lies between.
func TestFetchGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		w := start(t, b.Store(false))
		gate, _ := holdFirst(w)
		var clients sync.WaitGroup
		for i, size := range []int{0, 10, fetchGap, 10, fetchGap + 10, 10} {
			clients.Go(func() { w.do(t, &act{kind: "said", who: fmt.Sprint(i), size: size}) })
			synctest.Wait() // the first is on its way, the others queue up in this order
		}
		close(gate)
		clients.Wait()
		events := slices.DeleteFunc(w.desk.own(), func(e Event) bool { return len(e.Payload) > 1000 || e.Actor == "0" })
		equal(t, "small events", actors(events), []string{"1", "3", "5"})
		count := calls(w.store)
		got, err := w.Fetch(t.Context(), places(events))
		if err != nil || difference(got, events) != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if n := count(); n != 3 {
			t.Errorf("%d calls, want one for each: the gaps are wider than %d bytes", n, fetchGap)
		}
	})
}

// What a sleeper left at the key of a commit after the merge of its day is not taken for it.
func TestFetchMeetsAnOrphan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := dayOld(t)
		w.do(t, say("4"))
		alone := positionKey("home", d, 2)
		data, _ := b.Get(alone)
		compacted(t, b.Store(true))
		b.Put(alone, bytes.Replace(data, []byte(`"actor_id":"1"`), []byte(`"actor_id":"x"`), 1))
		fetchedAgain(t, w.Log, w.desk.own())
		fetchedAgain(t, start(t, b.Store(true)).Log, w.desk.own())
	})
}

// A merge that comes in between: the place that was free is, or was, the right one.
func TestFetchDuringAMerge(t *testing.T) {
	for _, first := range []string{"alone", "merged"} {
		synctest.Test(t, func(t *testing.T) {
			b, w, d := dayOld(t)
			w.do(t, say("4"))
			event := w.desk.own()[1]
			s := b.Store(true)
			r := start(t, s)
			if first == "merged" { // it looks there first, long after the day's end
				time.Sleep(likelyMerged)
			}
			asked := 0
			s.OnAnswer(func(_ context.Context, op faultblob.Op) {
				if asked++; asked == 1 && first == "merged" {
					compacted(t, b.Store(true)) // it has read the first object as it was before
				}
			})
			if first == "alone" {
				s.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
					if op.Key == positionKey("home", d, 2) {
						compacted(t, b.Store(true))
					}
					return faultblob.None
				})
			}
			fetchOne(t, r, event)
			if len(folder(b, d)) != 1 || asked < 2 {
				t.Errorf("%s: the day is %d objects, %d answers", first, len(folder(b, d)), asked)
			}
		})
	}
}

// An event that the store no longer holds is damage; one that can't be read now is not.
func TestFetchErrors(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	r.do(t, say("a"))
	r.do(t, say("b"))
	events := r.desk.own()
	key := positionKey("home", r.today(), 2)
	good, _ := b.Get(key)
	fetch := func(want error) {
		t.Helper()
		got, err := r.Fetch(t.Context(), places(events))
		if got != nil || !errors.Is(err, want) || errors.Is(err, ErrDamaged) != (want == ErrDamaged) {
			t.Errorf("got %d events, %v, want %v", len(got), err, want)
		}
	}
	for _, bad := range [][]byte{nil, []byte("\n"), good[:len(good)-1], bytes.Replace(good, []byte("said"), []byte("sbid"), 1), bytes.ToUpper(good)} {
		b.Put(key, bad)
		fetch(ErrDamaged)
	}
	b.Remove(key)
	fetch(ErrDamaged)
	b.Put(key, append(bytes.Clone(good), "more\n"...))
	fetchedAgain(t, r.Log, events)
	b.Put(key, good)
	for _, fault := range []faultblob.Fault{faultblob.Refuse, faultblob.Drop} {
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key == key {
				return fault
			}
			return faultblob.None
		})
		fetch(ErrUnavailable)
	}
	r.store.OnCall(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.store.OnCall(func(ctx context.Context, _ faultblob.Op) faultblob.Fault {
		if ctx.Err() != nil {
			return faultblob.Drop
		}
		return faultblob.None
	})
	if _, err := r.Fetch(ctx, places(events)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	r.store.OnCall(nil)
	if got, err := r.Fetch(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
	r.fail(errors.New("broken"))
	fetch(ErrClosed)
}

// Events of the original server are read again as they were, by a start from a snapshot too, which does not
// list their objects.
func TestFetchOldData(t *testing.T) {
	b := faultblob.New()
	oldData31(b)
	undated := oldObject(b, "b1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c18", "yesterday", "executor_registered", "undated")
	two := "events/exchange=home/2026/01/31/a2f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c19.jsonl"
	first, _ := b.Get(undated)
	b.Put(two, append(append([]byte("\ufeff{torn\n\n"), first...), bytes.TrimSpace(bytes.ReplaceAll(first, []byte("undated"), []byte("last")))...))
	r, err := tryStart(t, b.Store(false), Options{})
	must(t, err, nil)
	r.do(t, say("new"))
	must(t, r.Snapshot(t.Context()), nil)
	r.do(t, say("newer"))
	for _, r := range []*replica{r, start(t, b.Store(false))} {
		events := slices.DeleteFunc(slices.Clone(r.desk.events), func(e Event) bool { return e.At == At{} })
		if len(events) != 10 {
			t.Errorf("%d events: %q", len(events), actors(events))
		}
		fetchedAgain(t, r.Log, events)
	}
	b.Remove(undated)
	_, err = r.Fetch(t.Context(), places(r.desk.events[:3]))
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), undated) {
		t.Errorf("got %v", err)
	}
}

// A payload that was fetched holds no more memory than its own.
func TestFetchCopiesPayloads(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	r.do(t, say("a"))
	got, err := r.Fetch(t.Context(), places(r.desk.own()))
	must(t, err, nil)
	if p := got[0].Payload; cap(p) > 2*len(p) {
		t.Errorf("%d bytes hold %d", len(p), cap(p))
	}
}

// Every position comes back from its 24 bytes, and is the same event's before and after a merge.
func FuzzPosition(f *testing.F) {
	f.Add(int64(1), int64(0), uint32(0), uint32(1), uint32(2), uint32(0))
	f.Add(int64(maxSeq), int64(1<<40), uint32(1<<31), uint32(1<<24), uint32(1<<31), uint32(7))
	f.Fuzz(func(t *testing.T, object, base int64, offset, length, sum, moved uint32) {
		p := position{object & maxSeq, base & maxSeq, offset, length, sum}
		if got := positionOf(p.at()); got != p {
			t.Errorf("%+v came back as %+v", p, got)
		}
		if !SameEvent(p.at(), p.at()) {
			t.Errorf("%+v is not the same event as itself", p)
		}
		if p.base == original || p.base < int64(moved) || int64(offset)+int64(moved) > 1<<32-1 {
			return
		}
		q := p // as in the first object of its day
		q.object, q.base, q.offset = 1, p.base-int64(moved), offset+moved
		if !SameEvent(p.at(), q.at()) {
			t.Errorf("%+v and %+v are not the same event", p, q)
		}
		q.offset++
		if q.offset > 0 && SameEvent(p.at(), q.at()) {
			t.Errorf("%+v and %+v are the same event", p, q)
		}
	})
}
