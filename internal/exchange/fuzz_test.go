package exchange_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// A ref is put together again from its parts, and is harmless as a name in a folder.
func FuzzRef(f *testing.F) {
	for _, seed := range []string{
		"2026-02-01-XY1Z", "2026-02-01-003-check-fridge", "2026-02-30-AAAA", "2026-02-01-", "2026-02-01-../../x", "2026-02-01-a..b", "2024-02-29-0", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		day, suffix, ok := exchange.ParseRef(ref)
		if !ok {
			return
		}
		if exchange.NewRef(day, suffix) != ref {
			t.Fatalf("ParseRef(%q) = %v, %q", ref, day, suffix)
		}
		if len(ref) > 128 || strings.Contains(ref, "..") || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\:%*?"'<>|`, r) }) {
			t.Fatalf("ParseRef took %q", ref)
		}
	})
}

var eventTypes = []string{
	exchange.ExecutorRegistered, exchange.ExecutorUpdated, exchange.ExecutorRemoved, exchange.ThreadCreated, exchange.StatusChanged, exchange.MessageAdded,
	exchange.ThreadImported, exchange.ExchangeOpened, exchange.DayClosed, "note_x", "unheard_of", exchange.NoteAnswered, exchange.NoteLease, exchange.NoteDelivery,
}

