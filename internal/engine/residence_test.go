package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// open returns which exchanges are open, sorted as they are named here.
func open(e *Engine, ids ...string) string {
	var all []string
	for _, o := range e.resident() {
		all = append(all, o.x.id)
	}
	var found []string
	for _, id := range ids {
		if strings.Contains(" "+strings.Join(all, " ")+" ", " "+id+" ") {
			found = append(found, id)
		}
	}
	return strings.Join(found, " ")
}

// Ensure that an exchange that nobody uses is put away and comes back as it was, with when its executors
// were last seen; and that one in use stays.
func TestIdleExchangesArePutAway(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := launch(t, faultblob.New().Store(shared))
			key, c := enroll(t, e, "home", "agent")
			post(t, e, c, "intent")
			_, watched := enroll(t, e, "office", "agent")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			woken := make(chan error)
			go func() {
				_, err := e.Wait(ctx, watched, 1)
				woken <- err
			}()
			time.Sleep(time.Minute)
			letIn(t, e, "home", key)
			seen := time.Now()
			before := describe(t, e, c)
			time.Sleep(idleAfter - upkeepEvery)
			if got := open(e, "home", "office"); got != "home office" {
				t.Errorf("open before its time: %s", got)
			}
			time.Sleep(3 * upkeepEvery)
			want := "office"
			if shared {
				want = "home office" // others may write to it
			}
			if got := open(e, "home", "office"); got != want {
				t.Errorf("open: %s, want %s", got, want)
			}
			if after := describe(t, e, c); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			all, err := e.Executors(t.Context(), c)
			if err != nil || !all[0].LastSeen.Equal(seen) {
				t.Errorf("last seen %v, want %v, %v", all[0].LastSeen, seen, err)
			}
			cancel()
			if err := <-woken; err == nil {
				t.Error("woken by nothing")
			}
		})
	}
}

// Ensure that who comes while an exchange is being put away gets it again, not the closed one.
func TestReturnWhilePuttingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(false)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				<-gate
			}
			return faultblob.None
		})
		// A command whose caller has gone is still being written when the exchange is put away.
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- e.Create(ctx, c, request("abandoned")) }()
		synctest.Wait()
		cancel()
		wantCode(t, <-gone, exchange.CodeOutcomeUnknown)
		o := e.resident()[0]
		if !e.putAway(o, time.Now()) {
			t.Fatal("it is in use")
		}
		if got := open(e, "home"); got != "" {
			t.Errorf("open: %s", got)
		}
		listed := make(chan int)
		go func() {
			threads, err := e.Threads(t.Context(), c, exchange.Filter{})
			if err != nil {
				t.Error(err)
			}
			listed <- len(threads)
		}()
		synctest.Wait()
		close(gate)
		if n := <-listed; n != 1 {
			t.Errorf("%d threads", n)
		}
		if e.resident()[0] == o {
			t.Error("the closed exchange is used on")
		}
	})
}

// Ensure that the number of open exchanges is bounded: one more takes the place of the one unused for longest,
// and is refused where all are in use.
func TestOpenExchangesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		e.maxOpen = 2
		callers := map[string]Caller{}
		for _, id := range []string{"a", "b", "c"} {
			_, callers[id] = enroll(t, e, id, "agent")
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if got := open(e, "a", "b", "c"); got != "b c" {
			t.Errorf("open: %s", got)
		}
		post(t, e, callers["b"], "intent")
		time.Sleep(time.Second)
		post(t, e, callers["a"], "intent")
		synctest.Wait()
		if got := open(e, "a", "b", "c"); got != "a b" {
			t.Errorf("open: %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		for _, id := range []string{"a", "b"} {
			go func() {
				_, err := e.Wait(ctx, callers[id], 9)
				ended <- err
			}()
		}
		synctest.Wait()
		_, err := e.Threads(t.Context(), callers["c"], exchange.Filter{})
		wantCode(t, err, exchange.CodeOverloaded)
		cancel()
		<-ended
		<-ended
		if _, err := e.Threads(t.Context(), callers["c"], exchange.Filter{}); err != nil {
			t.Error(err)
		}
	})
}

// Ensure that a start with more exchanges than may be open opens each, and that all of them work.
func TestMoreExchangesThanMayBeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		keys := map[string]string{}
		for i := range 12 {
			id := fmt.Sprint("home-", i)
			keys[id], _ = enroll(t, e, id, "agent")
		}
		shut(t, e)
		e = New(bucket.Store(false), Options{Fatal: func(err error) { t.Error(err) }})
		e.maxOpen = 5
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shut(t, e) })
		time.Sleep(time.Minute)
		if err := e.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		for id, key := range keys {
			letIn(t, e, id, key)
			synctest.Wait()
			if n := len(e.resident()); n > 5 {
				t.Errorf("%d exchanges are open", n)
			}
		}
	})
}

// Ensure that closed days of exchanges that are not open are merged too, which leaves them as they were.
func TestCompactsWhatIsPutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		e := launch(t, bucket.Store(false))
		_, folder := twoDays(t, e)
		time.Sleep(2*compactEvery + 2*compactSpread)
		if n := len(bucket.Keys(folder)); n != 1 {
			t.Errorf("%d objects of a closed day", n)
		}
		if got := open(e, "home"); got != "" {
			t.Error("it stays open")
		}
		if keys := bucket.Keys(eventlog.Prefix("home")); len(keys) < 3 {
			t.Error(keys)
		}
	})
}
