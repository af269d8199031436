package exchange_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// outboxOf returns a state with an executor who has channels, and so many new threads, whose events are 2, 3 and so on.
func outboxOf(threads int) *exchange.State {
	s := exchange.New()
	happen(s, 1, exchange.ExecutorRegistered, "", "phone", `{"api_key_hash":"k","notify":["channels"]}`)
	for i := range threads {
		happen(s, int64(2+i), exchange.ThreadCreated, fmt.Sprintf("2026-02-01-%d", i), "agent", `{"intent":"look"}`)
	}
	return s
}

func happen(s *exchange.State, seq int64, typ, thread, actor, payload string) {
	ts := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seq) * time.Millisecond)
	s.Apply(exchange.Event{Seq: seq, TS: ts, Thread: thread, Type: typ, Actor: actor, Payload: json.RawMessage(payload)})
}

// decideOn decides a command and applies what it gives.
func decideOn(t *testing.T, s *exchange.State, seq int64, c exchange.Command) []exchange.Draft {
	t.Helper()
	drafts, refusal := c.Decide(s.Fork(), time.Time{})
	if refusal != nil {
		t.Fatal(refusal)
	}
	for i, d := range drafts {
		happen(s, seq+int64(i), d.Type, d.Thread, d.Actor, string(d.Payload))
	}
	return drafts
}

// Ensure that a round is recorded once, whoever comes with it, and that one that says nonsense is a fault.
func TestDeliver(t *testing.T) {
	s := outboxOf(1)
	next := time.Date(2026, 2, 1, 0, 1, 0, 0, time.UTC)
	round := func(n int64, told int, outcomes ...exchange.Outcome) *exchange.Deliver {
		return &exchange.Deliver{Event: 2, Round: n, Told: told, Outcomes: outcomes}
	}
	retry := exchange.Outcome{Executor: "phone", Way: "channel 0 ntfy", Attempt: 1, Outcome: exchange.OutcomeRetry, Status: 503, Next: next}
	first := round(1, 1, retry)
	if drafts := decideOn(t, s, 3, first); len(drafts) != 1 || first.Result.Stale || drafts[0].Thread != "" {
		t.Errorf("the first round: %v, %+v", drafts, first.Result)
	}
	for name, c := range map[string]*exchange.Deliver{
		"the same again":   round(1, 1, retry),
		"one left out":     round(3, 1, retry),
		"of another event": {Event: 7, Round: 1, Told: 1},
	} {
		if drafts := decideOn(t, s, 9, c); len(drafts) != 0 || !c.Result.Stale {
			t.Errorf("%s: %v, %+v", name, drafts, c.Result)
		}
	}
	// In one batch, the second of two with the same round finds it taken.
	fork := s.Fork()
	for i, c := range []*exchange.Deliver{round(2, 1), round(2, 1)} {
		drafts, refusal := c.Decide(fork, time.Time{})
		if refusal != nil || c.Result.Stale != (i == 1) {
			t.Errorf("number %d of a batch: %v, %+v", i, refusal, c.Result)
		}
		for _, d := range drafts {
			happen(fork, 4, d.Type, d.Thread, d.Actor, string(d.Payload))
		}
	}
	for name, c := range map[string]*exchange.Deliver{
		"fewer told than before": round(2, 0),
		"more told than are":     round(2, 2),
		"no such outcome":        round(2, 1, exchange.Outcome{Executor: "phone", Outcome: "lost"}),
		"a retry without a time": round(2, 1, exchange.Outcome{Executor: "phone", Outcome: exchange.OutcomeRetry}),
		"an end with a time":     round(2, 1, exchange.Outcome{Executor: "phone", Outcome: exchange.OutcomeFailed, Next: next}),
		"too many":               round(2, 1, make([]exchange.Outcome, exchange.MaxOutcomes+1)...),
	} {
		if drafts, refusal := c.Decide(s.Fork(), time.Time{}); refusal == nil || refusal.Code != exchange.CodeInternal || drafts != nil {
			t.Errorf("%s: %v, %v", name, drafts, refusal)
		}
	}
	if u, ok := s.Undelivered(2); !ok || u.Round != 1 || !u.Due.Equal(next) {
		t.Errorf("it is %+v", u)
	}
	long := strings.Repeat("ü", 200)
	done := round(2, 1, exchange.Outcome{Executor: "phone", Way: "channel 0 ntfy", Attempt: 2, Outcome: exchange.OutcomeFailed, Reason: long, ExternalID: strings.Repeat("x", 257)})
	decideOn(t, s, 5, done)
	all, _ := s.Deliveries("phone", 0, 10)
	if len(all) != 1 || all[0].Outcome != exchange.OutcomeFailed || all[0].Attempts != 2 || len(all[0].Reason) > 64 || s.ExternalID("phone", "2026-02-01-0") != "" {
		t.Errorf("deliveries: %+v", all)
	}
	if s.Outbox() != (exchange.Outbox{}) {
		t.Errorf("what is open: %+v", s.Outbox())
	}
}

