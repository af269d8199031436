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
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// Ensure that a hook can name what an earlier one of the same executor opened, after a restart too.
func TestExternalID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{answer: func(notify.Request) send.Outcome { return send.Outcome{Status: 200, Answer: []byte(`{"id":"task-7"}`)} }}
		b, e, agent, phone := atHome(t, s, `{"hooks":{"on_request_created":[{"type":"todoist","token":"t"}],
			"on_request_completed":[{"type":"webhook","url":"https://done.example/{{external_id}}"}]}}`)
		ref := post(t, e, agent, "look")
		time.Sleep(time.Minute)
		wantOutcome(t, b, `"outcome":"delivered","status":200,"external_id":"task-7"`)
		shut(t, e)
		e = notifying(t, b.Store(false), s)
		if err := e.Update(t.Context(), phone, &exchange.Update{Ref: ref, Status: "claimed"}); err != nil {
			t.Fatal(err)
		}
		if err := e.Update(t.Context(), phone, &exchange.Update{Ref: ref, Status: "completed"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(s.to("https://done.example/task-7")); n != 1 {
			t.Errorf("%d calls with the id; %v", n, s.got)
		}
		wantNothingLeft(t, e)
	})
}

// Ensure that of several replicas one delivers, whichever takes the requests, and none delivers twice.
func TestOneReplicaDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		senders := []*recorder{{delay: 300 * time.Millisecond}, {delay: 300 * time.Millisecond}, {delay: 300 * time.Millisecond}}
		var engines []*Engine
		for i, s := range senders {
			store := bucket.Store(true)
			ahead := time.Duration(i-1) * 10 * time.Minute // nobody's clock is another's
			store.SetClock(func() time.Time { return time.Now().Add(ahead) })
			engines = append(engines, notifying(t, store, s))
		}
		_, agent := join(t, engines[0], "agent", `{}`)
		join(t, engines[0], "phone", webhookOf("phone"))
		time.Sleep(2 * lookEvery)
		const n = 60
		for i := range n {
			post(t, engines[i%3], agent, fmt.Sprint("number ", i, "."))
			time.Sleep(time.Duration(i%7) * time.Second)
		}
		time.Sleep(time.Hour)
		seen := map[string]int{}
		for _, s := range senders {
			for _, g := range s.to("phone.example") {
				seen[g.r.Header["webhook-id"]]++
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d were told", len(seen), n)
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s came %d times", id, times)
			}
		}
		for _, e := range engines {
			wantNothingLeft(t, e)
		}
	})
}

// Ensure that what a replica that died had still to tell is told by another within 30 seconds, be its clock ahead or a
// little behind.
func TestTakesOverFromDeadReplica(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -4 * time.Second} {
		for _, after := range []time.Duration{0, 3 * time.Second, 8 * time.Second, 14 * time.Second, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				bucket := faultblob.New()
				mine, theirs := &recorder{hang: make(chan struct{})}, &recorder{}
				dying, store := bucket.Store(true), bucket.Store(true)
				store.SetClock(func() time.Time { return time.Now().Add(ahead) })
				a := launchWith(t, dying, Options{Notify: Notify{Sender: mine}})
				notifying(t, store, theirs)
				_, agent := join(t, a, "agent", `{}`)
				join(t, a, "phone", webhookOf("phone"))
				time.Sleep(2 * lookEvery)
				post(t, a, agent, "first.") // takes the lease, and hangs
				time.Sleep(after)
				post(t, a, agent, "second.")
				var died atomic.Bool
				dying.OnCall(func(context.Context, faultblob.Op) faultblob.Fault {
					if died.Load() {
						return faultblob.Refuse
					}
					return faultblob.None
				})
				died.Store(true)
				time.Sleep(30 * time.Second)
				if n, m := len(theirs.to("first.")), len(theirs.to("second.")); n != 1 || m != 1 {
					t.Errorf("clock %s, died after %s: told %d and %d times by the other", ahead, after, n, m)
				}
				died.Store(false)
				close(mine.hang)
			})
		}
	}
}

