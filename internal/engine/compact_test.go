package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// twoDays has an exchange with a few commits on each of two days, the first of which is closed. It returns
// the folder of that day.
func twoDays(t *testing.T, e *Engine) (c Caller, folder string) {
	t.Helper()
	_, c = enroll(t, e, "home", "agent")
	folder = eventlog.Prefix("home") + time.Now().UTC().Format("2006/01/02/")
	post(t, e, c, "first")
	time.Sleep(24 * time.Hour)
	post(t, e, c, "second")
	return c, folder
}

// Ensure that an engine merges closed days by itself, and that its own replicas and later ones read on.
func TestCompacts(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			bucket.AllowMerges()
			e := launch(t, bucket.Store(shared))
			c, folder := twoDays(t, e)
			before := describe(t, e, c)
			time.Sleep(compactEvery) // the first day is too young
			if n := len(bucket.Keys(folder)); n != 3 {
				t.Fatalf("%d objects", n)
			}
			time.Sleep(compactEvery + 2*compactSpread)
			if n := len(bucket.Keys(folder)); n != 1 {
				t.Errorf("%d objects of a closed day", n)
			}
			if after := describe(t, e, c); after != before {
				t.Errorf("before the merge:\n%s\nafter it:\n%s", before, after)
			}
			shut(t, e)
			e = launch(t, bucket.Store(shared))
			if after := describe(t, e, c); after != before {
				t.Errorf("before the merge:\n%s\nafter a restart:\n%s", before, after)
			}
			if broken := bucket.Broken(); broken != nil {
				t.Error(broken)
			}
		})
	}
}

// Ensure that Close does not wait for a merge, and that the next engine finishes it.
func TestCloseEndsMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		store := bucket.Store(true)
		e := launch(t, store)
		_, folder := twoDays(t, e)
		merging := make(chan struct{}, 10)
		store.OnCall(func(ctx context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Delete {
				merging <- struct{}{}
				<-ctx.Done()
				return faultblob.Drop
			}
			return faultblob.None
		})
		<-merging
		began := time.Now()
		shut(t, e)
		if took := time.Since(began); took > time.Second {
			t.Errorf("close took %s", took)
		}
		if n := len(bucket.Keys(folder)); n != 3 {
			t.Errorf("%d objects after the merge was ended", n)
		}
		launch(t, bucket.Store(true))
		time.Sleep(compactAfter + compactSpread)
		synctest.Wait()
		if n := len(bucket.Keys(folder)); n != 1 || bucket.Broken() != nil {
			t.Errorf("%d objects after another merge, broken: %q", n, bucket.Broken())
		}
	})
}

// Ensure that a store that fails is tried again, that what can't be merged is said, and that a lost disk ends
// the process.
func TestCompactFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		store, log, fatal := bucket.Store(false), &logBuffer{}, make(chan error, 1)
		e := launchWith(t, store, Options{Logger: log.logger(), Fatal: func(err error) { fatal <- err }})
		_, folder := twoDays(t, e)
		fail := func(fault faultblob.Fault) {
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, folder) {
					return fault
				}
				return faultblob.None
			})
		}
		fail(faultblob.Drop)
		time.Sleep(2*compactEvery + 2*compactSpread)
		if !strings.Contains(log.String(), "could not be merged") || len(bucket.Keys(folder)) != 3 {
			t.Errorf("%d objects; it logs\n%s", len(bucket.Keys(folder)), log)
		}
		fail(faultblob.Die)
		if err := <-fatal; !store.Fatal(err) {
			t.Error(err)
		}
	})
}
