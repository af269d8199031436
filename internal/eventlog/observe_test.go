package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// witness writes down what an Observer is told.
type witness struct {
	mu   sync.Mutex
	told []string
}

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, fmt.Sprintf(format, args...))
}

func (w *witness) Opened(took time.Duration, fromSnapshot bool) { w.note("opened %v", fromSnapshot) }
func (w *witness) Met(age time.Duration)                        { w.note("met %v", age) }
func (w *witness) Saved(took time.Duration, err error)          { w.note("saved %v", err != nil) }
func (w *witness) Committed(events, bytes int, took time.Duration, err error) {
	outcome := "stored"
	for word, cause := range map[string]error{"lost": ErrLost, "unavailable": ErrUnavailable, "unknown": ErrOutcomeUnknown} {
		if errors.Is(err, cause) {
			outcome = word
		}
	}
	if bytes < 100*events {
		outcome += fmt.Sprint(" in ", bytes, " bytes")
	}
	w.note("%d %s after %v", events, outcome, took)
}

func (w *witness) want(t *testing.T, what string, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	equal(t, what, w.told, want)
	w.told = nil
}

func watched(t *testing.T, store *faultblob.Store) (*replica, *witness) {
	t.Helper()
	w := &witness{}
	must(t, WriteSchema(t.Context(), store), nil)
	r, err := tryStart(t, store, Options{Create: true, Observer: w})
	must(t, err, nil)
	return r, w
}

// Ensure that an observer is told of each commit, of what it took, and of what befell it, once.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, w := watched(t, b.Store(true))
		other, far := watched(t, b.Store(true))
		w.want(t, "a start", "opened false")
		far.want(t, "another's start", "opened false")
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if isCommit(op) && op.Kind == faultblob.Put {
				time.Sleep(time.Second)
			}
			return faultblob.None
		})
		r.do(t, say("a"))
		w.want(t, "a commit", "1 stored after 1s")

		r.store.OnCall(nil)
		time.Sleep(3 * time.Second)
		must(t, other.Sync(t.Context()), nil)
		far.want(t, "another's commit", "met 4s")
		must(t, other.Sync(t.Context()), nil)
		far.want(t, "no news")
		if age := time.Since(other.Checked()); age != 0 {
			t.Errorf("the head was proved %v ago", age)
		}
		time.Sleep(time.Minute)
		if age := time.Since(other.Checked()); age != time.Minute {
			t.Errorf("the head was proved %v ago", age)
		}

		r.do(t, say("b"))
		w.want(t, "a commit", "1 stored after 0s")
		other.do(t, say("c")) // at the position of b, which it has not seen
		far.want(t, "a lost race", "met 0s", "1 lost after 0s", "1 stored after 0s")
		if age := time.Since(other.Checked()); age != 0 {
			t.Errorf("the head was proved %v ago", age)
		}
		r.stop()
		w.want(t, "an end")
	})
}

func TestObserverOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, w := watched(t, b.Store(false))
		r.do(t, say("a"))
		must(t, r.Snapshot(t.Context()), nil)
		must(t, r.Snapshot(t.Context()), nil) // nothing has happened since
		w.want(t, "a snapshot", "opened false", "1 stored after 0s", "saved false")
		r.do(t, say("b"))
		r.store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return faultblob.Refuse })
		must(t, r.Submit(t.Context(), say("c")), ErrUnavailable)
		if r.Snapshot(t.Context()) == nil {
			t.Error("a snapshot was written to a store that refuses")
		}
		w.want(t, "a store that refuses", "1 stored after 0s", "1 unavailable after 0s", "saved true")
		if age := time.Since(r.Checked()); age != 0 {
			t.Errorf("where nobody else writes, the head was proved %v ago", age)
		}
		r.store.OnCall(nil)
		_, again := watched(t, b.Store(false))
		again.want(t, "a start from a snapshot", "opened true")
	})
}
