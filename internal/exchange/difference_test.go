package exchange_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	aRef   = "2026-02-01-AAAA"
	second = "2026-02-01-BBBB"
	third  = "2026-02-01-YYYY"
	fourth = "2026-02-01-ZZZZ"
)

var aDay = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

// aLife is a few events, which each difference changes a little.
func aLife() []exchange.Event {
	return []exchange.Event{
		{Type: "note_first"},
		{Type: exchange.ExecutorRegistered, Actor: "agent", Payload: json.RawMessage(`{"display_name":"A","capabilities":["see"],"api_key_hash":"k"}`)},
		{Type: exchange.ExecutorRegistered, Actor: "copy", Payload: json.RawMessage(`{"api_key_hash":"l"}`)},
		{Type: exchange.ThreadCreated, Thread: aRef, Actor: "agent", Payload: json.RawMessage(`{"intent":"look","priority":"urgent","requestor_id":"agent"}`)},
		{Type: exchange.StatusChanged, Thread: aRef, Actor: "agent", Payload: json.RawMessage(`{"new_status":"held","executor_id":"phone"}`)},
		{Type: exchange.MessageAdded, Thread: aRef, Actor: "agent"},
		{Type: exchange.ThreadCreated, Thread: second, Actor: "agent", Payload: json.RawMessage(`{"intent":"see"}`)},
		{Type: "note_x", TS: aDay.Add(time.Minute)},
		{Type: exchange.ThreadCreated, Thread: third, Actor: "agent"},
		{Type: exchange.MessageAdded, Thread: third, Actor: "agent", Payload: json.RawMessage(`{"mess":[{"request":` + someTerms + `}],"attachments":[{"key":"attachments/a"}]}`)},
		{Type: exchange.StatusChanged, Thread: third, Actor: "phone", Payload: json.RawMessage(`{"new_status":"held","executor_id":"phone"}`)},
		{Type: exchange.StatusChanged, Thread: third, Actor: "phone", Payload: json.RawMessage(`{"new_status":"needs_confirmation","executor_id":"phone","confirmed":true,"if_denied":"cancelled"}`)},
		{Type: exchange.ThreadCreated, Thread: fourth, Actor: "agent"},
		{Type: exchange.StatusChanged, Thread: fourth, Actor: "phone", Payload: json.RawMessage(`{"new_status":"pending","executor_id":null,"delegated_to":"tablet"}`)},
		{Type: exchange.NoteAnswered, Actor: "agent", Payload: json.RawMessage(`{"key":"AAAAAAAAAAAAAAAAAAAAAA==","request":"AQAAAAAAAAAAAAAAAAAAAA==","status":200,"ref":"` + aRef + `","thread_status":"held"}`)},
		{Type: exchange.NoteAnswered, Actor: "phone", Payload: json.RawMessage(`{"key":"AgAAAAAAAAAAAAAAAAAAAA==","request":"AQAAAAAAAAAAAAAAAAAAAA==","status":409,"code":"thread_closed","error":"no"}`)},
	}
}

const someTerms = `{"requires":["see"],"needed_by":"2026-02-02T00:00:00Z","confirm_before":true,"constraints":{"timing":{"not_before":"2026-02-01T12:00:00Z"},"depends_on":["2026-01-31-XXXX"]}}`

// lived numbers and dates events where they have no such thing, and folds them.
func lived(events []exchange.Event) *exchange.State {
	s := exchange.New()
	for i, e := range events {
		e.Seq = max(e.Seq, int64(i+1))
		if e.TS.IsZero() {
			e.TS = aDay.Add(time.Duration(i) * time.Second)
		}
		s.Apply(e)
	}
	return s
}

type change func([]exchange.Event) []exchange.Event

// payload changes a part of the payload of event i.
func payload(i int, old, now string) change {
	return func(all []exchange.Event) []exchange.Event {
		all[i].Payload = json.RawMessage(strings.Replace(string(all[i].Payload), old, now, 1))
		return all
	}
}

