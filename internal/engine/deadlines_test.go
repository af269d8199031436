package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// postUntil creates a request that expires.
func postUntil(t *testing.T, e *Engine, c Caller, at time.Time) string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"intent": "soon", "needed_by": at.UTC().Format("2006-01-02T15:04:05.000Z")})
	cmd := &exchange.Create{Intent: "soon", Request: body}
	if err := e.Create(t.Context(), c, cmd); err != nil {
		t.Fatal(err)
	}
	return cmd.Result.Ref
}

// expired returns when threads expired by the log, ref by ref, and how often.
func expired(t *testing.T, b *faultblob.Bucket) map[string][]time.Time {
	t.Helper()
	found := map[string][]time.Time{}
	for _, key := range b.Keys(eventlog.Prefix("home")) {
		data, _ := b.Get(key)
		for line := range strings.Lines(string(data)) {
			var ev struct {
				TS      time.Time
				Ref     string `json:"thread_ref"`
				Type    string `json:"event_type"`
				Payload struct {
					Status string `json:"new_status"`
				}
			}
			if err := json.Unmarshal([]byte(line), &ev); err == nil && ev.Type == exchange.StatusChanged && ev.Payload.Status == exchange.StatusExpired {
				found[ev.Ref] = append(found[ev.Ref], ev.TS)
			}
		}
	}
	return found
}

func wantExpired(t *testing.T, b *faultblob.Bucket, ref string, at time.Time, within time.Duration) {
	t.Helper()
	when := expired(t, b)[ref]
	if len(when) != 1 || when[0].Before(at) || when[0].Sub(at) > within {
		t.Errorf("%s expired at %v, want once, within %s of %v", ref, when, within, at)
	}
}

// Ensure that threads expire within a second of their deadlines with nobody asking, in any order, also those of
// an exchange that was put away, and that those claimed in time don't.
func TestDeadlines(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launch(t, bucket.Store(shared))
			_, c := enroll(t, e, "home", "agent")
			begin := time.Now().Truncate(time.Millisecond)
			at := func(d time.Duration) time.Time { return begin.Add(d) }
			late := postUntil(t, e, c, at(3*time.Hour))
			soon := postUntil(t, e, c, at(time.Minute))
			held := postUntil(t, e, c, at(2*time.Minute))
			twin := postUntil(t, e, c, at(time.Minute))
			if err := e.Update(t.Context(), c, &exchange.Update{Ref: held, Status: "claimed"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if !shared && open(e, "home") != "" {
				t.Error("the exchange is still open")
			}
			wantExpired(t, bucket, soon, at(time.Minute), time.Second)
			wantExpired(t, bucket, twin, at(time.Minute), time.Second)
			time.Sleep(3 * time.Hour)
			wantExpired(t, bucket, late, at(3*time.Hour), time.Second)
			if when := expired(t, bucket); len(when) != 3 {
				t.Error(when)
			}
			e.alarms.mu.Lock()
			defer e.alarms.mu.Unlock()
			if n := len(e.alarms.set); n != 0 {
				t.Errorf("%d alarms for nothing", n)
			}
		})
	}
}

// Ensure that what came due while no server ran expires right after the start, however much it is.
func TestDeadlinesAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "agent")
		due := time.Now().Add(time.Minute).Truncate(time.Millisecond)
		const n = 700 // more than one command moves
		for range n {
			postUntil(t, e, c, due)
		}
		shut(t, e)
		time.Sleep(time.Hour)
		started := time.Now()
		launch(t, bucket.Store(false))
		time.Sleep(time.Second)
		found := expired(t, bucket)
		if len(found) != n {
			t.Errorf("%d of %d expired", len(found), n)
		}
		for ref, when := range found {
			if len(when) != 1 || when[0].Sub(started) > time.Second {
				t.Errorf("%s: %v", ref, when)
			}
		}
	})
}

// Ensure that of two replicas exactly one event comes, and that a replica at which nobody ever asked expires
// what was created at one that died, in an exchange that it did not know at its start too.
func TestDeadlinesOfDeadReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		dying := bucket.Store(true)
		a := launchWith(t, dying, Options{})
		b := launch(t, bucket.Store(true))
		_, c := enroll(t, a, "home", "agent")
		both := time.Now().Add(2 * lookEvery).Truncate(time.Millisecond)
		ref := postUntil(t, a, c, both)
		time.Sleep(2*lookEvery + time.Second)
		wantExpired(t, bucket, ref, both, time.Second)
		if open(b, "home") == "" {
			t.Fatal("the other replica does not know the exchange")
		}
		alone := time.Now().Add(watchEvery + 5*time.Second).Truncate(time.Millisecond)
		ref = postUntil(t, a, c, alone)
		dying.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return faultblob.Lose }) // nothing reaches the store any more
		time.Sleep(30 * time.Second)
		wantExpired(t, bucket, ref, alone, time.Second)
		dying.OnCall(nil)
	})
}

// Ensure that a store that fails at the deadline delays it and no more.
func TestDeadlineOnFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		due := time.Now().Add(time.Minute).Truncate(time.Millisecond)
		ref := postUntil(t, e, c, due)
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				return faultblob.Refuse
			}
			return faultblob.None
		})
		time.Sleep(10 * time.Minute)
		if when := expired(t, bucket); len(when) != 0 {
			t.Fatal(when)
		}
		store.OnCall(nil)
		time.Sleep(deadlineRetryMax + time.Second)
		if when := expired(t, bucket)[ref]; len(when) != 1 {
			t.Error(fmt.Sprint(when))
		}
	})
}
