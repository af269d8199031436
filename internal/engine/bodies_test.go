package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

func said(text string) exchange.Message {
	return exchange.Message{From: "agent", Mess: json.RawMessage(text)}
}

// texts joins what messages say.
func texts(messages []exchange.Message) string {
	var all []string
	for _, m := range messages {
		all = append(all, string(m.Mess))
	}
	return strings.Join(all, " ")
}

// Ensure that what is kept of a thread is a beginning of it, whoever adds to it in which order.
func TestBodiesKeepBeginnings(t *testing.T) {
	b := newBodies(maxBodies)
	name := threadName{"home", "2026-02-01-XY1Z"}
	b.add(name, 2, said("two"))
	if got := b.beginning(name, 2); got != nil {
		t.Errorf("without the first: %s", texts(got))
	}
	b.add(name, 1, said("one"))
	b.add(name, 3, said("three"))
	if got := texts(b.beginning(name, 3)); got != "one" {
		t.Errorf("with a gap: %s", got)
	}
	b.add(name, 2, said("two"))
	two := b.beginning(name, 2)
	b.add(name, 3, said("three"))
	b.keep(name, []exchange.Message{said("one")}) // read before the others were added
	if got := texts(b.beginning(name, 9)); got != "one two three" || texts(two) != "one two" {
		t.Errorf("got %s, and before %s", got, texts(two))
	}
	if got := texts(b.beginning(name, 1)); got != "one" {
		t.Errorf("of a thread as it was: %s", got)
	}
	if got := b.beginning(threadName{"office", name.ref}, 1); got != nil {
		t.Errorf("another exchange's: %s", texts(got))
	}
}

// Ensure that what was not used for longest goes first, and that memory stays within the limit.
func TestBodiesAreBounded(t *testing.T) {
	text := strings.Repeat("x", 1000)
	one := threadOverhead + messageOverhead + len("agent") + len(text)
	b := newBodies(3 * one)
	name := func(i int) threadName { return threadName{"home", fmt.Sprint(i)} }
	for i := range 3 {
		b.add(name(i), 1, said(text))
	}
	b.beginning(name(0), 1)
	b.add(name(3), 1, said(text))
	for i, want := range []int{1, 0, 1, 1} {
		if got := len(b.beginning(name(i), 1)); got != want {
			t.Errorf("thread %d: %d messages", i, got)
		}
	}
	if b.size != 3*one || len(b.threads) != 3 || b.recent.Len() != 3 {
		t.Errorf("%d bytes of %d threads, %d in order", b.size, len(b.threads), b.recent.Len())
	}
	b.add(name(0), 2, said(strings.Repeat("x", 3*one)))
	if got := len(b.beginning(name(0), 2)); got != 0 {
		t.Errorf("a thread larger than all is kept")
	}
	if b.size != 2*one || len(b.threads) != 2 {
		t.Errorf("%d bytes of %d threads", b.size, len(b.threads))
	}
}

// Ensure that threads that were put away read as they were written, at the cost of one ranged read, once;
// and that a store that can't be read, or holds something else, is a refusal that says so.
func TestColdThreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		key, c := enroll(t, e, "home", "agent")
		var refs []string
		for i := range 4 {
			refs = append(refs, post(t, e, c, fmt.Sprint("intent ", i)))
		}
		if err := e.Update(t.Context(), c, &exchange.Update{Ref: refs[1], Mess: []json.RawMessage{json.RawMessage(`{"response":{"content":["2.50 <b>"]}}`)}}); err != nil {
			t.Fatal(err)
		}
		before := describe(t, e, c)
		shut(t, e)

		store := bucket.Store(false)
		e = launch(t, store)
		c = letIn(t, e, "home", key)
		reads, fault := 0, faultblob.None
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Get {
				reads++
				return fault
			}
			return faultblob.None
		})
		if _, err := e.Thread(t.Context(), c, refs[0]); err != nil || reads != 1 {
			t.Errorf("%d reads for a cold thread, %v", reads, err)
		}
		if _, err := e.Thread(t.Context(), c, refs[0]); err != nil || reads != 1 {
			t.Errorf("%d reads for it a second time, %v", reads, err)
		}
		fault = faultblob.Refuse
		_, err := e.Thread(t.Context(), c, refs[3])
		wantCode(t, err, exchange.CodeUnavailable)
		fault = faultblob.None
		if after := describe(t, e, c); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		ref := post(t, e, c, "new")
		n := reads
		if _, err := e.Thread(t.Context(), c, ref); err != nil || reads != n {
			t.Errorf("%d reads for a thread that was just written, %v", reads-n, err)
		}
	})
}

// Ensure that what is read from the log for calls in progress is bounded: one thread too many waits until others
// end, and is told to come back where they don't.
func TestReadingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		key, c := enroll(t, e, "home", "agent")
		ref := post(t, e, c, strings.Repeat("long ", freeReading))
		shut(t, e)
		e = launch(t, bucket.Store(false))
		c = letIn(t, e, "home", key)
		if !e.reading.TryAcquire(maxReading) {
			t.Fatal("room is taken before anyone reads")
		}
		_, err := e.Thread(t.Context(), c, ref)
		wantCode(t, err, exchange.CodeOverloaded)
		e.reading.Release(maxReading)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := e.Thread(ctx, c, ref); err != nil {
			t.Error(err)
		}
		if e.reading.TryAcquire(maxReading) {
			t.Error("room is given back before the call ends")
		}
		cancel()
		synctest.Wait()
		if !e.reading.TryAcquire(maxReading) {
			t.Error("room is kept after the call")
		}
	})
}

// Ensure that a thread whose events are gone from the store is an internal error that names the place, and
// that all others are served.
func TestDamagedThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		key, c := enroll(t, e, "home", "agent")
		lost := post(t, e, c, "lost")
		keys := bucket.Keys(eventlog.Prefix("home"))
		kept := post(t, e, c, "kept")
		shut(t, e)
		e = launch(t, bucket.Store(false))
		c = letIn(t, e, "home", key)
		bucket.Remove(keys[len(keys)-1])
		_, err := e.Thread(t.Context(), c, lost)
		wantCode(t, err, exchange.CodeInternal)
		if !strings.Contains(fmt.Sprint(err.(*exchange.Error).Err), keys[len(keys)-1]) {
			t.Errorf("%v does not name %s", err.(*exchange.Error).Err, keys[len(keys)-1])
		}
		if _, err := e.Thread(t.Context(), c, kept); err != nil {
			t.Error(err)
		}
	})
}

// Ensure that the cache leaves room where the operator gave the process little memory.
func TestBodiesWithinMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(80 << 20)
	defer debug.SetMemoryLimit(before)
	if got := bodiesLimit(); got != 10<<20 {
		t.Errorf("%d bytes of 80 MiB", got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if got := bodiesLimit(); got != maxBodies {
		t.Errorf("%d bytes where there is no limit", got)
	}
}
