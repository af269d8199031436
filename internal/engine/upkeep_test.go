package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// many posts so many requests in a few commits.
func many(t *testing.T, e *Engine, c Caller, n int) {
	t.Helper()
	done := make(chan struct{})
	for range n {
		go func() {
			post(t, e, c, "intent")
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
}

// Ensure that a snapshot is written by itself when enough has happened, that a start reads it and the little
// behind it, and finds the same state as one that reads the whole log; and that the check agrees.
func TestSnapshotsAreWrittenAndUsed(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launch(t, bucket.Store(shared))
			key, c := enroll(t, e, "home", "agent")
			many(t, e, c, snapshotAfter/2-10)
			time.Sleep(2 * upkeepEvery)
			if keys := bucket.Keys(eventlog.SnapshotsPrefix("home")); len(keys) != 0 {
				t.Errorf("before it is due: %v", keys)
			}
			many(t, e, c, 10)
			time.Sleep(2 * upkeepEvery)
			if keys := bucket.Keys(eventlog.SnapshotsPrefix("home")); len(keys) != 1 {
				t.Errorf("when it is due: %v", keys)
			}
			ref := post(t, e, c, "after the snapshot")
			claim := &exchange.Update{Ref: ref, Status: "claimed", Mess: []json.RawMessage{json.RawMessage(`{"ack":{}}`)}}
			if err := e.Update(t.Context(), c, claim); err != nil {
				t.Fatal(err)
			}
			before := describe(t, e, c)
			shut(t, e)
			if keys := bucket.Keys(eventlog.SnapshotsPrefix("home")); len(keys) != 1 {
				t.Errorf("a close wrote one for two commits: %v", keys)
			}

			store := bucket.Store(shared)
			var commits atomic.Int64
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Get && strings.HasPrefix(op.Key, eventlog.Prefix("home")) {
					commits.Add(1)
				}
				return faultblob.None
			})
			e = launch(t, store)
			c = letIn(t, e, "home", key)
			if n := commits.Load(); n > 8 {
				t.Errorf("a start from a snapshot read %d commits", n)
			}
			if after := describe(t, e, c); after != before {
				t.Error("the state is another after a start from the snapshot")
			}
			r, err := Check(t.Context(), bucket.Store(shared), "home")
			if err != nil || len(r.Findings)+len(r.Notes) > 0 {
				t.Error(err, r.Findings, r.Notes)
			}
		})
	}
}

// Ensure that an exchange that is closed leaves a snapshot of all its events where they are many.
func TestCloseWritesSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "agent")
		many(t, e, c, closeAfter)
		_, idle := enroll(t, e, "office", "agent")
		many(t, e, idle, closeAfter)
		time.Sleep(idleAfter + 3*upkeepEvery)
		if keys := bucket.Keys(eventlog.SnapshotsPrefix("office")); len(keys) != 1 || open(e, "office") != "" {
			t.Errorf("of one that is put away: %v", keys)
		}
		post(t, e, c, "once more")
		shut(t, e)
		if keys := bucket.Keys(eventlog.SnapshotsPrefix("home")); len(keys) != 1 {
			t.Errorf("of one that is closed: %v", keys)
		}
		for _, id := range []string{"home", "office"} {
			r, err := Check(t.Context(), bucket.Store(false), id)
			if err != nil || len(r.Findings)+len(r.Notes) > 0 {
				t.Error(id, err, r.Findings, r.Notes)
			}
		}
	})
}

// Ensure that a snapshot that can't be written is said and tried again, and costs nobody anything.
func TestSnapshotThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		var logged logBuffer
		e := launchWith(t, store, Options{Logger: logged.logger(), Fatal: func(err error) { t.Error(err) }})
		_, c := enroll(t, e, "home", "agent")
		many(t, e, c, snapshotAfter/2)
		var tries, works atomic.Int32
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, "snapshots/") {
				tries.Add(1)
				if works.Load() == 0 {
					return faultblob.Refuse
				}
			}
			return faultblob.None
		})
		time.Sleep(snapshotRetry - upkeepEvery)
		if n := tries.Load(); n != 1 || strings.Count(logged.String(), "a snapshot could not be written") != 1 {
			t.Errorf("%d tries in less than the pause\n%s", n, &logged)
		}
		works.Store(1)
		time.Sleep(3 * upkeepEvery)
		if keys := bucket.Keys(eventlog.SnapshotsPrefix("home")); tries.Load() != 2 || len(keys) != 1 {
			t.Errorf("%d tries, %v", tries.Load(), keys)
		}
	})
}

// Ensure that a snapshot that is not what the log makes is found.
func TestCheckFindsWrongSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "agent")
		many(t, e, c, closeAfter)
		x := e.resident()[0].x
		x.machine.state.Apply(exchange.Event{Type: exchange.MessageAdded, Thread: fmt.Sprint(firstRef(t, e, c)), Seq: 3, Actor: "agent", TS: time.Now(), Payload: []byte(`{"mess":[]}`)})
		shut(t, e)
		r, err := Check(t.Context(), bucket.Store(false), "home")
		if err != nil || len(r.Findings) != 1 || !strings.Contains(r.Findings[0], firstKey(bucket)) {
			t.Error(err, r.Findings)
		}
	})
}

func firstRef(t *testing.T, e *Engine, c Caller) string {
	t.Helper()
	threads, err := e.Threads(t.Context(), c, exchange.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return threads[0].Ref
}

func firstKey(b *faultblob.Bucket) string { return b.Keys(eventlog.SnapshotsPrefix("home"))[0] }
