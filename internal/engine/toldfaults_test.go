package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// world is the receivers, whatever process calls them: one that takes everything, one that fails twice, one that wants
// no more, and a hook.
type world struct {
	mu        sync.Mutex
	attempts  map[string]int // by host and id
	delivered map[string]int // by host and the number of the request
	late      int            // attempts about a request after it was closed
	closed    bool
}

var numbers = []string{"number 1.", "number 2."}

func (w *world) answer(r notify.Request) send.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	host := strings.SplitN(strings.TrimPrefix(r.URL, "https://"), ".", 2)[0]
	number := numbers[0]
	if strings.Contains(string(r.Body), numbers[1]) {
		number = numbers[1]
		if w.closed {
			w.late++
		}
	}
	key := host + " " + r.Header["webhook-id"]
	w.attempts[key]++
	switch {
	case host == "gone":
		return send.Outcome{Verdict: send.Gone, Status: 410, Reason: wantsNoMore}
	case host == "weak" && w.attempts[key] < 3:
		return again(r)
	}
	w.delivered[host+" "+number]++
	return send.Outcome{Status: 200}
}

// toldCell is a fault that a process meets at a call of the store, and what all its calls after it meet.
type toldCell struct {
	shared bool
	fault  faultblob.Fault
	call   int
	dies   bool // with that call: nothing of it reaches the store or the receivers any more
}

// play runs the cell, and reports whether the process made that many calls.
func (c toldCell) play(t *testing.T) bool {
	bucket := faultblob.New()
	stage := New(bucket.Store(c.shared), Options{})
	start(t, stage)
	_, agent := join(t, stage, "agent", `{}`)
	for _, name := range []string{"well", "weak", "gone"} {
		join(t, stage, name, webhookOf(name))
	}
	join(t, stage, "hooked", `{"hooks":{"on_request_created":[{"type":"webhook","url":"https://hook.example/"}]}}`)
	shut(t, stage)

	w := &world{attempts: map[string]int{}, delivered: map[string]int{}}
	s := &recorder{delay: 20 * time.Millisecond, answer: w.answer}
	store := bucket.Store(c.shared)
	e := New(store, Options{Notify: Notify{Sender: s}})
	start(t, e)
	var mu sync.Mutex
	calls := 0
	store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault {
		mu.Lock()
		defer mu.Unlock()
		calls++
		switch {
		case calls == c.call:
			if c.dies {
				s.mu.Lock()
				s.closed = true
				s.mu.Unlock()
			}
			return c.fault
		case calls > c.call && c.dies:
			return faultblob.Refuse
		}
		return faultblob.None
	})
	posted := c.live(t, e, agent, w)
	mu.Lock()
	hit := c.call <= calls
	mu.Unlock()
	store.OnCall(nil)
	_ = e.Close(t.Context()) // a process that died leaves no more behind than this one can
	store.Release()

	next := &recorder{answer: w.answer}
	e = New(bucket.Store(c.shared), Options{Notify: Notify{Sender: next}})
	start(t, e)
	time.Sleep(40 * time.Minute)
	c.check(t, w, posted)
	wantNothingLeft(t, e)
	shut(t, e)
	checkAll(t, bucket, fmt.Sprintf("%+v", c))
	return hit
}

// check looks at what the receivers got.
func (c toldCell) check(t *testing.T, w *world, posted bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, host := range []string{"well", "weak", "hook"} {
		if n := w.delivered[host+" "+numbers[0]]; posted && n == 0 {
			t.Errorf("%+v: %s was not told", c, host)
		}
	}
	if w.late > 0 {
		t.Errorf("%+v: %d attempts for a request that was closed", c, w.late)
	}
	for key, n := range w.attempts {
		if n > 4 {
			t.Errorf("%+v: %d attempts at %s", c, n, key)
		}
	}
	if len(w.attempts) > 2*4 {
		t.Errorf("%+v: the ids are not stable: %v", c, w.attempts)
	}
}

// live is the process's life: two requests, of which one is closed. It reports whether the other was acknowledged.
func (c toldCell) live(t *testing.T, e *Engine, agent Caller, w *world) (posted bool) {
	t.Helper()
	posted = e.Create(t.Context(), agent, request(numbers[0])) == nil
	second := request(numbers[1])
	if err := e.Create(t.Context(), agent, second); err == nil {
		time.Sleep(2 * time.Second)
		// A moment later nothing of it is under way any more.
		if err := e.Update(t.Context(), agent, &exchange.Update{Ref: second.Result.Ref, Status: "cancelled"}); err == nil {
			time.Sleep(time.Second)
			w.mu.Lock()
			w.closed = true
			w.mu.Unlock()
		}
	}
	time.Sleep(8 * time.Minute) // the third attempt comes after some five
	return posted
}

// faultStride is the distance between the calls of a command that meet a fault: 1 is each, but under the race detector.
var faultStride = 1

// Ensure that whatever fails or whenever the process dies, each notification that was due is made at least once, with
// the same id, and none about a request that was closed.
func TestToldThroughFaults(t *testing.T) {
	cells := 0
	for _, shared := range []bool{false, true} {
		for _, fault := range []faultblob.Fault{faultblob.Refuse, faultblob.Drop, faultblob.Lose, faultblob.Late, faultblob.Repeat} {
			for _, dies := range []bool{false, true} {
				for call, hit := 1, true; hit && call <= 60; call += faultStride {
					c := toldCell{shared: shared, fault: fault, call: call, dies: dies}
					synctest.Test(t, func(t *testing.T) { hit = c.play(t) })
					if t.Failed() {
						return
					}
					cells++
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}
