package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// oldObject writes an event as the original server did: a random UUID, no seq, no genesis.
func oldObject(b *faultblob.Bucket, uuid, ts, eventType, actor string) string {
	key := "events/exchange=home/2026/01/31/" + uuid + ".jsonl"
	b.Put(key, fmt.Appendf(nil, `{"event_id":%q,"ts":%q,"exchange_id":"home","thread_ref":"2026-01-31-AB12","event_type":%q,"actor_id":%q,"payload":{}}`+"\n",
		uuid, ts, eventType, actor))
	return key
}

func oldData31(b *faultblob.Bucket) {
	oldObject(b, "c1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c11", "2026-01-31T10:00:00.000Z", "message_added", "created-message")
	oldObject(b, "d1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c12", "2026-01-31T10:00:00.000Z", "thread_created", "created")
	oldObject(b, "01f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c13", "2026-01-31T11:00:00.000Z", "message_added", "status-message")
	oldObject(b, "f1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c14", "2026-01-31T11:00:00.000Z", "status_changed", "status")
	oldObject(b, "e1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c15", "2026-01-31T09:00:00.000Z", "executor_registered", "registered")
}

// Data of the original server is the log's prefix: by ts, then type, then key; before genesis; and nothing
// of it is rewritten. What is written afterwards follows.
func TestLegacyIsThePrefix(t *testing.T) {
	b := faultblob.New()
	oldData31(b)
	torn := "events/exchange=home/2026/01/31/a1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c16.jsonl"
	b.Put(torn, []byte(`{"event_id":"a1f0`))
	undated := oldObject(b, "b1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c18", "yesterday", "executor_registered", "undated")
	unopened, err := Check(t.Context(), b.Store(true), "home", CheckOptions{})
	if err != nil || len(unopened.Notes) != 2 || len(unopened.Findings) != 1 { // the schema object is missing
		t.Errorf("check before the first start: %+v, %v", unopened, err)
	}
	before := map[string]string{}
	for _, k := range b.Keys("") {
		data, _ := b.Get(k)
		before[k] = string(data)
	}
	adopt := func(context.Context) (json.RawMessage, error) {
		return json.RawMessage(`{"my-phone":{"display_name":"My Phone"}}`), nil
	}
	r, err := tryStart(t, b.Store(true), Options{Adopt: adopt})
	if err != nil {
		t.Fatal(err)
	}
	r.do(t, say("new"))
	again, err := tryStart(t, b.Store(true), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{r, again} {
		equal(t, "events", actors(r.desk.events), []string{"undated", "registered", "created", "created-message", "status", "status-message", "-", "new"})
		if g := string(r.desk.events[6].Payload); !strings.Contains(g, `"legacy":{"objects":7,`) || !strings.Contains(g, `"last_ts":"2026-01-31T11:00:00.000Z"`) || !strings.Contains(g, `"my-phone"`) {
			t.Errorf("genesis: %s", g)
		}
	}
	for k, want := range before {
		if data, _ := b.Get(k); string(data) != want {
			t.Errorf("%s was rewritten", k)
		}
	}
	report, err := Check(t.Context(), b.Store(true), "home", CheckOptions{})
	if err != nil || len(report.Findings) > 0 || len(report.Notes) != 2 || !strings.Contains(report.Notes[0], torn) || !strings.Contains(report.Notes[1], undated) {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// Genesis freezes the set: an object of an original server that still runs can't change decided history.
func TestLegacySetIsFrozen(t *testing.T) {
	b := faultblob.New()
	oldData31(b)
	r, err := tryStart(t, b.Store(true), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.do(t, say("new"))
	oldObject(b, "b1f0a52b-7a55-4c1e-9d6e-3f2f5b8f3c17", "2026-01-31T10:30:00.000Z", "status_changed", "intruder")
	again, err := tryStart(t, b.Store(true), Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "events", actors(again.desk.events), actors(r.desk.events))
	report, err := Check(t.Context(), b.Store(true), "home", CheckOptions{})
	if err != nil || len(report.Findings) > 0 || len(report.Notes) != 1 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// An exchange that has executors of the original server and no event yet is old data too.
func TestLegacyExecutorsOnly(t *testing.T) {
	b := faultblob.New()
	b.Put("executors/exchange=home/my-phone.json", []byte(`{}`))
	adopted := false
	_, err := tryStart(t, b.Store(true), Options{Adopt: func(context.Context) (json.RawMessage, error) {
		adopted = true
		return json.RawMessage(`{}`), nil
	}})
	if err != nil || !adopted {
		t.Errorf("adopted: %v, %v", adopted, err)
	}
}

// Odd lines are events as far as they can be read.
func TestOldLinesAreReadTolerantly(t *testing.T) {
	const key = "events/exchange=home/2026/01/31/x.jsonl"
	// "undated" follows the start of the key's day.
	for line, want := range map[string]string{
		`{"event_id":1,"ts":"2026-01-31T10:00:00+01:00","exchange_id":"home","thread_ref":7,"event_type":"x","actor_id":null,"payload":3}`: `x|||2026-01-31T09:00:00.000Z|3`,
		`{"event_type":"x","actor_id":"a"}`:          `x||a|2026-01-31T00:00:00.000Z| undated`,
		`{"event_type":"x","exchange_id":"another"}`: `errother`,
		`{"actor_id":"a"}`:                           `err`,
		`[]`:                                         `err`,
		`{"event_type":"x"`:                          `err`,
	} {
		e, err := parseOldLine([]byte(line), "home", key)
		got := strings.Join([]string{e.Type, e.Thread, e.Actor, e.TS.Format(timeFormat), string(e.Payload)}, "|")
		switch {
		case errors.Is(err, errUndated):
			got += " undated"
		case errors.Is(err, errOtherExchange):
			got = "errother"
		case err != nil:
			got = "err"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}
