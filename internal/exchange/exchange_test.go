package exchange_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

func TestParseRef(t *testing.T) {
	for ref, suffix := range map[string]string{
		"2026-02-01-XY1Z":             "XY1Z",
		"2026-02-01-XY1Z2":            "XY1Z2",
		"2026-02-01-003-check-fridge": "003-check-fridge",
		"2024-02-29-A":                "A",
	} {
		if _, got, ok := exchange.ParseRef(ref); !ok || got != suffix {
			t.Errorf("ParseRef(%q) = %q, %v", ref, got, ok)
		}
	}
	for _, ref := range []string{
		"", "XY1Z", "2026-02-01", "2026-02-01-", "2026-02-01_XY1Z", "2026-2-1-XY1Z", "2026-02-30-XY1Z", "2025-02-29-A", "2026-02-01--A", "2026-02-01-.A",
		"2026-02-01-../../etc", "2026-02-01-A/B", `2026-02-01-A\B`, "2026-02-01-A B", "2026-02-01-A\x00", "2026-02-01-Ä", "2026-02-01-" + strings.Repeat("A", 118),
	} {
		if _, _, ok := exchange.ParseRef(ref); ok {
			t.Errorf("ParseRef took %q", ref)
		}
	}
}

func TestValidExchangeID(t *testing.T) {
	for _, id := range []string{"home", "2026", "true", "my_home", "a.b", "nullable", strings.Repeat("a", 64)} {
		if !exchange.ValidExchangeID(id) {
			t.Errorf("%q was refused", id)
		}
	}
	for _, id := range []string{"", "null", "NULL", "Null", "-schema", "_x", ".", "..", "a.", "a b", "a/b", "a=b", "ä", "a\n", strings.Repeat("a", 65)} {
		if exchange.ValidExchangeID(id) {
			t.Errorf("%q was taken", id)
		}
	}
}

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]string{
		"pending": "pending", "in-progress": "in_progress", "in_progress": "in_progress", "needs-input": "needs_input",
		"needs-confirmation": "needs_confirmation", "canceled": "cancelled", "rejected": "declined", "expired": "expired",
	} {
		if got, ok := exchange.ParseStatus(text); !ok || got != want {
			t.Errorf("ParseStatus(%q) = %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "delegated", "Pending", "done", "in progress"} {
		if got, ok := exchange.ParseStatus(text); ok {
			t.Errorf("ParseStatus(%q) = %q; a thread can't be in it", text, got)
		}
	}
}

// An executor of old data whose profile is gone has no key, and no missing key may open it.
func TestNoKeyOpensNothing(t *testing.T) {
	s := exchange.New()
	s.Apply(exchange.Event{Type: exchange.ExecutorRegistered, Actor: "bare", Payload: json.RawMessage(`{}`)})
	if e, ok := s.ExecutorByKeyHash(""); ok {
		t.Errorf("the empty hash is %s's", e.ID)
	}
	_, refusal := (&exchange.UpdateExecutor{Caller: exchange.Caller{Executor: "bare"}, ID: "bare"}).Decide(s, time.Time{})
	if refusal == nil || refusal.Code != exchange.CodeUnauthorized {
		t.Errorf("an empty hash was let in: %v", refusal)
	}
}

// What a caller in this program forgot is a fault of the program, with a sentence that tells a client
// nothing and a cause for the log.
func TestFaultsOfTheProgram(t *testing.T) {
	s := threadIn(exchange.StatusPending)
	holder := exchange.Caller{Executor: "holder", KeyHash: "key-holder"}
	for name, c := range map[string]exchange.Command{
		"registration without a key": &exchange.Register{ID: "new"},
		"create without a request":   &exchange.Create{Caller: holder, Intent: "x", Suffixes: []string{"AAAA"}},
		"a block that is no JSON":    &exchange.Update{Caller: holder, Ref: "2026-02-01-XY1Z", Mess: []json.RawMessage{[]byte("{")}},
		"a request that is no JSON":  &exchange.Create{Caller: holder, Intent: "x", Request: []byte("{"), Suffixes: []string{"AAAA"}},
		"a context that is no JSON":  &exchange.Create{Caller: holder, Intent: "x", Context: []byte("["), Request: []byte("{}"), Suffixes: []string{"AAAA"}},
	} {
		events, refusal := c.Decide(s, time.Time{})
		if len(events) > 0 || refusal == nil || refusal.Code != exchange.CodeInternal || refusal.Err == nil || refusal.Message != "Internal error" {
			t.Errorf("%s: %v, %v", name, events, refusal)
		}
	}
}

// The answer of a command decided twice is that of the last time.
func TestResultIsOfTheLastDecision(t *testing.T) {
	s := threadIn(exchange.StatusPending)
	u := &exchange.Update{Caller: exchange.Caller{Executor: "other", KeyHash: "key-other"}, Ref: "2026-02-01-XY1Z", Status: "claimed"}
	if _, refusal := u.Decide(s, time.Time{}); refusal != nil || u.Result.Status != "claimed" {
		t.Fatalf("%v, %+v", refusal, u.Result)
	}
	if _, refusal := u.Decide(threadIn(exchange.StatusClaimed), time.Time{}); refusal == nil || u.Result.Status != "" || u.Result.Ref != "" {
		t.Errorf("refused with %v, but answers %+v", refusal, u.Result)
	}
}

// A message added in a fork must not show through in a thread of the base that got the same room for it.
func TestForkAppendsOnItsOwn(t *testing.T) {
	s := threadIn(exchange.StatusClaimed)
	add := func(on *exchange.State, text string) *exchange.Thread {
		on.Apply(exchange.Event{Seq: 2, Thread: "2026-02-01-XY1Z", Type: exchange.MessageAdded, Actor: "other", Payload: json.RawMessage(`{"mess":["` + text + `"]}`)})
		thread, _ := on.Thread("2026-02-01-XY1Z")
		return thread
	}
	for range 3 { // leaves room for a fourth
		add(s, "base")
	}
	fork := s.Fork()
	fork.Apply(exchange.Event{Seq: 3, Thread: "2026-02-01-XY1Z", Type: exchange.StatusChanged, Actor: "holder", Payload: json.RawMessage(`{"new_status":"held","executor_id":"holder"}`)})
	tentative := add(fork, "fork")
	durable := add(s, "base")
	if string(tentative.Messages[3].Mess) != `["fork"]` || string(durable.Messages[3].Mess) != `["base"]` {
		t.Errorf("fork %s, base %s", tentative.Messages[3].Mess, durable.Messages[3].Mess)
	}
}