// Ensure that a lease goes to whoever has seen the last one run out, and to one of them only.
func TestTakeLease(t *testing.T) {
	s := outboxOf(0)
	take := func(holder string, seen int64) *exchange.TakeLease {
		return &exchange.TakeLease{Holder: holder, Duration: time.Second, Seen: seen}
	}
	seq := int64(2)
	for _, step := range []struct {
		c    *exchange.TakeLease
		held bool
	}{
		{take("a", 0), true},
		{take("b", 0), false}, // has not seen a's
		{take("a", 0), true},  // renewed by who has it
		{take("b", 2), false}, // has seen the one before the renewal
		{take("b", 3), true},
		{take("a", 3), false},
	} {
		if drafts := decideOn(t, s, seq, step.c); len(drafts) > 0 != step.held || step.c.Result.Held != step.held {
			t.Fatalf("%+v: %v", step.c, drafts)
		}
		if step.held {
			seq++
		}
	}
	if l := s.Lease(); l != (exchange.Lease{Holder: "b", Duration: time.Second, Seq: 4}) {
		t.Errorf("the lease is %+v", l)
	}
	for _, c := range []*exchange.TakeLease{take("", 4), {Holder: "a", Seen: 4}} {
		if _, refusal := c.Decide(s.Fork(), time.Time{}); refusal == nil || refusal.Code != exchange.CodeInternal {
			t.Errorf("%+v: %v", c, refusal)
		}
	}
	fork := s.Fork()
	happen(fork, 5, exchange.NoteLease, "", "-", `{"holder":"c","duration_ms":1}`)
	for _, damaged := range []string{`{"holder":"","duration_ms":1}`, `{"holder":"d","duration_ms":0}`, `{"holder":"d","duration_ms":99999999999}`, `[]`, `{"holder":7}`} {
		happen(fork, 6, exchange.NoteLease, "", "-", damaged)
	}
	if fork.Lease().Holder != "c" || s.Lease().Holder != "b" {
		t.Errorf("the fork's lease is %+v, its base's %+v", fork.Lease(), s.Lease())
	}
}

// Ensure that executors of whom nothing is known hear of nothing until the first lease, and that an exchange in which
// nobody hears of anything opens nothing.
func TestWhoOpens(t *testing.T) {
	s := exchange.New()
	happen(s, 1, exchange.ExecutorRegistered, "", "agent", `{"api_key_hash":"a","notify":[]}`)
	happen(s, 2, exchange.ThreadCreated, "2026-02-01-A", "agent", `{"intent":"look"}`)
	if s.AwaitsLease() {
		t.Error("a lease is awaited for one who hears of nothing")
	}
	happen(s, 3, exchange.ExecutorRegistered, "", "old", `{"api_key_hash":"o"}`)
	happen(s, 4, exchange.ThreadCreated, "2026-02-01-B", "agent", `{"intent":"look"}`)
	if !s.AwaitsLease() || s.Outbox().Events != 0 {
		t.Errorf("before the first lease: %v, %+v", s.AwaitsLease(), s.Outbox())
	}
	happen(s, 5, exchange.NoteLease, "", "-", `{"holder":"x","duration_ms":1000}`)
	happen(s, 6, exchange.ThreadCreated, "2026-02-01-C", "agent", `{"intent":"look"}`)
	if s.AwaitsLease() || s.Outbox().Events != 1 {
		t.Errorf("after it: %v, %+v", s.AwaitsLease(), s.Outbox())
	}
	happen(s, 7, exchange.ExecutorUpdated, "", "old", `{"notify":[]}`)
	happen(s, 8, exchange.ThreadCreated, "2026-02-01-D", "agent", `{"intent":"look"}`)
	if s.Outbox().Events != 1 {
		t.Errorf("once it is known that there is nothing: %+v", s.Outbox())
	}
}
