//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// TestQueryFresh: the contract's query answers from the first moment on, with every column.
func TestQueryFresh(t *testing.T) {
	inEachStorage(t, queryFresh)
}

func queryFresh(t *testing.T, place storage) {
	s := start(t, place.settings...)
	if rows := wantQuery(t, place.files(t), storedEvents(t, place.data)); len(rows) != 0 {
		t.Errorf("an empty server has %d rows", len(rows))
	}
	home := at(s, "home")
	agent, phone := home.register(t, "agent"), home.register(t, "phone")
	at(s, "office").register(t, "agent").create(t, intent("not at home"))
	if rows := wantQuery(t, place.files(t), storedEvents(t, place.data)); len(rows) != 0 {
		t.Errorf("a server where home has no threads has %d rows", len(rows))
	}

	ref := agent.create(t, `{"intent": "Check the door", "context": ["bed"], "priority": "urgent", "response_hint": ["image"]}`)
	for range 2 { // with a key, whose note is about no thread
		if a := phone.send(t, "PATCH", "/requests/"+ref, `{"status": "claimed"}`, keyHeader, "once"); a.status != http.StatusOK {
			t.Fatal(a)
		}
	}
	phone.want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"status": "completed", "mess": [{"response": {"content": ["closed"]}}]}`)
	var story []string
	for _, r := range wantQuery(t, place.files(t), checkLog(t, place.data, "home")) {
		story = append(story, *r["event_type"]+" by "+*r["actor_id"])
		if *r["thread_ref"] != ref {
			t.Errorf("thread_ref: got %s, want %s", *r["thread_ref"], ref)
		}
	}
	want := "thread_created by agent, message_added by agent, status_changed by phone, status_changed by phone, message_added by phone"
	if got := strings.Join(story, ", "); got != want {
		t.Errorf("events of the walk: got %s, want %s", got, want)
	}
	// What users will write next: fields of the payload.
	fields := fmt.Sprintf(`SELECT payload->>'intent' AS intent, payload->>'requestor_id' AS asked, payload->>'new_status' AS status, payload->'mess'->0->'request'->>'intent' AS said
		FROM (%s) ORDER BY seq`, strings.TrimSuffix(contractQuery, ";"))
	_, rows := query(t, place.data, fields)
	if len(rows) != 5 || orNull(rows[0]["intent"]) != "Check the door" || orNull(rows[0]["asked"]) != "agent" ||
		orNull(rows[1]["said"]) != "Check the door" || orNull(rows[2]["status"]) != "claimed" || orNull(rows[3]["status"]) != "completed" {
		t.Errorf("fields of the payload: got %v", rows)
	}
}

// otherExchanges have names that a reader which guesses takes for numbers, dates and the like.
var otherExchanges = []string{"007", "2026", "2026-01-01", "true", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "0", "1e5", "00-00-00", "false", "home-2", "NaN"}

// TestQueryHostile: 5,000 events made to mislead, in an exchange beside ten others with misleading
// names. The query gives exactly what was sent.
func TestQueryHostile(t *testing.T) {
	t.Parallel()
	const enough = 5000
	place := folder(t)
	s := start(t, place.settings...)
	h := newHostility(t, s)
	for id := range 150 { // events about no thread come first, so that thread_ref is null in all files that a reader samples
		h.home.register(t, fmt.Sprintf("%d", 1000+id))
	}
	for _, exchange := range otherExchanges {
		other := hostility{home: at(s, exchange).register(t, "2026-01-01"), random: h.random, sent: map[string][]string{}}
		for range 20 {
			other.ask(t, oddRequest(h.random))
		}
		if exchange == otherExchanges[0] { // sorts first: these are the files that are sampled
			other.setTraps(t)
		}
	}
	h.setTraps(t)
	h.ask(t, `{"intent": "big", "filler": "`+strings.Repeat("é", 4<<20)+`"}`)
	h.ask(t, `{"intent": "deep", "deep": `+strings.Repeat(`{"d":[`, 48)+"1"+strings.Repeat("]}", 48)+`}`)
	for events := len(storedEvents(t, place.files(t))); events < enough; events += 5 {
		ref := h.ask(t, oddRequest(h.random))
		h.say(t, ref, oddMess(h.random), "")
		h.say(t, ref, oddMess(h.random), "completed")
	}
	stored := checkLog(t, place.files(t), "home")
	total := len(storedEvents(t, place.data))
	if total < enough {
		t.Fatalf("only %d events", total)
	}
	rows := wantQuery(t, place.data, stored)
	t.Logf("%d events, %d of them of threads at home", total, len(rows))
	h.wantSent(t, rows)
}

// hostility sends misleading requests to an exchange and remembers them.
type hostility struct {
	home   client
	random *rand.Rand
	refs   []string
	sent   map[string][]string // by ref: the messages, as JSON
}

func newHostility(t *testing.T, s *server) *hostility {
	t.Helper()
	return &hostility{home: at(s, "home").register(t, "2026-01-01"), random: rand.New(rand.NewPCG(3, 5000)), sent: map[string][]string{}}
}

// ask creates a request from a body whose members are all the client's own.
func (h *hostility) ask(t *testing.T, body string) string {
	t.Helper()
	ref := h.home.create(t, body)
	h.refs = append(h.refs, ref)
	h.sent[ref] = []string{`[{"request": ` + body + `}]`}
	return ref
}

// say adds a message, with a status or without.
func (h *hostility) say(t *testing.T, ref, mess, status string) {
	t.Helper()
	body, stored := `{"mess": `+mess+`}`, mess
	if status != "" {
		body = fmt.Sprintf(`{"status": %q, "mess": %s}`, status, mess)
		stored = fmt.Sprintf(`[{"status": {"re": %q, "code": %q}}, %s`, ref, status, strings.TrimPrefix(mess, "["))
	}
	h.home.want(t, http.StatusOK, "PATCH", "/requests/"+ref, body)
	h.sent[ref] = append(h.sent[ref], stored)
}

// setTraps sends each usual value more often than a reader samples, then the odd one; to a Worker, a few times.
func (h *hostility) setTraps(t *testing.T) {
	t.Helper()
	often := 40
	if *onWorker {
		often = 4
	}
	for _, trap := range traps {
		for range often {
			h.ask(t, `{"intent": "usual", `+trap.usual+`}`)
		}
		h.ask(t, `{"intent": "odd", `+trap.odd+`}`)
	}
}

// wantSent holds the rows of the query to what was sent and to what the API answers.
func (h *hostility) wantSent(t *testing.T, rows []row) {
	t.Helper()
	stored, threads := map[string][]row{}, map[string]bool{}
	for _, r := range rows {
		threads[*r["thread_ref"]] = true
		if *r["event_type"] == "message_added" {
			stored[*r["thread_ref"]] = append(stored[*r["thread_ref"]], r)
		}
	}
	if len(threads) != len(h.refs) {
		t.Errorf("threads in the query: got %d, want %d", len(threads), len(h.refs))
	}
	for _, ref := range h.refs {
		answered := h.home.thread(t, ref).Messages
		if len(stored[ref]) != len(h.sent[ref]) || len(answered) != len(h.sent[ref]) {
			t.Errorf("%s: %d messages were sent, the API has %d and the query %d", ref, len(h.sent[ref]), len(answered), len(stored[ref]))
			continue
		}
		for i, sent := range h.sent[ref] {
			var payload struct{ Mess json.RawMessage }
			if err := json.Unmarshal([]byte(*stored[ref][i]["payload"]), &payload); err != nil {
				t.Fatal(err)
			}
			if a := answered[i]; !sameJSON(string(a.Mess), sent) || a.From != *stored[ref][i]["actor_id"] || a.TS != *stored[ref][i]["ts"] {
				t.Errorf("%s: message %d of the API: got %.300s by %s at %s, want %.300s", ref, i, a.Mess, a.From, a.TS, sent)
			}
			if !sameJSON(string(payload.Mess), sent) {
				t.Errorf("%s: message %d of the query: got %.300s, want %.300s", ref, i, payload.Mess, sent)
			}
		}
	}
}
