package exchange_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// What differs is named, whatever it is.
func TestDifferenceNamesIt(t *testing.T) {
	type event = exchange.Event
	const ref, second = "2026-02-01-AAAA", "2026-02-01-BBBB"
	ts := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	events := func() []event {
		return []event{
			{Type: "note_first"},
			{Type: exchange.ExecutorRegistered, Actor: "agent", Payload: json.RawMessage(`{"display_name":"A","capabilities":["see"],"api_key_hash":"k"}`)},
			{Type: exchange.ExecutorRegistered, Actor: "copy", Payload: json.RawMessage(`{"api_key_hash":"l"}`)},
			{Type: exchange.ThreadCreated, Thread: ref, Actor: "agent", Payload: json.RawMessage(`{"intent":"look","priority":"urgent","requestor_id":"agent"}`)},
			{Type: exchange.StatusChanged, Thread: ref, Actor: "agent", Payload: json.RawMessage(`{"new_status":"held","executor_id":"phone"}`)},
			{Type: exchange.MessageAdded, Thread: ref, Actor: "agent"},
			{Type: exchange.ThreadCreated, Thread: second, Actor: "agent", Payload: json.RawMessage(`{"intent":"see"}`)},
			{Type: "note_x", TS: ts.Add(time.Minute)},
		}
	}
	build := func(events []event) *exchange.State {
		s := exchange.New()
		for i, e := range events {
			e.Seq = max(e.Seq, int64(i+1))
			if e.TS.IsZero() {
				e.TS = ts.Add(time.Duration(i) * time.Second)
			}
			s.Apply(e)
		}
		return s
	}
	payload := func(i int, old, now string) func([]event) []event {
		return func(all []event) []event {
			changed := strings.Replace(string(all[i].Payload), old, now, 1)
			if changed == string(all[i].Payload) {
				t.Fatalf("event %d has no %s", i, old)
			}
			all[i].Payload = json.RawMessage(changed)
			return all
		}
	}
	for want, change := range map[string]func([]event) []event{
		"":                     func(all []event) []event { return all },
		"read-only since":      func(all []event) []event { all[7].Type = "unheard_of"; return all },
		"executor number 2 is": func(all []event) []event { all[2].Type = "note_x"; return all },
		`executor agent: display name "A" and "B"`: payload(1, `"A"`, `"B"`),
		"executor agent: capabilities":             payload(1, `see`, `hear`),
		"executor agent: key hash":                 payload(1, `"k"`, `"m"`),
		"executor copy: created":                   func(all []event) []event { all[2].TS = ts.Add(time.Millisecond); return all },
		"actor ghost: last event": func(all []event) []event {
			return append(all, event{Type: exchange.StatusChanged, Thread: "none", Actor: "ghost"})
		},
		"the next thread of the list is": func(all []event) []event { all[6].Thread = "2026-02-01-CCCC"; return all },
		`the next thread of the list is "" and`: func(all []event) []event {
			all[0] = event{Type: exchange.ThreadCreated, Thread: "2026-02-01-CCCC", Actor: "agent"}
			return all
		},
		"thread " + ref + ": status \"held\"":    payload(4, "held", "waiting"),
		"thread " + ref + ": status set by":      func(all []event) []event { all[4].Actor = "copy"; return all },
		"thread " + second + ": intent":          payload(6, "see", "hear"),
		"thread " + ref + ": requestor":          payload(3, `"requestor_id":"agent"`, `"requestor_id":"copy"`),
		"thread " + ref + ": executor":           payload(4, "phone", "tablet"),
		"thread " + ref + ": priority":           payload(3, "urgent", "normal"),
		"thread " + ref + ": created":            func(all []event) []event { all[3].TS = ts.Add(time.Millisecond); return all },
		"thread " + ref + ": updated":            func(all []event) []event { all[5].TS = ts.Add(4*time.Second + time.Millisecond); return all },
		"thread " + second + ": seq":             func(all []event) []event { all[6].Seq = 66; return all },
		"thread " + ref + ": messages 1 and 0":   func(all []event) []event { all[5].Type, all[5].Payload = exchange.StatusChanged, nil; return all },
		"thread " + ref + ": message 1 is at 00": func(all []event) []event { all[5].At[0] = 1; return all },
	} {
		got := exchange.Difference(build(events()), build(change(events())), equalPlaces)
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	moved := func(a, b exchange.At) bool { return true }
	other := events()
	other[5].At[0] = 1
	if got := exchange.Difference(build(events()), build(other), moved); got != "" {
		t.Errorf("a message that was moved: %s", got)
	}
}

// Two states may show the same executors and differ in whose key a hash is that two of them have.
func TestDifferenceOfWhoHasTheKey(t *testing.T) {
	build := func(payloads ...string) *exchange.State {
		s := exchange.New()
		for i, p := range payloads {
			s.Apply(exchange.Event{Seq: 1, Type: exchange.ExecutorRegistered, Actor: []string{"a", "b", "a"}[i], Payload: json.RawMessage(p)})
		}
		return s
	}
	a := build(`{"api_key_hash":"k"}`, `{"api_key_hash":"k"}`)
	b := build(`{"api_key_hash":"x"}`, `{"api_key_hash":"k"}`, `{"api_key_hash":"k"}`)
	if got := exchange.Difference(a, b, equalPlaces); got != "executor a: has the key true and false" {
		t.Errorf("got %q", got)
	}
}