// differences are changes of aLife by how what they lead to begins.
var differences = map[string]change{
	"":                     func(all []exchange.Event) []exchange.Event { return all },
	"read-only since":      func(all []exchange.Event) []exchange.Event { all[7].Type = "unheard_of"; return all },
	"executor number 2 is": func(all []exchange.Event) []exchange.Event { all[2].Type = "note_x"; return all },
	`executor agent: display name "A" and "B"`: payload(1, `"A"`, `"B"`),
	"executor agent: capabilities":             payload(1, `see`, `hear`),
	"executor agent: key hash":                 payload(1, `"k"`, `"m"`),
	"executor copy: created":                   func(all []exchange.Event) []exchange.Event { all[2].TS = aDay.Add(time.Millisecond); return all },
	"actor ghost: last event": func(all []exchange.Event) []exchange.Event {
		return append(all, exchange.Event{Type: exchange.StatusChanged, Thread: "none", Actor: "ghost"})
	},
	"the next thread of the list is": func(all []exchange.Event) []exchange.Event { all[6].Thread = "2026-02-01-CCCC"; return all },
	`the next thread of the list is "" and`: func(all []exchange.Event) []exchange.Event {
		all[0] = exchange.Event{Type: exchange.ThreadCreated, Thread: "2026-02-01-CCCC", Actor: "agent"}
		return all
	},
	"thread " + aRef + ": status \"held\"": payload(4, "held", "waiting"),
	"thread " + aRef + ": status set by":   func(all []exchange.Event) []exchange.Event { all[4].Actor = "copy"; return all },
	"thread " + second + ": intent":        payload(6, "see", "hear"),
	"thread " + aRef + ": requestor":       payload(3, `"requestor_id":"agent"`, `"requestor_id":"copy"`),
	"thread " + aRef + ": executor":        payload(4, "phone", "tablet"),
	"thread " + aRef + ": priority":        payload(3, "urgent", "normal"),
	"thread " + aRef + ": created":         func(all []exchange.Event) []exchange.Event { all[3].TS = aDay.Add(time.Millisecond); return all },
	"thread " + aRef + ": updated": func(all []exchange.Event) []exchange.Event {
		all[5].TS = aDay.Add(4*time.Second + time.Millisecond)
		return all
	},
	"thread " + fourth + ": seq": func(all []exchange.Event) []exchange.Event { all[13].Seq = 66; return all },
	"thread " + aRef + ": messages 1 and 0": func(all []exchange.Event) []exchange.Event {
		all[5].Type, all[5].Payload = exchange.StatusChanged, nil
		return all
	},
	"thread " + third + ": requires":                 payload(9, "see", "hear"),
	"thread " + third + ": needed by":                payload(9, "02-02T00", "02-03T00"),
	"thread " + third + ": not before":               payload(9, "T12", "T13"),
	"thread " + third + ": depends on":               payload(9, "XXXX", "YYYY"),
	"thread " + third + ": confirm before":           payload(9, `"confirm_before":true`, `"confirm_before":0`),
	"thread " + third + ": confirmed true and false": payload(11, `true`, `false`),
	"thread " + third + ": status before":            payload(10, `held`, `waiting`),
	"thread " + third + ": a no cancels":             payload(11, `"cancelled"`, `"held"`),
	"thread " + fourth + ": reserved for":            payload(13, `tablet`, `phone`),
	"the next answer is to \"agent\"":                func(all []exchange.Event) []exchange.Event { all[14].Type = "note_x"; return all },
	"the next answer is to \"phone\" and \"\"":       func(all []exchange.Event) []exchange.Event { all[15].Type = "note_x"; return all },
	"the next answer is to \"\" and": func(all []exchange.Event) []exchange.Event {
		return append(all, exchange.Event{Type: exchange.NoteAnswered, Actor: "agent", Payload: []byte(strings.Replace(string(all[15].Payload), "Ag", "Aw", 1))})
	},
	"answer to agent: key":             payload(14, `"key":"AA`, `"key":"AQ`),
	"answer to agent: request":         payload(14, `"request":"AQ`, `"request":"AA`),
	"answer to phone: time":            func(all []exchange.Event) []exchange.Event { all[15].TS = aDay.Add(time.Minute); return all },
	"answer to phone: HTTP status":     payload(15, `409`, `403`),
	"answer to phone: code":            payload(15, `thread_closed`, `forbidden`),
	"answer to phone: sentence":        payload(15, `"no"`, `"yes"`),
	"answer to agent: ref":             payload(14, aRef, second),
	"answer to agent: thread's status": payload(14, `"held"`, `"claimed"`),
	"executor copy: has done nothing yet": func(all []exchange.Event) []exchange.Event {
		return append(all, exchange.Event{Type: exchange.NoteAnswered, Actor: "copy"})
	},
	"attachment 1: hash of the key":           payload(9, "/a", "/b"),
	"attachments 1 and 0":                     payload(9, `"attachments"`, `"others"`),
	"thread " + aRef + ": message 1 is at 00": func(all []exchange.Event) []exchange.Event { all[5].At[0] = 1; return all },
}

// What differs is named, whatever it is.
func TestDifferenceNamesIt(t *testing.T) {
	for want, change := range differences {
		got := exchange.Difference(lived(aLife()), lived(change(aLife())), equalPlaces)
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	moved := func(a, b exchange.At) bool { return true }
	other := aLife()
	other[5].At[0] = 1
	if got := exchange.Difference(lived(aLife()), lived(other), moved); got != "" {
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
