package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that one commit wakes all who wait, at once where it was made and within a second at another
// replica, and that the head returned is where the next wait goes on.
func TestWaitWakesEveryone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		_, c := enroll(t, a, "home", "agent")
		head, err := a.Wait(t.Context(), c, 0)
		if err != nil || head != 1 {
			t.Fatal(head, err)
		}
		var calls sync.WaitGroup
		wait := func(e *Engine, after int64, within time.Duration) {
			began := time.Now()
			calls.Go(func() {
				head, err := e.Wait(t.Context(), c, after)
				if took := time.Since(began); err != nil || head != after+2 || took > within {
					t.Errorf("head %d after %s: %v", head, took, err)
				}
			})
		}
		for round := range 3 {
			after := int64(1 + 2*round)
			for range 50 {
				wait(a, after, 0)
				wait(b, after, followEvery)
			}
			synctest.Wait()
			post(t, a, c, "wake up")
			calls.Wait()
		}
	})
}

// Ensure that a follower costs one look a second however many wait, only where others can write, and
// ends with the last of them.
func TestFollowerLivesWithItsWaiters(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := faultblob.New().Store(shared)
			e := launch(t, store)
			_, c := enroll(t, e, "home", "agent")
			var looks atomic.Int32
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Get {
					looks.Add(1)
				}
				return faultblob.None
			})
			ctx, leave := context.WithCancel(t.Context())
			var calls sync.WaitGroup
			for range 100 {
				calls.Go(func() {
					if head, err := e.Wait(ctx, c, 1); head != 1 || !errors.Is(err, context.Canceled) {
						t.Error(head, err)
					}
				})
			}
			time.Sleep(500 * time.Millisecond)
			looks.Store(0)
			time.Sleep(time.Minute)
			if n := looks.Load(); shared && n != 60 || !shared && n != 0 {
				t.Errorf("%d looks in a minute", n)
			}
			leave()
			calls.Wait()
			looks.Store(0)
			time.Sleep(time.Minute)
			if n := looks.Load(); shared && n != int32(time.Minute/watchEvery) || !shared && n != 0 {
				t.Errorf("%d looks while nobody waits", n)
			}
		})
	}
}

// Ensure that a follower outlives a store that fails for a while, and says so twice.
func TestFollowerOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, log := faultblob.New(), &logBuffer{}
		store := bucket.Store(true)
		a := launch(t, bucket.Store(true))
		b := launchWith(t, store, Options{Logger: log.logger()})
		key, c := enroll(t, a, "home", "agent")
		letIn(t, b, "home", key)
		woken := make(chan error)
		go func() {
			_, err := b.Wait(t.Context(), c, 1)
			woken <- err
		}()
		go func() { _, _ = b.Wait(t.Context(), c, 1000) }() // keeps the follower until the test ends
		synctest.Wait()
		store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return faultblob.Drop })
		time.Sleep(time.Minute)
		post(t, a, c, "x")
		store.OnCall(nil)
		time.Sleep(20 * time.Second)
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := countLines(log.String(), "looked for"); n != 2 {
			t.Fatalf("%d lines:\n%s", n, log)
		}
	})
}

// Ensure that Close wakes those who wait.
func TestCloseEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(true))
		_, c := enroll(t, e, "home", "agent")
		woken := make(chan error)
		go func() {
			_, err := e.Wait(t.Context(), c, 1)
			woken <- err
		}()
		synctest.Wait()
		go shut(t, e)
		wantCode(t, <-woken, exchange.CodeUnavailable)
	})
}

// Ensure that events whose type begins with note_ wake nobody, and that every other one does.
func TestNotesWakeNobody(t *testing.T) {
	m := newMachine("home", newBodies(maxBodies))
	apply := func(seq int64, eventType string) {
		m.Apply([]eventlog.Event{{Seq: seq, Type: eventType, Payload: []byte("{}")}})
	}
	apply(1, exchange.ExecutorRegistered)
	_, _, _, news := m.glance(exchange.Caller{})
	apply(2, "note_delivered")
	select {
	case <-news:
		t.Fatal("woken by a note")
	default:
	}
	if head, telling, _, _ := m.glance(exchange.Caller{}); head != 2 || telling != 1 {
		t.Fatal(head, telling)
	}
	apply(3, exchange.ThreadCreated)
	<-news
	if head, telling, _, _ := m.glance(exchange.Caller{}); head != 3 || telling != 3 {
		t.Fatal(head, telling)
	}
}
