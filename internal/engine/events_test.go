package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// listener follows an exchange and writes down what it is told.
type listener struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // of Follow, once done is closed

	mu     sync.Mutex
	frames []string
	alive  int   // batches without an event
	seq    int64 // of the last batch
}

func listen(t *testing.T, e *Engine, c Caller, f EventFilter, after int64) *listener {
	t.Helper()
	return listenSlowly(t, e, c, f, after, nil)
}

// listenSlowly waits for a token of gate before it takes a batch with events.
func listenSlowly(t *testing.T, e *Engine, c Caller, f EventFilter, after int64, gate chan struct{}) *listener {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &listener{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.err = e.Follow(ctx, c, f, after, func(b EventBatch) error {
			if gate != nil && len(b.Events) > 0 {
				<-gate
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(b.Events) == 0 {
				l.alive++
			}
			for _, ev := range b.Events {
				if ev.Seq > b.Seq {
					t.Errorf("event %d in a batch up to %d", ev.Seq, b.Seq)
				}
				l.frames = append(l.frames, string(ev.Frame()))
			}
			l.seq = b.Seq
			return nil
		})
	}()
	return l
}

// heard returns the frames so far, once nothing moves any more.
func (l *listener) heard() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.frames)
}

// types are what the frames say happened.
func types(frames []string) (all []string) {
	for _, f := range frames {
		_, rest, _ := strings.Cut(f, "event: ")
		name, _, _ := strings.Cut(rest, "\n")
		all = append(all, name)
	}
	return all
}

// days lets three days pass with something in each.
func days(t *testing.T, e *Engine, c Caller) {
	t.Helper()
	for i := range 3 {
		for n := range 20 {
			ref := post(t, e, c, fmt.Sprint("intent ", i, n))
			if err := e.Update(t.Context(), c, &exchange.Update{Ref: ref, Status: "claimed"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(24 * time.Hour)
	}
	post(t, e, c, "the last")
}

// Ensure that who comes back with the seq of any event goes on behind it and misses nothing: at the same engine, at
// one that was started again with a snapshot, at another replica, before and after the days were merged.
func TestFollowResumesAnywhere(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			bucket.AllowMerges()
			e := launch(t, bucket.Store(shared))
			key, c := enroll(t, e, "home", "agent")
			if shared {
				days(t, e, c)
			}
			live := listen(t, e, c, EventFilter{}, 0)
			if !shared { // where a follower would look for others' commits every second of those days
				days(t, e, c)
			}
			all := live.heard()
			if n := int64(len(all)); n != live.seq || n < 100 {
				t.Fatalf("%d frames up to seq %d", n, live.seq)
			}
			again := func(e *Engine) {
				t.Helper()
				c := letIn(t, e, "home", key)
				for after := int64(0); after <= int64(len(all)); after += 7 {
					l := listen(t, e, c, EventFilter{}, after)
					if got := l.heard(); !slices.Equal(got, all[after:]) {
						t.Errorf("after %d: %d frames, want %d", after, len(got), len(all[after:]))
					}
					l.stop()
					<-l.done
				}
			}
			again(e)
			if shared {
				again(launch(t, bucket.Store(true)))
			}
			live.stop()
			<-live.done
			time.Sleep(60 * time.Hour) // the days are merged
			again(e)
			shut(t, e)
			e = launch(t, bucket.Store(shared))
			again(e)
		})
	}
}

// Ensure that without a seq one hears what comes from now on, at another replica too, in the order of the log.
func TestFollowFromNowOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, c := enroll(t, a, "home", "agent")
		post(t, a, c, "before")
		near, far := listen(t, a, c, EventFilter{}, NoSeq), listen(t, b, letIn(t, b, "home", key), EventFilter{}, NoSeq)
		if n := len(near.heard()) + len(far.heard()); n != 0 {
			t.Fatalf("%d events of before", n)
		}
		ref := post(t, a, c, "now")
		if got := near.heard(); len(got) != 2 || !strings.HasPrefix(got[0], "id: 4\nevent: thread_created\ndata: {\"event_id\":") ||
			!strings.Contains(got[1], `"thread_ref":"`+ref+`"`) || !strings.HasSuffix(got[1], "}\n\n") || strings.Count(got[1], "\n") != 4 {
			t.Errorf("%q", got)
		}
		time.Sleep(followEvery)
		if got := far.heard(); !slices.Equal(got, near.heard()) {
			t.Errorf("the other replica: %q", got)
		}
	})
}

