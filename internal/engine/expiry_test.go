package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const expiredEvent = `"new_status":"expired"`

// urgent creates a request that is needed within a minute, and returns its ref.
func urgent(t *testing.T, e *Engine, c Caller) string {
	t.Helper()
	body := fmt.Sprintf(`{"intent":"soon","needed_by":%q}`, time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano))
	cmd := &exchange.Create{Intent: "soon", Request: []byte(body)}
	if err := e.Create(t.Context(), c, cmd); err != nil {
		t.Fatal("create:", err)
	}
	return cmd.Result.Ref
}

// expiries counts the expiries in the log of home.
func expiries(b *faultblob.Bucket) int {
	n := 0
	for _, key := range b.Keys("events/exchange=home/") {
		data, _ := b.Get(key)
		n += strings.Count(string(data), expiredEvent)
	}
	return n
}

// Ensure that no claim wins from needed_by on, at whatever replica, and that the first refusal commits the
// expiry, once.
func TestLateClaimsExpireAThreadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, agent := enroll(t, a, "home", "agent")
		atB := letIn(t, b, "home", key)
		for n := 1; n <= 5; n++ {
			ref := urgent(t, a, agent)
			time.Sleep(time.Minute)
			var calls sync.WaitGroup
			for i := range 8 {
				calls.Go(func() {
					e, c := a, agent
					if i%2 == 0 {
						e, c = b, atB
					}
					wantCode(t, e.Update(t.Context(), c, &exchange.Update{Ref: ref, Status: exchange.StatusClaimed}), exchange.CodeThreadClosed)
				})
			}
			calls.Wait()
			if got := expiries(bucket); got != n {
				t.Fatalf("%d expiries of %d threads are in the log", got, n)
			}
			if th, err := b.Thread(t.Context(), atB, ref); err != nil || th.Status != exchange.StatusExpired {
				t.Fatal(th, err)
			}
		}
		if broken := bucket.Broken(); broken != nil {
			t.Fatal(broken)
		}
	})
}

// Ensure that a refusal that rests on an expiry leaves after the commit with it, and not at all where that
// fails.
func TestRefusalWaitsForItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		ref := urgent(t, e, c)
		time.Sleep(time.Minute)
		claim := func() error {
			return e.Update(t.Context(), c, &exchange.Update{Ref: ref, Status: exchange.StatusClaimed})
		}
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				return faultblob.Refuse
			}
			return faultblob.None
		})
		wantCode(t, claim(), exchange.CodeUnavailable)
		if th, err := e.Thread(t.Context(), c, ref); err != nil || th.Status != exchange.StatusPending {
			t.Fatal("an expiry that is not durable was shown:", th, err)
		}

		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				<-gate
			}
			return faultblob.None
		})
		answer := make(chan error, 1)
		go func() { answer <- claim() }()
		synctest.Wait()
		select {
		case err := <-answer:
			t.Fatal("answered before its commit was durable:", err)
		default:
		}
		close(gate)
		wantCode(t, <-answer, exchange.CodeThreadClosed)
		if got := expiries(bucket); got != 1 {
			t.Errorf("%d expiries are in the log", got)
		}
		if broken := bucket.Broken(); broken != nil {
			t.Fatal(broken)
		}
	})
}

// Ensure that the exchange's own Expire goes the way of every command, and that a restart from the log goes
// on with what is left.
func TestExpireGoesThroughTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		key, c := enroll(t, e, "home", "agent")
		const threads = 300
		for range threads {
			urgent(t, e, c)
		}
		time.Sleep(time.Minute)
		first := expireIn(t, e, c)
		if first.Result.Expired == 0 || first.Result.Expired == threads || !first.Result.More {
			t.Fatalf("the first of several: %+v", first.Result)
		}
		shut(t, e)
		e = launch(t, bucket.Store(false))
		c = letIn(t, e, "home", key)
		second := expireIn(t, e, c)
		if first.Result.Expired+second.Result.Expired != threads || second.Result.More {
			t.Fatalf("the last: %+v", second.Result)
		}
		if third := expireIn(t, e, c); third.Result.Expired > 0 {
			t.Fatalf("one more: %+v", third.Result)
		}
		if got := expiries(bucket); got != threads {
			t.Errorf("%d expiries are in the log", got)
		}
	})
}

func expireIn(t *testing.T, e *Engine, c Caller) *exchange.Expire {
	t.Helper()
	x, leave, err := e.call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	cmd := &exchange.Expire{}
	if err := x.submit(t.Context(), cmd); err != nil {
		t.Fatal("expire:", errors.Unwrap(err), err)
	}
	return cmd
}
