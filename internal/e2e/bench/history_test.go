package main

import (
	"errors"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// TestHistory: what is written without a server is a log like any other. `check` finds nothing wrong with
// it, the executor's key opens it, and it holds the threads that it says.
func TestHistory(t *testing.T) {
	for name, h := range map[string]history{
		"a day an object":    {threads: threadsPerDay + 3},
		"an event an object": {threads: 120, single: true},
		"mixed":              {threads: 400, mixed: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			key := beginLog(t, dir)
			refs, err := h.write(dir)
			if err != nil {
				t.Fatal(err)
			}
			e, store, closeBoth := openEngine(t, dir)
			defer closeBoth()
			report, err := eventlog.Check(t.Context(), store, exchangeID, eventlog.CheckOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Findings) > 0 || len(report.Notes) > 0 {
				t.Errorf("the log is said to be wrong: %q, %q", report.Findings, report.Notes)
			}
			caller, err := e.Authenticate(t.Context(), exchangeID, key)
			if err != nil {
				t.Fatal(err)
			}
			threads, err := e.Threads(t.Context(), caller, exchange.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			if len(refs) != h.threads || len(threads) != h.threads {
				t.Fatalf("%d refs and %d threads, want %d", len(refs), len(threads), h.threads)
			}
			if h.mixed {
				wantMixed(t, e, caller)
				return
			}
			if first, last := threads[h.threads-1].Ref, threads[0].Ref; first != refs[0] || last != refs[h.threads-1] {
				t.Errorf("from %s to %s, want %s to %s", first, last, refs[0], refs[h.threads-1])
			}
			// The day of the history is over; the log goes on in the one of today.
			if err := e.Create(t.Context(), caller, &exchange.Create{Intent: "x", Request: []byte(`{"intent":"x"}`)}); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantMixed: the executor could claim and holds as many threads as a list shows.
func wantMixed(t *testing.T, e *engine.Engine, c engine.Caller) {
	t.Helper()
	for _, f := range []exchange.Filter{{Eligible: executorID}, {Executor: executorID, Status: "claimed"}} {
		if threads, err := e.Threads(t.Context(), c, f); err != nil || len(threads) != mixedShown {
			t.Errorf("%+v: %d threads, want %d (%v)", f, len(threads), mixedShown, err)
		}
	}
}

// TestSuffixes: no ref comes twice in a day.
func TestSuffixes(t *testing.T) {
	seen := map[string]bool{}
	for i := range threadsPerDay {
		s := suffix(i)
		if len(s) != 4 || seen[s] {
			t.Fatalf("suffix %d is %q, seen before: %t", i, s, seen[s])
		}
		seen[s] = true
	}
}

// beginLog leaves in a folder what a server leaves there after the executor has registered, and returns
// the executor's key.
func beginLog(t testing.TB, dir string) string {
	e, _, closeBoth := openEngine(t, dir)
	defer closeBoth()
	key, err := e.Register(t.Context(), exchangeID, engine.Registration{ExecutorID: executorID})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// openEngine runs the engine on a folder until closeBoth is called.
func openEngine(t testing.TB, dir string) (e *engine.Engine, store *bucket.Store, closeBoth func()) {
	store, err := bucket.Open(t.Context(), bucket.Config{Type: "filesystem", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	e = engine.New(store, engine.Options{})
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e, store, func() {
		if err := errors.Join(e.Close(t.Context()), store.Close()); err != nil {
			t.Error(err)
		}
	}
}
