package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// recorder is a sender that answers as it is told to, after a while, and keeps what it was given.
type recorder struct {
	mu     sync.Mutex
	got    []receipt
	under  int
	most   int
	closed bool
	delay  time.Duration
	answer func(r notify.Request) send.Outcome // nil: delivered
	refuse func(r notify.Request) error        // nil: takes everything
	hang   chan struct{}                       // nil: nothing hangs
}

type receipt struct {
	at time.Time
	r  notify.Request
}

// Submit implements Sender.
func (s *recorder) Submit(r notify.Request, done func(send.Outcome)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return send.ErrClosed
	}
	if s.refuse != nil {
		if err := s.refuse(r); err != nil {
			return err
		}
	}
	s.got = append(s.got, receipt{time.Now(), r})
	s.under++
	s.most = max(s.most, s.under)
	hang, delay, answer := s.hang, s.delay, s.answer
	go func() {
		if hang != nil {
			<-hang
		}
		time.Sleep(delay)
		o := send.Outcome{Status: 200}
		if answer != nil {
			o = answer(r)
		}
		s.mu.Lock()
		s.under--
		s.mu.Unlock()
		done(o)
	}()
	return nil
}

// to returns when requests whose URL or body have a piece in them were sent.
func (s *recorder) to(piece string) []receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []receipt
	for _, g := range s.got {
		if strings.Contains(g.r.URL, piece) || strings.Contains(string(g.r.Body), piece) {
			found = append(found, g)
		}
	}
	return found
}

// again makes every attempt fail in a way that may pass.
func again(notify.Request) send.Outcome {
	return send.Outcome{Verdict: send.TryAgain, Status: 503, Reason: "the receiver is not able to now"}
}

func notifying(t *testing.T, store Store, s *recorder) *Engine {
	t.Helper()
	return launchWith(t, store, Options{Notify: Notify{Sender: s}, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
}

// join registers an executor with settings.
func join(t *testing.T, e *Engine, id, settings string) (key string, c Caller) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(settings), &members); err != nil {
		t.Fatal(err)
	}
	key, err := e.Register(t.Context(), "home", Registration{ExecutorID: id, Settings: members})
	if err != nil {
		t.Fatalf("register %s: %v", id, err)
	}
	return key, letIn(t, e, "home", key)
}

// webhook are settings with a channel that leads to a host of the name's own.
func webhookOf(name string) string {
	return fmt.Sprintf(`{"notifications":[{"type":"webhook","url":"https://%s.example/in"}]}`, name)
}

// payloads returns the events of a type in the log, with what was said in them.
func payloads(t *testing.T, b *faultblob.Bucket, typ string) []string {
	t.Helper()
	var found []string
	for _, key := range b.Keys(eventlog.Prefix("home")) {
		data, _ := b.Get(key)
		for line := range strings.Lines(string(data)) {
			var ev struct {
				Type    string `json:"event_type"`
				Payload json.RawMessage
			}
			if err := json.Unmarshal([]byte(line), &ev); err != nil {
				t.Fatal(err)
			}
			if ev.Type == typ {
				found = append(found, string(ev.Payload))
			}
		}
	}
	return found
}

// outboxOf returns how much an exchange has still to tell.
func outboxOf(t *testing.T, e *Engine) exchange.Outbox {
	t.Helper()
	x, leave, err := e.find(t.Context(), "home", forever)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	return x.machine.state.Outbox()
}

// Ensure that a new request is told on the channels of those whom it is for and nobody else, at once and once.
func TestFirstRound(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket, s := faultblob.New(), &recorder{delay: 100 * time.Millisecond}
			e := notifying(t, bucket.Store(shared), s)
			_, agent := join(t, e, "agent", webhookOf("agent"))
			_, phone := join(t, e, "phone", webhookOf("phone"))
			join(t, e, "mute", `{}`)
			time.Sleep(time.Second)
			ref := post(t, e, agent, "look")
			time.Sleep(5 * time.Second)
			if n, m := len(s.to("phone.example")), len(s.to("agent.example")); n != 1 || m != 0 {
				t.Fatalf("%d to the phone, %d to the agent", n, m)
			}
			if err := e.Update(t.Context(), phone, &exchange.Update{Ref: ref, Status: "claimed"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if n, m := len(s.to("phone.example")), len(s.to("agent.example")); n != 1 || m != 1 {
				t.Fatalf("%d to the phone, %d to the agent", n, m)
			}
			if left := outboxOf(t, e); left.Events != 0 {
				t.Error(left)
			}
			if got := payloads(t, bucket, exchange.NoteDelivery); len(got) != 2 || !strings.Contains(got[0], `"executor":"phone","channel":"channel 0 webhook","attempt":1,"outcome":"delivered","status":200`) {
				t.Error(got)
			}
			if got := payloads(t, bucket, exchange.NoteLease); !shared && len(got) != 1 {
				t.Error(got)
			}
		})
	}
}

// Ensure that a receiver that fails is tried again for three days by the schedule, and then given up.
func TestRetrySchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, s := faultblob.New(), &recorder{answer: again}
		e := notifying(t, bucket.Store(false), s)
		_, agent := join(t, e, "agent", `{}`)
		join(t, e, "phone", webhookOf("phone"))
		time.Sleep(time.Second)
		post(t, e, agent, "look")
		time.Sleep(10 * 24 * time.Hour)
		got := s.to("phone.example")
		if len(got) != 10 {
			t.Fatalf("%d attempts", len(got))
		}
		for i, pause := range []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		} {
			if was := got[i+1].at.Sub(got[i].at); was < pause*8/10 || was > pause*12/10+time.Second {
				t.Errorf("attempt %d came after %s, want about %s", i+2, was, pause)
			}
			if got[i].r.Header["webhook-id"] != got[0].r.Header["webhook-id"] {
				t.Error("the id changed")
			}
		}
		all := payloads(t, bucket, exchange.NoteDelivery)
		if last := all[len(all)-1]; !strings.Contains(last, `"attempt":10,"outcome":"failed"`) {
			t.Error(last)
		}
		if left := outboxOf(t, e); left.Events != 0 {
			t.Error(left)
		}
	})
}