// Ensure that receivers that hang cost a create nothing, that what is under way is bounded, and that others are told
// in spite of them.
func TestHangingReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, s := faultblob.New(), &recorder{hang: make(chan struct{})}
		e := notifying(t, bucket.Store(false), s)
		_, agent := join(t, e, "agent", `{}`)
		for i := range 300 {
			join(t, e, fmt.Sprint("deaf-", i), webhookOf(fmt.Sprint("deaf-", i)))
		}
		time.Sleep(time.Second)
		const n = 40
		for i := range n {
			began := time.Now()
			post(t, e, agent, fmt.Sprint("look ", i))
			if took := time.Since(began); took > 0 {
				t.Errorf("a create took %s", took)
			}
		}
		time.Sleep(10 * time.Minute)
		if s.most > maxTelling || s.most < maxTelling/2 {
			t.Errorf("%d attempts were under way at once", s.most)
		}
		left := outboxOf(t, e)
		if left.Events != n {
			t.Errorf("%+v is left", left)
		}
		x := resident(t, e)
		if len(x.teller.tellings) > maxTelling {
			t.Errorf("%d events are being told", len(x.teller.tellings))
		}
		close(s.hang)
		s.mu.Lock()
		s.hang = nil
		s.mu.Unlock()
		time.Sleep(time.Minute)
		wantNothingLeft(t, e)
		seen := map[string]int{}
		sent := s.to("")
		for _, g := range sent {
			seen[g.r.Header["webhook-id"]]++
		}
		if len(seen) != 300*n || len(sent) != 300*n {
			t.Errorf("%d deliveries, %d attempts", len(seen), len(sent))
		}
	})
}

func resident(t *testing.T, e *Engine) *running {
	t.Helper()
	all := e.resident()
	if len(all) != 1 {
		t.Fatalf("%d exchanges are open", len(all))
	}
	return all[0].x
}

// manyExecutors is how many an exchange may well have; fewer under the race detector.
var manyExecutors = 10_000

// Ensure that an exchange with very many executors tells all of them, in rounds that the log takes.
func TestManyExecutors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, s := faultblob.New(), &recorder{delay: 50 * time.Millisecond}
		e := notifying(t, bucket.Store(false), s)
		_, agent := join(t, e, "agent", `{}`)
		n, workers := manyExecutors, 50
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for i := range n / workers {
					join(t, e, fmt.Sprintf("phone-%d-%d", w, i), webhookOf("phone"))
				}
			})
		}
		all.Wait()
		post(t, e, agent, "look")
		time.Sleep(5 * time.Minute)
		seen := map[string]bool{}
		sent := s.to("")
		for _, g := range sent {
			seen[g.r.Header["webhook-id"]] = true
		}
		if len(seen) != n || len(sent) != n {
			t.Errorf("%d were told with %d attempts", len(seen), len(sent))
		}
		wantNothingLeft(t, e)
	})
}

// Ensure that closing ends nothing halfway: what has an answer is recorded, what has none is told after the next start.
func TestCloseWhileTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := faultblob.New(), &recorder{}
		s.hang = make(chan struct{})
		s.answer = func(r notify.Request) send.Outcome {
			if strings.Contains(r.URL, "slow") {
				return send.Outcome{Verdict: send.TryAgain, Reason: "the server stopped meanwhile"}
			}
			return send.Outcome{Status: 200}
		}
		e := notifying(t, b.Store(false), s)
		_, agent := join(t, e, "agent", `{}`)
		join(t, e, "slow", webhookOf("slow"))
		s.mu.Lock()
		hang := s.hang
		s.mu.Unlock()
		time.Sleep(time.Second)
		post(t, e, agent, "look")
		time.Sleep(3 * time.Second) // under way, and recorded so
		s.mu.Lock()
		s.hang = nil
		s.mu.Unlock()
		join(t, e, "fast", webhookOf("fast"))
		post(t, e, agent, "look again")
		synctest.Wait()
		close(hang) // the sender is closed first
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		synctest.Wait()
		shut(t, e)
		after := &recorder{}
		e = notifying(t, b.Store(false), after)
		time.Sleep(time.Minute)
		if n := len(after.to("slow.example")); n != 2 {
			t.Errorf("%d of 2 are told after the start", n)
		}
		ids := map[string]bool{}
		for _, g := range append(s.to("slow.example"), after.to("slow.example")...) {
			ids[g.r.Header["webhook-id"]] = true
		}
		if len(ids) != 2 {
			t.Errorf("%d ids for 2 notifications", len(ids))
		}
		wantNothingLeft(t, e)
	})
}
