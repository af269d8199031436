package exchange_test

import (
	"bytes"
	"encoding/json"
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
	exchange.ExchangeOpened, exchange.DayClosed, "note_x", "unheard_of",
}

// No payload, of any type of event, old or new, makes Apply panic or leaves a state that can't be
// listed, or a message that is no list.
func FuzzApply(f *testing.F) {
	for i := range eventTypes {
		for _, payload := range []string{
			`{"new_status":"claimed","executor_id":"phone"}`, `{"new_status":7,"executor_id":{}}`, `{"mess":{"a":1}}`, `{"mess":"x"}`, `{"intent":[],"priority":0}`,
			`{"executors":{"phone":{"capabilities":[[1]],"api_key_hash":"k"},"x":null}}`, `[]`, `null`, `{`, "\xff", `{"mess": [` + "\xff" + `]}`, `{"display_name":"\ud800"}`,
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
		apply(s, exchange.ExecutorRegistered, "", "phone", []byte(`{"api_key_hash":"k"}`))
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
