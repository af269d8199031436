package engine

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that nothing that opens an exchange, and nothing of types that this version does not know, is shown.
func TestEventsHoldNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		key, c := enroll(t, e, "home", "agent")
		if _, err := e.RotateKey(t.Context(), c, "agent"); err != nil {
			t.Fatal(err)
		}
		_, other := enroll(t, e, "home", "other")
		page, err := e.Events(t.Context(), other, EventFilter{}, 0, 100)
		if err != nil || len(page.Events) != 3 {
			t.Fatal(page, err)
		}
		for _, ev := range page.Events {
			if strings.Contains(string(ev.Frame()), "hash") || strings.Contains(string(ev.Frame()), c.KeyHash) || strings.Contains(string(ev.Frame()), key) {
				t.Errorf("%s", ev.Frame())
			}
		}
		if line := string(page.Events[0].Line()); !strings.HasSuffix(line, `"payload":{"display_name":"agent","capabilities":["photo:capture"]}}`) {
			t.Error(line)
		}
	})
	for _, c := range []struct{ eventType, thread, payload, want string }{
		{"thread_created", "r", `{"intent":"<b>"}`, `{"intent":"<b>"}`},
		{"thread_unheard_of", "r", `{"a":1}`, `{"a":1}`},
		{"executor_unheard_of", "", `{"api_key_hash":"x"}`, `{}`},
		{"executor_removed", "", `{"a":1}`, `{}`},
		{"executor_updated", "", `{"api_key_hash":"x"}`, `{}`},
		{"executor_updated", "", `[]`, `{}`},
		{"executor_registered", "", `{"display_name":3}`, `{"display_name":3}`},
		{"day_closed", "", `{"next":"2026/02/02"}`, `{"next":"2026/02/02"}`},
		{"exchange_opened", "", `{"executors":{}}`, `{}`},
	} {
		shown, err := showEvent("home", eventlog.Event{Seq: 7, Type: c.eventType, Thread: c.thread, Payload: json.RawMessage(c.payload)})
		if err != nil || !strings.HasSuffix(string(shown.Line()), `"payload":`+c.want+"}") {
			t.Errorf("%s %s: %s %v", c.eventType, c.payload, shown.Line(), err)
		}
	}
	for _, c := range []struct{ eventType, payload, want string }{
		{"thread_created", `{}`, "pending"},
		{"thread_imported", `{"documents":[{"status":"in-progress"}]}`, "in_progress"},
		{"thread_imported", `{"documents":7}`, "pending"},
		{"status_changed", `{"new_status":"canceled"}`, "cancelled"},
		{"status_changed", `{"new_status":7}`, ""},
		{"message_added", `{"mess":[{"status":{"code":"held"}}]}`, ""},
	} {
		if status := exchange.StatusGiven(exchange.Event{Type: c.eventType, Thread: "r", Payload: json.RawMessage(c.payload)}); status != c.want {
			t.Errorf("%s %s gives %q, not %q", c.eventType, c.payload, status, c.want)
		}
	}
	if shown, err := showEvent("home", eventlog.Event{Seq: 7, Type: "note_delivered", Thread: "r", Payload: json.RawMessage("{}")}); shown != nil || err != nil {
		t.Error("a note is shown")
	}
	if shown, _ := showEvent("home", eventlog.Event{Seq: 7, Type: "a\ndata: b", Payload: json.RawMessage("{}")}); strings.Count(string(shown.Frame()), "\n") != 3 {
		t.Errorf("%q", shown.Frame())
	}
}

// Ensure that pages follow each other without a gap whatever their size, and that one that a filter leaves empty
// says where to go on, after a bounded number of events.
func TestEventPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, c := enroll(t, e, "home", "agent")
		ref := post(t, e, c, "x")
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				for range 300 {
					if err := e.Update(t.Context(), c, &exchange.Update{Ref: ref, Mess: []json.RawMessage{json.RawMessage(`{"x":1}`)}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		clients.Wait()
		for _, limit := range []int{1000, 777} {
			seq, pages := int64(0), 0
			for more := true; more; pages++ {
				page, err := e.Events(t.Context(), c, EventFilter{}, seq, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, ev := range page.Events {
					if seq++; ev.Seq != seq {
						t.Fatalf("event %d follows %d", ev.Seq, seq-1)
					}
				}
				if page.Next != seq || len(page.Events) > limit {
					t.Fatalf("%d events, next %d, last %d", len(page.Events), page.Next, seq)
				}
				more = page.More
			}
			if seq != 6003 || pages < 6003/limit {
				t.Errorf("%d events in %d pages of %d", seq, pages, limit)
			}
		}
		if page, err := e.Events(t.Context(), c, EventFilter{}, NoSeq, 10); err != nil || len(page.Events) != 0 || page.Next != 6003 || page.More {
			t.Errorf("%+v %v", page, err)
		}
		page, err := e.Events(t.Context(), c, EventFilter{Status: "completed"}, 0, 10)
		if err != nil || len(page.Events) != 0 || page.Next != 6003 || page.More {
			t.Errorf("%+v %v", page, err)
		}
	})
}
