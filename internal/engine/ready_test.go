package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

func wantUnready(t *testing.T, e *Engine, code exchange.Code, message string) {
	t.Helper()
	err := e.Ready(t.Context())
	wantCode(t, err, code)
	var refusal *exchange.Error
	if errors.As(err, &refusal) && refusal.Message != message {
		t.Errorf("got %q, want %q", refusal.Message, message)
	}
}

func wantReady(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Ready(t.Context()); err != nil {
		t.Error("not ready:", err)
	}
}

// changes counts the writes that come to a store, and has them end as set.
type changes struct {
	fault  atomic.Int64
	writes atomic.Int64
	probes atomic.Int64 // of the writes, those of the trial's own objects
}

func (c *changes) call(_ context.Context, op faultblob.Op) faultblob.Fault {
	if op.Kind != faultblob.Put {
		return faultblob.None
	}
	c.writes.Add(1)
	if strings.HasPrefix(op.Key, "snapshots/-probe/") {
		c.probes.Add(1)
	}
	return faultblob.Fault(c.fault.Load())
}

// Ensure that an engine is ready when it has tried every exchange that it found, and says how far it is.
func TestReadyOnceExchangesAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		before := launch(t, bucket.Store(true))
		for _, id := range []string{"a", "b", "c"} {
			enroll(t, before, id, "phone")
		}
		store, held := bucket.Store(true), make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			switch {
			case strings.HasPrefix(op.Key, "events/exchange=b/"):
				<-held
			case strings.HasPrefix(op.Key, "events/exchange=c/"):
				return faultblob.Drop
			}
			return faultblob.None
		})
		e := New(store, Options{})
		wantUnready(t, e, exchange.CodeNotReady, "Looking for exchanges")
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer shut(t, e)
		time.Sleep(time.Minute) // c has failed, b still waits
		wantUnready(t, e, exchange.CodeNotReady, "Opening exchanges: 2 of 3")
		close(held)
		synctest.Wait()
		wantReady(t, e)
	})
}

// Ensure that a storage that takes no changes makes the engine unready, that it becomes ready by itself,
// and that the storage is tried at most once a second, whoever asks.
func TestReadyFollowsTheStorage(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store, c := faultblob.New().Store(shared), &changes{}
			e := launch(t, store)
			store.OnCall(c.call)
			c.fault.Store(int64(faultblob.Refuse))
			wantUnready(t, e, exchange.CodeUnavailable, "The storage does not permit changes")
			var callers sync.WaitGroup
			for range 50 { // over 5 s
				for range 20 {
					callers.Go(func() { _ = e.Ready(t.Context()) })
				}
				callers.Wait()
				time.Sleep(100 * time.Millisecond)
			}
			if n := c.writes.Load(); n > 6 {
				t.Errorf("%d trials in 5 s", n)
			}
			c.fault.Store(int64(faultblob.Drop))
			time.Sleep(evidenceTime)
			wantUnready(t, e, exchange.CodeUnavailable, "The storage does not answer")
			c.fault.Store(int64(faultblob.None))
			time.Sleep(evidenceTime)
			wantReady(t, e)
			c.fault.Store(int64(faultblob.Refuse))
			time.Sleep(evidenceTime)
			wantUnready(t, e, exchange.CodeUnavailable, "The storage does not permit changes")
		})
	}
}

// Ensure that changes spare the trial, and that one that failed is known at once and not forgotten for a
// trial that writes nothing.
func TestReadyKnowsWhatBecameOfChanges(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store, c := faultblob.New().Store(shared), &changes{}
			e := launch(t, store)
			_, agent := enroll(t, e, "home", "agent")
			store.OnCall(c.call)
			for range 20 {
				post(t, e, agent, "x")
				wantReady(t, e)
				time.Sleep(evidenceTime / 2)
			}
			if n := c.writes.Load(); n != 20 {
				t.Errorf("%d writes for 20 changes", n)
			}
			c.fault.Store(int64(faultblob.Refuse))
			wantCode(t, e.Create(t.Context(), agent, request("y")), exchange.CodeUnavailable)
			wantUnready(t, e, exchange.CodeUnavailable, "The storage does not permit changes")
			if n := c.writes.Load(); n != 21 {
				t.Errorf("%d trials right after a failed change", n-21)
			}
			c.fault.Store(int64(faultblob.None))
			time.Sleep(evidenceTime)
			wantReady(t, e)
			if c.probes.Load() != 1 {
				t.Error("after a failed change nothing was written")
			}
			time.Sleep(evidenceTime)
			wantReady(t, e)
			if n := c.probes.Load(); shared != (n == 1) {
				t.Errorf("%d objects written by trials of a good storage", n)
			}
		})
	}
}

// Ensure that a storage that hangs is told from a good one soon.
func TestReadyDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(true)
		e := launch(t, store)
		store.OnCall(func(ctx context.Context, _ faultblob.Op) faultblob.Fault {
			<-ctx.Done()
			return faultblob.Drop
		})
		began := time.Now()
		wantUnready(t, e, exchange.CodeUnavailable, "The storage does not answer in time")
		if took := time.Since(began); took > trialTime {
			t.Error("it took", took)
		}
	})
}