// No payload, of any type of event, old or new, makes Apply panic or leaves a state that can't be
// listed, or a message that is no list.
func FuzzApply(f *testing.F) {
	for i := range eventTypes {
		for _, payload := range []string{
			`{"new_status":"claimed","executor_id":"phone"}`, `{"new_status":7,"executor_id":{}}`, `{"mess":{"a":1}}`, `{"mess":"x"}`, `{"intent":[],"priority":0}`,
			`{"new_status":"needs_confirmation","executor_id":"phone","confirmed":true,"if_denied":"cancelled"}`, `{"new_status":"pending","delegated_to":["phone"],"confirmed":"yes","if_denied":7}`,
			`{"mess":[{"request":{"requires":["a",{"b":1},7],"needed_by":"2026-02-01T00:00:00Z","confirm_before":true,"constraints":{"timing":{"not_before":5},"depends_on":["2026-02-01-AAAA"]}}}]}`,
			`{"documents":[{"requestor":"phone","executor":"phone","status":"needs-input","intent":7,"priority":0,"created":"2026-01-01T00:00:00+01:00","expires":"2026-01-02T00:00:00Z"},{"from":7,"received":0,"MESS":{"request":{"requires":["a"]}}},[],{"MESS":null}]}`, `{"documents":{"a":1}}`, `{"documents":[]}`, `{"documents":[{"status":"delegated"},{"MESS":[{"status":{"code":"delegated","delegated_to":7}}]}]}`,
			`{"executors":{"phone":{"capabilities":[[1]],"api_key_hash":"k"},"x":null}}`, `[]`, `null`, `{`, "\xff", `{"mess": [` + "\xff" + `]}`, `{"display_name":"\ud800"}`,
			`{"key":"AAAAAAAAAAAAAAAAAAAAAA==","request":"AAAAAAAAAAAAAAAAAAAAAA==","status":409,"code":"x","error":{},"thread_status":7}`,
			`{"key":"AAAAAAAAAAAAAAAAAAAAAA==","request":"AAAAAAAAAAAAAAAAAAAAAA==","status":200,"ref":"2026-02-01-XY1Z","thread_status":"claimed"}`,
			`{"holder":"a","duration_ms":20000,"notify":["hooks"]}`, `{"holder":"a","duration_ms":-1,"notify":{"hooks":true}}`,
			`{"event":2,"ref":"x","round":1,"told":1,"outcomes":[{"executor":"phone","channel":"channel 0 ntfy","attempt":1,"outcome":"retry","next":"2026-02-01T00:01:00Z","external_id":"7"}]}`,
			`{"event":2,"round":1,"told":0,"outcomes":[{"executor":"a","attempt":-7,"outcome":"delivered","status":-1},{"executor":"a","outcome":"deferred","next":"9999-12-31T23:59:59Z"},7]}`,
		} {
			f.Add(byte(i), i%2 == 0, "2026-02-01-XY1Z", "phone", []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, original bool, thread, actor string, payload []byte) {
		s := exchange.New()
		ts := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		var seq int64
		var kept log
		apply := func(on *exchange.State, typ, thread, actor string, payload []byte) {
			ts = ts.Add(time.Millisecond)
			if !original {
				seq++
			}
			on.Apply(kept.keep(exchange.Event{Seq: seq, TS: ts, Thread: thread, Type: typ, Actor: actor, Payload: payload}))
		}
		apply(s, exchange.ExecutorRegistered, "", "phone", []byte(`{"api_key_hash":"k","notify":["channels"]}`))
		apply(s, exchange.ThreadCreated, "2026-02-01-XY1Z", "phone", []byte(`{"intent":"x"}`))
		apply(s, exchange.ThreadCreated, "2026-02-01-AAAA", "phone", []byte(`{"intent":"y"}`))
		for _, on := range []*exchange.State{s.Fork(), s} {
			apply(on, eventTypes[int(typ)%len(eventTypes)], thread, actor, payload)
			apply(on, exchange.MessageAdded, "2026-02-01-XY1Z", "phone", []byte(`{"mess":[]}`))
			apply(on, eventTypes[int(typ)%len(eventTypes)], thread, actor, payload)
			checkLists(t, on)
			for _, th := range on.Threads(exchange.Filter{}) {
				for _, m := range kept.messages(on, th.Ref) {
					var list []json.RawMessage
					if err := json.Unmarshal(m.Mess, &list); err != nil {
						t.Fatalf("message %q: %v", m.Mess, err)
					}
				}
			}
			for _, e := range on.Executors() {
				if e.DisplayName == "" && e.ID != "" || e.Capabilities == nil {
					t.Fatalf("executor %+v", e)
				}
			}
		}
	})
}

// Whatever a new request asks for is refused, or asked from then on: the terms that were checked are those
// of the thread, a snapshot of it and a fork. And what a request of the original server asks for, which
// nobody checked, never makes a state that can't be encoded, or a thread that nothing can be decided about.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `{"requires":["see",{"hear":{"a":1},"smell":2}]}`, `{"requires":"see"}`, `{"needed_by":"2026-02-01T22:00:01.5+01:00"}`,
		`{"needed_by":"9999-12-31T23:59:59Z","constraints":{"timing":{"expires":7,"not_before":"0001-01-01T00:00:00Z"}}}`,
		`{"constraints":{"depends_on":["2026-02-01-XY1Z","2026-02-01-XY1Z"],"timing":{"not_before":"2026-02-01T00:00:00-23:59"}}}`,
		`{"c\u006fnfirm_before":true}`, `{"confirm_before":1,"constraints":[]}`, `{"needed_by":"0000-01-01T00:00:00Z","requires":[""]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		if !json.Valid(request) {
			return
		}
		now := time.Date(2026, 2, 1, 10, 0, 0, 0, time.UTC)
		s := threadIn(exchange.StatusPending)
		c := &exchange.Create{Caller: exchange.Caller{Executor: "holder", KeyHash: "key-holder"}, Intent: "x", Request: request, Suffixes: []string{"AAAA"}}
		drafts, refusal := c.Decide(s, now)
		if refusal != nil && refusal.Code != exchange.CodeInvalid {
			t.Fatal(refusal)
		}
		mess := []byte(`{"mess":[{"request":` + string(request) + `}]}`)
		if refusal == nil {
			mess = drafts[1].Payload
		}
		const ref = "2026-02-01-AAAA"
		fork := s.Fork()
		for _, on := range []*exchange.State{fork, s} {
			on.Apply(exchange.Event{TS: now, Thread: ref, Type: exchange.ThreadCreated, Actor: "holder", Payload: []byte(`{"intent":"x"}`)})
			on.Apply(exchange.Event{TS: now, Thread: ref, Type: exchange.MessageAdded, Actor: "holder", Payload: mess})
		}
		terms := s.Terms(ref)
		if again := fork.Terms(ref); !reflect.DeepEqual(terms, again) {
			t.Fatalf("%s asks for %+v, in a fork for %+v", request, terms, again)
		}
		if refusal == nil && !terms.NeededBy.IsZero() && !terms.NeededBy.After(now) {
			t.Fatalf("%s was taken, and has expired", request)
		}
		if diff := exchange.Difference(s, decoded(t, encoded(t, s.Freeze())), equalPlaces); diff != "" {
			t.Fatal(diff)
		}
		claim := &exchange.Update{Caller: c.Caller, Ref: ref, Status: exchange.StatusClaimed}
		if _, refusal := claim.Decide(s, now); refusal != nil && refusal.Code == exchange.CodeInternal {
			t.Fatal(refusal)
		}
	})
}

// Whatever is sent as a message is stored to the byte, but for white space, or refused.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{"response": {"n": 1e400, "a": "<\u2028&>"}}]`, `[{"status": {"code": "completed"}}]`, `[{"status": 7}]`, `[null, {"cancel": {"re": "2026-02-01-XY1Z"}}]`,
		`[{"\u0073tatus": {"code": "held"}}, {"status": {"c\u006fde": "held"}}]`,
	} {
		f.Add("completed", []byte(seed))
		f.Add("", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status string, body []byte) {
		var mess []json.RawMessage
		if json.Unmarshal(body, &mess) != nil {
			return
		}
		s := threadIn(exchange.StatusClaimed)
		c := &exchange.Update{Caller: exchange.Caller{Executor: "holder", KeyHash: "key-holder"}, Ref: "2026-02-01-XY1Z", Status: status, Mess: mess}
		drafts, refusal := c.Decide(s, time.Time{})
		if refusal != nil {
			if refusal.Code != exchange.CodeInvalid && refusal.Code != exchange.CodeForbidden {
				t.Fatal(refusal)
			}
			return
		}
		for _, d := range drafts {
			if !json.Valid(d.Payload) || bytes.ContainsRune(d.Payload, '\n') {
				t.Fatalf("payload %q", d.Payload)
			}
		}
		if len(mess) == 0 {
			return
		}
		var sent bytes.Buffer
		if err := json.Compact(&sent, body); err != nil {
			t.Fatal(err)
		}
		stored := drafts[len(drafts)-1].Payload
		if !bytes.HasSuffix(stored, append(bytes.TrimPrefix(sent.Bytes(), []byte("[")), '}')) {
			t.Fatalf("sent %s, stored %s", &sent, stored)
		}
	})
}
