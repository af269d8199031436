package exchange_test

import (
	"bytes"
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

// A message added in a fork must not show in its base, nor in another fork of it.
func TestForkAddsMessagesOnItsOwn(t *testing.T) {
	const ref = "2026-02-01-XY1Z"
	s := threadIn(exchange.StatusClaimed)
	add := func(on *exchange.State, at byte) {
		on.Apply(exchange.Event{Seq: 2, Thread: ref, Type: exchange.MessageAdded, Actor: "other", Payload: json.RawMessage(`{"mess":[]}`), At: exchange.At{at}})
	}
	check := func(on *exchange.State, want ...byte) {
		t.Helper()
		var got []byte
		for _, at := range on.Messages(ref) {
			got = append(got, at[0])
		}
		if thread, _ := on.Thread(ref); !bytes.Equal(got, want) || thread.Messages != len(want) {
			t.Errorf("messages at %v, %d of them; want %v", got, thread.Messages, want)
		}
	}
	add(s, 1)
	fork, other := s.Fork(), s.Fork()
	add(fork, 2)
	add(other, 3)
	again := fork.Fork()
	add(again, 4)
	check(s, 1)
	check(fork, 1, 2)
	check(other, 1, 3)
	check(again, 1, 2, 4)
	if got := s.Messages("2026-02-01-NONE"); len(got) > 0 {
		t.Errorf("a thread that is not there has messages at %v", got)
	}
}

// Times are shown in milliseconds. A fork and what was kept cut off the same.
func TestTimesAreWholeMilliseconds(t *testing.T) {
	fine := time.Date(2026, 2, 1, 1, 2, 3, 456_789_123, time.FixedZone("", 3600))
	want := time.Date(2026, 2, 1, 0, 2, 3, 456_000_000, time.UTC)
	s := exchange.New()
	for _, on := range []*exchange.State{s.Fork(), s} {
		on.Apply(exchange.Event{TS: fine, Type: exchange.ExecutorRegistered, Actor: "agent", Payload: json.RawMessage(`{}`)})
		on.Apply(exchange.Event{TS: fine, Thread: "2026-02-01-XY1Z", Type: exchange.ThreadCreated, Actor: "agent", Payload: json.RawMessage(`{}`)})
		thread, _ := on.Thread("2026-02-01-XY1Z")
		e, _ := on.Executor("agent")
		for what, got := range map[string]time.Time{"created": thread.CreatedAt, "updated": thread.UpdatedAt, "registered": e.CreatedAt, "last event": on.LastEvent("agent")} {
			if got != want {
				t.Errorf("%s at %v, want %v", what, got, want)
			}
		}
	}
}

// Ensure that a message reads the same whether its payload is as this server writes it or any other.
func TestMessageOf(t *testing.T) {
	for payload, want := range map[string]string{
		`{"mess":[{"a":2.50},"}"]}`:        `[{"a":2.50},"}"]`,
		`{"mess": [1] }`:                   `[1]`,
		`{"mess":{"a":1}}`:                 `[{"a":1}]`,
		`{"mess":"text"}`:                  `["text"]`,
		`{"mess":null}`:                    `[]`,
		`{"mess":[1],"other":2}`:           `[1]`,
		`{"mess":[1],"mess":[2]}`:          `[2]`,
		`{"other":{"mess":[1]},"mess":[]}`: `[]`,
		`{"mess":}`:                        `[]`,
		`{}`:                               `[]`,
		`7`:                                `[]`,
	} {
		if got := exchange.MessageOf(exchange.Event{Payload: []byte(payload)}); string(got.Mess) != want {
			t.Errorf("%s: got %s, want %s", payload, got.Mess, want)
		}
	}
}
