package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

func countLines(text, with string) int {
	n := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, with) {
			n++
		}
	}
	return n
}

// populated is a bucket with that many exchanges of one thread each. It returns a key of each.
func populated(t *testing.T, exchanges int) (*faultblob.Bucket, []string) {
	bucket := faultblob.New()
	e := launch(t, bucket.Store(false))
	var keys []string
	for i := range exchanges {
		key, c := enroll(t, e, fmt.Sprint("home-", i), "agent")
		post(t, e, c, "x")
		keys = append(keys, key)
	}
	shut(t, e)
	return bucket, keys
}

// Ensure that all exchanges are opened after a start without being asked for, a few at a time, and each
// of them once, whoever asks at the same time.
func TestStartOpensAllOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, keys := populated(t, 30)
		store := bucket.Store(false)
		var genesis, opening, most atomic.Int32
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind != faultblob.Get || !strings.Contains(op.Key, "/1970/01/01/00000000-0000-8") {
				return faultblob.None
			}
			genesis.Add(1)
			most.Store(max(most.Load(), opening.Add(1)))
			time.Sleep(time.Second) // in the bubble's time
			opening.Add(-1)
			return faultblob.None
		})
		e := launch(t, store)
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() { letIn(t, e, "home-29", keys[29]) })
		}
		calls.Wait()
		time.Sleep(20 * time.Second)
		if n := len(e.resident()); n != 30 {
			t.Errorf("%d exchanges are open", n)
		}
		if genesis.Load() != 30 {
			t.Errorf("%d opens", genesis.Load())
		}
		if most.Load() > openers+1 {
			t.Errorf("%d opens at once", most.Load())
		}
	})
}

// Ensure that an exchange which could not be opened is tried again, in the background and for everyone
// who asks, and that nobody takes the outage for an unknown key.
func TestOpenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, keys := populated(t, 2)
		store, log := bucket.Store(true), &logBuffer{}
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "events/exchange=home-1/") {
				return faultblob.Drop
			}
			return faultblob.None
		})
		e := launchWith(t, store, Options{Logger: log.logger()})
		_, err := e.Authenticate(t.Context(), "home-1", keys[1])
		wantCode(t, err, exchange.CodeUnavailable)
		letIn(t, e, "home-0", keys[0])
		time.Sleep(5 * time.Minute)
		if n := countLines(log.String(), "can't be opened"); n < 3 || n > 15 {
			t.Errorf("%d lines about it:\n%s", n, log)
		}
		store.OnCall(nil)
		letIn(t, e, "home-1", keys[1])
		time.Sleep(openRetryMax + time.Second)
		lines := countLines(log.String(), "can't be opened")
		time.Sleep(time.Hour)
		if countLines(log.String(), "can't be opened") != lines {
			t.Error("the background does not stop trying")
		}
	})
}

// Ensure that an open goes on when the visitor who began it goes away, and serves the next one.
func TestOpenOutlivesItsVisitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a := launch(t, bucket.Store(true))
		store := bucket.Store(true)
		b := launch(t, store)
		key, _ := enroll(t, a, "home", "agent")
		var opens atomic.Int32
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Get && strings.Contains(op.Key, "/1970/") {
				opens.Add(1)
				<-gate
			}
			return faultblob.None
		})
		ctx, goAway := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := b.Authenticate(ctx, "home", key)
			gone <- err
		}()
		synctest.Wait()
		goAway()
		wantCode(t, <-gone, exchange.CodeUnavailable)
		close(gate)
		letIn(t, b, "home", key)
		if opens.Load() != 1 {
			t.Errorf("%d opens", opens.Load())
		}
	})
}

// Ensure that the listing finds exchanges in either folder, skips the schema object's partition and
// nothing else, and leaves strangers alone.
func TestListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, log := faultblob.New(), &logBuffer{}
		for _, key := range []string{
			"events/exchange=home/2026/01/01/a.jsonl", "events/exchange=home-2/2026/01/01/a.jsonl", "events/exchange=-foo/2026/01/01/a.jsonl",
			"executors/exchange=attic/lamp.json", "executors/exchange=home/a.json", "events/exchange=a=b/2026/01/01/a.jsonl",
			"events/notes.txt", "events/other/x.jsonl", "events/exchange=/x.jsonl", "snapshots/exchange=z/1",
		} {
			bucket.Put(key, []byte("{}\n"))
		}
		e := launchWith(t, bucket.Store(false), Options{Logger: log.logger()})
		ids, err := Exchanges(t.Context(), e.store, nil)
		if got := strings.Join(ids, " "); err != nil || got != "-foo a=b attic home home-2" {
			t.Fatal(got, err)
		}
		if _, ok := bucket.Get("events/exchange=-schema/1970/01/01/00000000-0000-0000-0000-000000000000.jsonl"); !ok {
			t.Error("there is no schema object")
		}
		if n := countLines(log.String(), "no exchange"); n < 3 {
			t.Errorf("strangers are not named:\n%s", log)
		}
	})
}
