package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that one who waits for a thread is woken by its events, at once where they were committed and within a
// second at another replica, not by those of others, and else when his time is over.
func TestAwaitThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, c := enroll(t, a, "home", "agent")
		ref, other := post(t, a, c, "mine"), post(t, a, c, "other")
		letIn(t, b, "home", key)
		const patience = 30 * time.Second
		wait := func(e *Engine, ref string, since int64) chan time.Duration {
			took, began := make(chan time.Duration, 1), time.Now()
			go func() {
				if err := e.AwaitThread(t.Context(), c, ref, since, patience); err != nil {
					t.Error(err)
				}
				took <- time.Since(began)
			}()
			synctest.Wait()
			return took
		}
		if took := <-wait(a, ref, 2); took != 0 {
			t.Errorf("an event that is there was awaited for %s", took)
		}
		near, far, elsewhere, now := wait(a, ref, 3), wait(b, ref, 3), wait(a, other, 5), wait(a, ref, NoSeq)
		time.Sleep(10 * time.Second)
		if err := a.Update(t.Context(), c, &exchange.Update{Ref: ref, Status: "claimed"}); err != nil {
			t.Fatal(err)
		}
		for _, took := range []time.Duration{<-near, <-now} {
			if took != 10*time.Second {
				t.Errorf("woken after %s", took)
			}
		}
		if took := <-far; took > 10*time.Second+followEvery {
			t.Errorf("woken at the other replica after %s", took)
		}
		if took := <-elsewhere; took != patience {
			t.Errorf("another thread's waiter was there for %s", took)
		}
		if waits := &a.resident()[0].x.machine.waits; len(waits.threads) != 0 {
			t.Errorf("%d threads are still waited for", len(waits.threads))
		}
	})
}

// Ensure that an event wakes those of its thread and nobody else, a note nobody, and the end of a key those of
// its executor.
func TestWakeWhomItConcerns(t *testing.T) {
	w := &waits{}
	all := map[string]*wait{}
	for _, ref := range []string{"a", "b"} {
		for _, executor := range []string{"x", "y"} {
			all[ref+executor] = w.add(ref, executor)
		}
	}
	for _, c := range []struct {
		ev   eventlog.Event
		want string
	}{
		{eventlog.Event{Type: exchange.MessageAdded, Thread: "a"}, "ax ay "},
		{eventlog.Event{Type: "note_answered", Thread: "a"}, ""},
		{eventlog.Event{Type: exchange.ExecutorUpdated, Actor: "x", Payload: []byte(`{"api_key_hash":"h"}`)}, "ax bx "},
		{eventlog.Event{Type: exchange.ExecutorRemoved, Actor: "y", Payload: []byte(`{}`)}, "ay by "},
		{eventlog.Event{Type: exchange.ExecutorRegistered, Actor: "y", Payload: []byte(`{}`)}, "ay by "}, // again, with another key
		{eventlog.Event{Type: exchange.ThreadCreated, Thread: "c"}, ""},
	} {
		w.wake([]eventlog.Event{c.ev, c.ev})
		got := ""
		for _, name := range []string{"ax", "ay", "bx", "by"} {
			select {
			case <-all[name].woken:
				got += name + " "
			default:
			}
		}
		if got != c.want {
			t.Errorf("%s of %s by %s woke %q, want %q", c.ev.Type, c.ev.Thread, c.ev.Actor, got, c.want)
		}
	}
}

// Ensure that waiting is refused by name, ends with its request, and costs a shared store one look a second
// however many wait.
func TestAwaitThreadRefusalsAndCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(true)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		ref := post(t, e, c, "x")
		wantCode(t, e.AwaitThread(t.Context(), c, "2026-02-01-NONE", 0, time.Hour), exchange.CodeThreadNotFound)
		stranger := c
		stranger.KeyHash = "another"
		wantCode(t, e.AwaitThread(t.Context(), stranger, ref, NoSeq, time.Hour), exchange.CodeUnauthorized)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		for range 100 {
			go func() { ended <- e.AwaitThread(ctx, c, ref, NoSeq, time.Hour) }()
		}
		time.Sleep(500 * time.Millisecond)
		var count atomic.Int64
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Get {
				count.Add(1)
			}
			return faultblob.None
		})
		time.Sleep(time.Minute)
		store.OnCall(nil)
		if n := count.Load(); n != 60 {
			t.Errorf("%d looks in a minute", n)
		}
		cancel()
		for range 100 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		go shut(t, e)
		synctest.Wait()
		wantCode(t, e.AwaitThread(t.Context(), c, ref, NoSeq, time.Hour), exchange.CodeUnavailable)
	})
}

// BenchmarkWake is what a change of one thread costs while 10,000 wait for others.
func BenchmarkWake(b *testing.B) {
	w := &waits{}
	for i := range 10_000 {
		w.add(fmt.Sprint(i), "x")
	}
	events := []eventlog.Event{{Type: exchange.MessageAdded, Thread: "7"}}
	for b.Loop() {
		w.wake(events)
	}
}
