package engine

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that every call is answered within ten seconds by a store that hangs, whenever it comes: before
// others, amid others, for an exchange that is open, or not yet open, or not there.
func TestEveryCallIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(true)
		_, _ = enroll(t, launch(t, bucket.Store(true)), "later", "agent")
		e := launch(t, store)
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "x")
		name := "Agent"
		store.OnCall(func(ctx context.Context, op faultblob.Op) faultblob.Fault {
			if !strings.HasPrefix(op.Key, "snapshots/") {
				<-ctx.Done()
			}
			return faultblob.Drop
		})
		var calls sync.WaitGroup
		call := func(kind string, f func() error) {
			calls.Go(func() {
				began := time.Now()
				err := f()
				if took := time.Since(began); took > 10*time.Second || err == nil {
					t.Errorf("%s: %v after %v", kind, err, took)
				}
			})
		}
		for range 30 { // over a minute, so that each meets each at every moment
			call("create", func() error { return e.Create(t.Context(), agent, request("y")) })
			call("claim", func() error {
				return e.Update(t.Context(), agent, &exchange.Update{Ref: ref, Status: "claimed"})
			})
			call("profile", func() error {
				return e.UpdateProfile(t.Context(), agent, "agent", ProfileUpdate{DisplayName: &name})
			})
			call("thread", func() error { _, err := e.Thread(t.Context(), agent, ref); return err })
			call("list", func() error { _, err := e.Threads(t.Context(), agent, exchange.Filter{}); return err })
			call("executors", func() error { _, err := e.Executors(t.Context(), agent); return err })
			call("wrong key", func() error {
				_, err := e.Authenticate(t.Context(), "home", "mess_home_00112233445566778899aabbccddeeff")
				return err
			})
			call("unopened", func() error {
				_, err := e.Authenticate(t.Context(), "later", "mess_later_00112233445566778899aabbccddeeff")
				return err
			})
			for _, id := range []string{"home", "later", "new"} {
				call("register in "+id, func() error {
					_, err := e.Register(t.Context(), id, Registration{ExecutorID: "phone"})
					return err
				})
			}
			time.Sleep(2100 * time.Millisecond)
		}
		calls.Wait()
		store.OnCall(nil)
	})
}
