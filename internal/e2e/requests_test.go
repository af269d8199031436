//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestLists: newest change first, filtered by any spelling of a status, and nothing of another exchange.
func TestLists(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		agent, phone := at(s, "home").register(t, "agent"), at(s, "home").register(t, "phone")
		office := at(s, "office").register(t, "agent")
		if a := agent.want(t, http.StatusOK, "GET", "/requests", nil); compact(t, a.body) != `{"threads":[]}` {
			t.Errorf("list of an empty exchange: got %v", a)
		}
		a, b, c := agent.create(t, intent("a")), agent.create(t, intent("b")), agent.create(t, intent("c"))
		office.create(t, intent("not at home"))
		wantOrder(t, agent, "", c, b, a)
		phone.set(t, a, "in-progress")
		wantOrder(t, agent, "", a, c, b)
		agent.want(t, http.StatusOK, "PATCH", "/requests/"+b, `{"mess": [{"ack": {}}]}`)
		wantOrder(t, agent, "", b, a, c)

		wantOrder(t, agent, "?status=pending", b, c)
		wantOrder(t, agent, "?status=in_progress", a)
		wantOrder(t, agent, "?status=in-progress", a)
		wantOrder(t, agent, "?status=canceled")
		agent.set(t, c, "canceled")
		wantOrder(t, agent, "?status=canceled", c)
		wantOrder(t, agent, "?status=cancelled", c)
		agent.want(t, http.StatusBadRequest, "GET", "/requests?status=nonsense", nil)

		wantOrder(t, agent, "?status=in_progress,cancelled", c, a)
		wantOrder(t, agent, "?requestor=agent&executor=phone", a)
		wantOrder(t, agent, "?eligible=true", b)
		wantOrder(t, agent, "?priority=urgent")
		wantPages(t, agent, c, b, a)
	})
}

// wantPages reads pages of one thread each, and each again with its tag.
func wantPages(t *testing.T, c client, want ...string) {
	t.Helper()
	for i, query := 0, "?limit=1"; query != ""; i++ {
		got := c.want(t, http.StatusOK, "GET", "/requests"+query, nil)
		page := decode[struct {
			Threads []thread
			Next    string `json:"next_cursor"`
		}](t, got)
		if i >= len(want) || len(page.Threads) != 1 || page.Threads[0].Ref != want[i] || (page.Next == "") != (i == len(want)-1) {
			t.Fatalf("page %d: got %v", i+1, got)
		}
		same := c.send(t, "GET", "/requests"+query, nil, "If-None-Match", got.header.Get("ETag"))
		if same.status != http.StatusNotModified || len(same.body) > 0 {
			t.Errorf("page %d again: got %v", i+1, same)
		}
		if query = ""; page.Next != "" {
			query = "?limit=1&cursor=" + page.Next
		}
	}
}

func wantOrder(t *testing.T, c client, query string, want ...string) {
	t.Helper()
	got := []string{}
	for _, thread := range c.threads(t, query) {
		got = append(got, thread.Ref)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("list %s: got %v, want %v", query, got, want)
	}
}

// TestAsSent: what the server does not know it keeps to the byte, what only the server may set it
// ignores, and what means "not given" is not there.
func TestAsSent(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		agent := at(s, "home").register(t, "agent")
		for _, c := range []struct{ name, body, block, priority string }{
			{"big numbers, spelling and order of unknown fields",
				`{"zeta": 12345678901234567890123, "intent": "x", "alpha": {"price": 2.50, "b": [1E+2, -0, 0.10], "a": null}}`,
				`{"zeta":12345678901234567890123,"intent":"x","alpha":{"price":2.50,"b":[1E+2,-0,0.10],"a":null}}`, "normal"},
			{"known fields", `{"intent": "x", "context": ["bed", {"url": "https://example.org"}], "priority": "urgent", "response_hint": ["image"]}`,
				`{"intent":"x","context":["bed",{"url":"https://example.org"}],"priority":"urgent","response_hint":["image"]}`, "urgent"},
			{"characters that encoders like to escape", `{"intent": "<a href='x'>&\u2028é 😀</a>\t\n"}`, `{"intent":"<a href='x'>&\u2028é 😀</a>\t\n"}`, "normal"},
			{"fields that the server sets", `{"ref": "2001-01-01-AAAA", "status": "completed", "created_at": "2001-01-01T00:00:00Z", "requestor_id": "root", "intent": "x"}`,
				`{"intent":"x"}`, "normal"},
			{"values that mean not given", `{"intent": "x", "priority": "", "context": null, "response_hint": false}`, `{"intent":"x"}`, "normal"},
			{"zero means not given", `{"intent": "x", "priority": 0, "context": 0, "response_hint": 0}`, `{"intent":"x"}`, "normal"},
		} {
			got := agent.thread(t, agent.create(t, c.body))
			want := `[{"request":` + c.block + `}]`
			if len(got.Messages) != 1 || canonical(t, got.Messages[0].Mess) != canonical(t, []byte(want)) {
				t.Errorf("%s: got %s, want %s", c.name, got.Messages[0].Mess, want)
			}
			if got.Priority != c.priority || got.Status != "pending" || got.RequestorID != "agent" || got.Ref == "2001-01-01-AAAA" || got.CreatedAt < "2020" {
				t.Errorf("%s: got thread %+v", c.name, got)
			}
		}
	})
}

// canonical is compact JSON in which escapes of characters are resolved; order and numbers stay.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	var out strings.Builder
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			break
		}
		encoded, err := json.Marshal(token)
		if d, is := token.(json.Delim); is {
			encoded = []byte(d.String())
		} else if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		out.WriteByte(' ')
	}
	if !json.Valid(raw) {
		t.Fatalf("no JSON: %s", raw)
	}
	return out.String()
}