// Ensure that filters take what they say, and that who hears nothing is told how far the log has got.
func TestFollowFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, c := enroll(t, e, "home", "agent")
		first := post(t, e, c, "first")
		second := post(t, e, c, "second")
		byRef := listen(t, e, c, EventFilter{Ref: first}, 0)
		created := listen(t, e, c, EventFilter{Status: "pending"}, 0)
		ended := listen(t, e, c, EventFilter{Status: "canceled"}, 0)
		both := listen(t, e, c, EventFilter{Ref: second, Status: "cancelled"}, 0)
		for _, ref := range []string{first, second} {
			if err := e.Update(t.Context(), c, &exchange.Update{Ref: ref, Status: "cancelled", Mess: []json.RawMessage{json.RawMessage(`{"x":1}`)}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []struct {
			*listener
			types []string
		}{
			{byRef, []string{"thread_created", "message_added", "status_changed", "message_added"}},
			{created, []string{"thread_created", "thread_created"}},
			{ended, []string{"status_changed", "status_changed"}},
			{both, []string{"status_changed"}},
		} {
			if got := types(want.heard()); !slices.Equal(got, want.types) {
				t.Errorf("got %q, want %q", got, want.types)
			}
		}
		time.Sleep(aliveEvery)
		synctest.Wait()
		if both.seq != 9 || created.seq != 9 {
			t.Errorf("told of seq %d and %d", both.seq, created.seq)
		}
		page, err := e.Events(t.Context(), c, EventFilter{Status: "rejected"}, 0, 10)
		if err != nil || len(page.Events) != 0 || page.Next != 9 || page.More {
			t.Errorf("%+v %v", page, err)
		}
	})
}

// Ensure that one who hears nothing for a while is told so every 15 seconds, and not where something came.
func TestFollowSaysThatItIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, c := enroll(t, e, "home", "agent")
		l := listen(t, e, c, EventFilter{}, NoSeq)
		alive := func(want int) {
			t.Helper()
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.alive != want {
				t.Errorf("told %d times, want %d", l.alive, want)
			}
		}
		alive(1) // that it has begun
		time.Sleep(15*time.Second - time.Nanosecond)
		alive(1)
		time.Sleep(time.Nanosecond)
		alive(2)
		time.Sleep(10 * time.Second)
		post(t, e, c, "x")
		time.Sleep(14 * time.Second)
		alive(2)
		time.Sleep(time.Second)
		alive(3)
	})
}

// Ensure that a key that was replaced, and one whose executor has left, end what was begun with it at once, at
// another replica as well, and nothing that was begun with others.
func TestRevokedKeysHearNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		stayKey, stay := enroll(t, a, "home", "stays")
		ref := post(t, a, stay, "x")
		stays := listen(t, b, letIn(t, b, "home", stayKey), EventFilter{}, NoSeq)
		synctest.Wait()
		for i, revoke := range []func(Caller) error{
			func(c Caller) error { _, err := a.RotateKey(t.Context(), c, c.Executor); return err },
			func(c Caller) error { return a.Remove(t.Context(), c, c.Executor) },
		} {
			key, c := enroll(t, a, "home", fmt.Sprint("goes", i))
			near, far := listen(t, a, c, EventFilter{}, NoSeq), listen(t, b, letIn(t, b, "home", key), EventFilter{}, NoSeq)
			waited := make(chan error, 1)
			go func() { waited <- a.AwaitThread(t.Context(), c, ref, NoSeq, time.Hour) }()
			synctest.Wait()
			name := "New Name"
			if err := a.UpdateProfile(t.Context(), c, c.Executor, ProfileUpdate{DisplayName: &name}); err != nil {
				t.Fatal(err)
			}
			if got := types(near.heard()); !slices.Equal(got, []string{"executor_updated"}) {
				t.Errorf("before: %q", got)
			}
			if err := revoke(c); err != nil {
				t.Fatal(err)
			}
			post(t, a, stay, "secret")
			time.Sleep(followEvery)
			synctest.Wait()
			for _, l := range []*listener{near, far} {
				select {
				case <-l.done:
				default:
					t.Fatal("it is still followed")
				}
				wantCode(t, l.err, exchange.CodeUnauthorized)
				if got := types(l.heard()); len(got) > 1 {
					t.Errorf("heard %q", got)
				}
			}
			wantCode(t, <-waited, exchange.CodeUnauthorized)
		}
		time.Sleep(followEvery)
		if n := len(stays.heard()); n != 2*5 {
			t.Errorf("the one who stays heard %d events", n)
		}
	})
}