// TestStates walks the transitions that each party may and may not make.
func TestStates(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		home := at(s, "home")
		parties := map[string]client{"agent": home.register(t, "agent"), "phone": home.register(t, "phone"), "watch": home.register(t, "watch")}
		for _, c := range []struct{ name, steps, status, holder string }{
			{"claim and complete", "phone claimed 200, watch claimed 409, phone completed 200", "completed", "phone"},
			{"the requestor may claim", "agent claimed 200, phone claimed 409", "claimed", "agent"},
			{"straight to the end claims on the way", "watch completed 200", "completed", "watch"},
			{"straight to work claims on the way", "watch in_progress 200, phone claimed 409", "in_progress", "watch"},
			{"every active status", "phone claimed 200, phone in_progress 200, phone waiting 200, phone held 200, phone retrying 200, phone needs_input 200, phone needs-confirmation 200", "needs_confirmation", "phone"},
			{"release and claim again", "phone claimed 200, phone pending 200, watch claimed 200", "claimed", "watch"},
			{"the same status again is no change", "phone claimed 200, phone claimed 200, phone completed 200, phone completed 200", "completed", "phone"},
			{"the end is the end", "phone failed 200, phone claimed 409, watch completed 409, agent cancelled 409", "failed", "phone"},
			{"the requestor cancels", "phone claimed 200, agent canceled 200, phone completed 409", "cancelled", "phone"},
			{"the requestor cancels what is pending", "agent superseded 200", "superseded", ""},
			{"declined in the old spelling", "phone rejected 200", "declined", "phone"},
		} {
			ref := parties["agent"].create(t, intent(c.name))
			for step := range strings.SplitSeq(c.steps, ", ") {
				words := strings.Fields(step)
				a := parties[words[0]].send(t, "PATCH", "/requests/"+ref, map[string]string{"status": words[1]})
				if a.status != atoi(t, words[2]) {
					t.Errorf("%s: %s: got %v", c.name, step, a)
				}
			}
			if got := parties["agent"].thread(t, ref); got.Status != c.status || got.holder() != c.holder || len(got.Messages) != 1 {
				t.Errorf("%s: got %s held by %q with %d messages, want %s by %q", c.name, got.Status, got.holder(), len(got.Messages), c.status, c.holder)
			}
		}
	})
}

// TestMessages: anyone may speak in a thread, at any time; a status inside a message counts.
func TestMessages(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		agent, phone := at(s, "home").register(t, "agent"), at(s, "home").register(t, "phone")
		ref := agent.create(t, intent("speak"))
		path := "/requests/" + ref
		block := func(status string) string { return `{"status":{"re":"` + ref + `","code":"` + status + `"` }
		for _, c := range []struct {
			name, body string
			by         client
			status     int
			state      string
			mess       string // of the message it adds, "" for none
		}{
			{"a message alone", `{"mess": [{"query": {"what": 2.50}}]}`, phone, 200, "pending", `[{"query":{"what":2.50}}]`},
			{"neither status nor message", `{}`, phone, 200, "pending", ""},
			{"a status block counts", `{"mess": [` + block("claimed") + `,"eta":"PT5M"}}]}`, phone, 200, "claimed", `[` + block("claimed") + `,"eta":"PT5M"}}]`},
			{"two different statuses", `{"status": "completed", "mess": [` + block("failed") + `}}]}`, phone, 400, "claimed", ""},
			{"a status is put in front, with its note", `{"status": "in_progress", "message": "on my way", "mess": [{"text": "x"}]}`, phone, 200, "in_progress",
				`[` + block("in_progress") + `,"message":"on my way"}},{"text":"x"}]`},
			{"a status block of one's own stays alone", `{"status": "completed", "mess": [{"response": {"content": []}}, ` + block("completed") + `}}]}`, phone, 200, "completed",
				`[{"response":{"content":[]}},` + block("completed") + `}}]`},
			{"a message after the end", `{"mess": [{"ack": {}}]}`, agent, 200, "completed", `[{"ack":{}}]`},
			{"mess that is no list", `{"mess": {"ack": {}}}`, agent, 400, "completed", ""},
		} {
			before := len(agent.thread(t, ref).Messages)
			if a := c.by.send(t, "PATCH", path, c.body); a.status != c.status {
				t.Errorf("%s: got %v, want %d", c.name, a, c.status)
			}
			got := agent.thread(t, ref)
			added := got.Messages[before:]
			switch {
			case got.Status != c.state:
				t.Errorf("%s: status: got %s, want %s", c.name, got.Status, c.state)
			case c.mess == "" && len(added) != 0:
				t.Errorf("%s: a message was added: %s", c.name, added[0].Mess)
			case c.mess != "" && (len(added) != 1 || compact(t, added[0].Mess) != c.mess):
				t.Errorf("%s: message: got %s, want %s", c.name, added, c.mess)
			}
		}
		ref = agent.create(t, intent("cancel"))
		phone.send(t, "PATCH", "/requests/"+ref, `{"mess": [{"cancel": {"re": "`+ref+`"}}]}`)
		if got := agent.thread(t, ref).Status; got != "pending" {
			t.Errorf("a cancel block of someone else: got %s, want pending", got)
		}
		agent.want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"mess": [{"cancel": {"re": "`+ref+`"}}]}`)
		if got := agent.thread(t, ref).Status; got != "cancelled" {
			t.Errorf("a cancel block of the requestor: got %s, want cancelled", got)
		}
	})
}