// Ensure that one who takes his time holds up nobody, and misses nothing though the feed has dropped what he has
// not seen; and that what is kept for those who follow is bounded and goes with the last of them.
func TestSlowFollowerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, c := enroll(t, e, "home", "agent")
		gate := make(chan struct{})
		slow, quick := listenSlowly(t, e, c, EventFilter{}, NoSeq, gate), listen(t, e, c, EventFilter{}, NoSeq)
		synctest.Wait()
		big := strings.Repeat("x", 100<<10)
		ref := post(t, e, c, "first")
		for range 40 {
			if err := e.Update(t.Context(), c, &exchange.Update{Ref: ref, Mess: []json.RawMessage{json.RawMessage(`{"x":"` + big + `"}`)}}); err != nil {
				t.Fatal(err)
			}
		}
		all := quick.heard()
		if len(all) != 42 || len(slow.heard()) != 0 {
			t.Fatalf("%d and %d events", len(all), len(slow.heard()))
		}
		feed := &e.resident()[0].x.machine.feed
		if feed.size > feedBytes || len(feed.events) < 5 {
			t.Errorf("%d events of %d bytes are kept", len(feed.events), feed.size)
		}
		close(gate)
		if got := slow.heard(); !slices.Equal(got, all) {
			t.Errorf("the slow one heard %d events", len(got))
		}
		for _, l := range []*listener{slow, quick} {
			l.stop()
			<-l.done
			if !errors.Is(l.err, context.Canceled) {
				t.Error(l.err)
			}
		}
		if feed.size != 0 || feed.events != nil || e.feeds.Load() != 0 {
			t.Errorf("%d bytes stay", feed.size)
		}
	})
}

// Ensure that many who come back at once, as after a restart, cost the store what a few do, and that the exchange
// then stays open for them.
func TestManyComeBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		key, c := enroll(t, e, "home", "agent")
		for range 10 {
			post(t, e, c, "x")
		}
		shut(t, e)
		store := bucket.Store(true)
		e = launch(t, store)
		c = letIn(t, e, "home", key)
		var reads atomic.Int32 // of what is there; looks at the head are shared anyway
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if _, there := bucket.Get(op.Key); op.Kind == faultblob.Get && there {
				reads.Add(1)
			}
			return faultblob.None
		})
		var all []*listener
		for i := range 1000 {
			all = append(all, listen(t, e, c, EventFilter{}, int64(i%5)))
		}
		for i, l := range all {
			if n := len(l.heard()); n != 21-i%5 {
				t.Fatalf("%d events after %d", n, i%5)
			}
		}
		// At most one way back for each of the five places, and for each of those who begin at once.
		if n := reads.Load(); n > (5+catchUps)*25 {
			t.Errorf("%d reads for a thousand", n)
		}
		reads.Store(0)
		time.Sleep(2 * idleAfter)
		if n := reads.Load(); n > 5 { // merging looks at genesis
			t.Errorf("%d reads while nothing happens", n)
		}
		post(t, e, c, "still there")
		for _, l := range all {
			if got := l.heard(); len(got) < 3 || !strings.Contains(got[len(got)-2], "still there") {
				t.Fatal("not told")
			}
			l.stop()
		}
	})
}

// Ensure that following and waiting end when the server stops, without an error, and that Close need not wait.
func TestReleaseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(true))
		_, c := enroll(t, e, "home", "agent")
		ref := post(t, e, c, "x")
		l := listen(t, e, c, EventFilter{}, NoSeq)
		waited := make(chan error, 1)
		go func() { waited <- e.AwaitThread(t.Context(), c, ref, NoSeq, time.Hour) }()
		synctest.Wait()
		began := time.Now()
		e.ReleaseWaiters()
		e.ReleaseWaiters()
		if err := <-waited; err != nil {
			t.Error(err)
		}
		<-l.done
		if l.err != nil {
			t.Error(l.err)
		}
		if err := e.AwaitThread(t.Context(), c, ref, NoSeq, time.Hour); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
	})
}

// Ensure that what can't be followed is refused by name, and that a log that can't be read ends a stream.
func TestFollowRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(false)
		e := launch(t, store)
		key, c := enroll(t, e, "home", "agent")
		post(t, e, c, "x")
		for _, one := range []struct {
			filter EventFilter
			after  int64
			code   exchange.Code
		}{
			{EventFilter{Ref: "2026-02-01-NONE"}, 0, exchange.CodeThreadNotFound},
			{EventFilter{Status: "done"}, 0, exchange.CodeInvalid},
			{EventFilter{Status: "delegated"}, 0, exchange.CodeInvalid},
			{EventFilter{}, 4, exchange.CodeInvalid},
		} {
			wantCode(t, e.Follow(t.Context(), c, one.filter, one.after, func(EventBatch) error {
				t.Error("delivered")
				return nil
			}), one.code)
			_, err := e.Events(t.Context(), c, one.filter, one.after, 10)
			wantCode(t, err, one.code)
		}
		broken := errors.New("the client is gone")
		if err := e.Follow(t.Context(), c, EventFilter{}, 0, func(EventBatch) error { return broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		shut(t, e)
		e = launch(t, store)
		c = letIn(t, e, "home", key)
		store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return faultblob.Drop })
		_, err := e.Events(t.Context(), c, EventFilter{}, 0, 10)
		wantCode(t, err, exchange.CodeUnavailable)
		l := listen(t, e, c, EventFilter{}, 0)
		<-l.done
		wantCode(t, l.err, exchange.CodeUnavailable)
		store.OnCall(nil)
		l = listen(t, e, c, EventFilter{}, 0)
		if n := len(l.heard()); n != 3 {
			t.Errorf("%d events afterwards", n)
		}
	})
}
