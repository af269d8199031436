package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The wire facts that existing clients rely on (docs/protocol.md), one test or row for each.

// Ensure a request is stored as its sender meant it: what means "not given" is dropped, what the
// server sets is ignored, what it does not know is kept to the byte.
func TestRequestBlocks(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	for name, c := range map[string]struct{ body, block, priority string }{
		"empty strings":   {`{"intent":"x","priority":"","context":"","response_hint":""}`, `{"intent":"x"}`, "normal"},
		"nulls":           {`{"intent":"x","priority":null,"context":null,"response_hint":null}`, `{"intent":"x"}`, "normal"},
		"false":           {`{"intent":"x","priority":false,"context":false,"response_hint":false}`, `{"intent":"x"}`, "normal"},
		"zeros":           {`{"intent":"x","priority":0,"context":0.0,"response_hint":-0}`, `{"intent":"x"}`, "normal"},
		"others kept":     {`{"intent":"x","requires":null,"precision":"","id":0,"confirm_before":false}`, `{"intent":"x","requires":null,"precision":"","id":0,"confirm_before":false}`, "normal"},
		"context a text":  {`{"context": "bed" ,"intent":"x"}`, `{"context":["bed"],"intent":"x"}`, "normal"},
		"hints":           {`{"intent":"x", "response_hints" : ["image"]}`, `{"intent":"x","response_hint":["image"]}`, "normal"},
		"hint before":     {`{"intent":"x","response_hint":["text"],"response_hints":["image"]}`, `{"intent":"x","response_hint":["text"],"response_hints":["image"]}`, "normal"},
		"hint not given":  {`{"intent":"x","response_hint":null,"response_hints":["image"]}`, `{"intent":"x","response_hint":["image"]}`, "normal"},
		"hints not given": {`{"intent":"x","response_hints":""}`, `{"intent":"x"}`, "normal"},
		"server-set": {`{"ref":"2001-01-01-AAAA","status":7,"created_at":"x","updated_at":[],"requestor_id":"root","executor_id":{},"intent":"x","priority":"urgent"}`,
			`{"intent":"x","priority":"urgent"}`, "urgent"},
		"unknown, as sent": {`{"zeta": 12345678901234567890123, "intent": "x", "a": {"p": 2.50, "b": [1E+2, -0, 0.10, "\u0041\/<&>"]}, "A": null}`,
			`{"zeta":12345678901234567890123,"intent":"x","a":{"p":2.50,"b":[1E+2,-0,0.10,"\u0041\/<&>"]},"A":null}`, "normal"},
		"names as spelled": {`{"in\u0074ent":"x","<\u00e9>":1}`, `{"in\u0074ent":"x","<\u00e9>":1}`, "normal"},
		"line breaks":      {"{\r\n\t\"intent\" : \"a\\tb\\nc\\rd\" ,\n\"note\" : [ 1 ,\n2 ] }", `{"intent":"a\tb\nc\rd","note":[1,2]}`, "normal"},
		"known fields": {`{"intent":"x","context":["a",{"image":"data:,"}],"response_hint":["image"],"requires":["photo",{"gps":{}}],"precision":"exact","needed_by":"2030-01-01T00:00:00Z","confirm_before":true,"constraints":{"depends_on":[]},"id":"mine"}`,
			`{"intent":"x","context":["a",{"image":"data:,"}],"response_hint":["image"],"requires":["photo",{"gps":{}}],"precision":"exact","needed_by":"2030-01-01T00:00:00Z","confirm_before":true,"constraints":{"depends_on":[]},"id":"mine"}`, "normal"},
	} {
		t.Run(name, func(t *testing.T) {
			got := agent.want(200, "GET", "/requests/"+agent.create(c.body), "")
			mess, priority, status := readThread(t, got.body)
			if want := `[{"request":` + c.block + `}]`; mess != want {
				t.Errorf("block:\n got %s\nwant %s", mess, want)
			}
			if priority != c.priority || status != "pending" {
				t.Errorf("got %s, %s; want %s, pending", priority, status, c.priority)
			}
		})
	}
}

// readThread returns the blocks of the first message exactly as they were answered.
func readThread(t *testing.T, text []byte) (mess, priority, status string) {
	t.Helper()
	var v struct {
		Thread struct {
			Priority, Status string
			Messages         []struct{ Mess json.RawMessage }
		}
	}
	if err := json.Unmarshal(text, &v); err != nil || len(v.Thread.Messages) == 0 {
		t.Fatalf("%s: %v", text, err)
	}
	return string(v.Thread.Messages[0].Mess), v.Thread.Priority, v.Thread.Status
}

// Ensure other spellings of a status are accepted in a body and in a query, and canonical ones answered.
func TestStatusSpellings(t *testing.T) {
	home := newSite(t).at("home")
	agent, phone := home.register("agent"), home.register("phone")
	for _, c := range []struct {
		by              client
		word, canonical string
	}{
		{phone, "in-progress", "in_progress"}, {phone, "needs-input", "needs_input"}, {phone, "needs-confirmation", "needs_confirmation"},
		{phone, "rejected", "declined"}, {agent, "canceled", "cancelled"}, {phone, "claimed", "claimed"},
	} {
		ref := agent.create(`{"intent":"x"}`)
		got := c.by.want(200, "PATCH", "/requests/"+ref, `{"status":"`+c.word+`"}`)
		if want := fmt.Sprintf(`{"ref":%q,"status":%q}`, ref, c.canonical); strings.TrimSpace(string(got.body)) != want {
			t.Errorf("%s: got %s, want %s", c.word, got.body, want)
		}
		list := agent.want(200, "GET", "/requests?status="+c.word, "")
		if !strings.Contains(string(list.body), ref) || !strings.Contains(string(list.body), `"status":"`+c.canonical+`"`) {
			t.Errorf("?status=%s: got %s", c.word, list.body)
		}
	}
}

// Ensure lists are newest update first, hold what is asked for, and ignore what nobody knows.
func TestLists(t *testing.T) {
	home := newSite(t).at("home")
	agent := home.register("agent")
	a, b, c := agent.create(`{"intent":"a"}`), agent.create(`{"intent":"b"}`), agent.create(`{"intent":"c"}`)
	agent.want(200, "PATCH", "/requests/"+a, `{"mess":[{"ack":{}}]}`)
	agent.want(200, "PATCH", "/requests/"+b, `{"status":"claimed"}`)
	for query, want := range map[string][]string{
		"":                                 {b, a, c},
		"?limit=2":                         {b, a},
		"?status=pending":                  {a, c},
		"?status=pending&limit=1&utm=x&b":  {a},
		"?status=held":                     {},
		"?Status=held&offset=2&LIMIT=zero": {b, a, c},
	} {
		got := agent.want(200, "GET", "/requests"+query, "")
		refs := regexp.MustCompile(`"ref":"([^"]+)"`).FindAllStringSubmatch(string(got.body), -1)
		list := []string{}
		for _, m := range refs {
			list = append(list, m[1])
		}
		if !slices.Equal(list, want) {
			t.Errorf("%s: got %v, want %v", query, list, want)
		}
	}
}

// seqRE is the end of a thread's messages with what stands behind them.
var seqRE = regexp.MustCompile(`\],"seq":\d+`)

// Ensure what a client sees of a change: nothing happens without a known member, a status alone adds
// no message, blocks of unknown types are kept to the byte.
func TestChanges(t *testing.T) {
	home := newSite(t).at("home")
	agent, phone := home.register("agent"), home.register("phone")
	ref := agent.create(`{"intent":"x"}`)
	path := "/requests/" + ref
	messages := func() string {
		got := agent.want(200, "GET", path, "")
		_, after, _ := strings.Cut(string(got.body), `"messages":[`)
		return seqRE.ReplaceAllString(timesRE.ReplaceAllString(after, "TIME"), "]")
	}
	for _, c := range []struct{ body, answer, added string }{
		{`{}`, "pending", ""},
		{`{"unknown":1,"mess":[]}`, "pending", ""},
		{`{"status":"claimed"}`, "claimed", ""},
		{`{"mess":[ {"telemetry": {"big": 12345678901234567890123, "p": 2.50, "<": null}} , {"v":"1.0.0"} ]}`, "claimed",
			`[{"telemetry":{"big":12345678901234567890123,"p":2.50,"<":null}},{"v":"1.0.0"}]`},
		{`{"status":"in-progress","message":"on my way","mess":[{}]}`, "in_progress",
			`[{"status":{"re":"` + ref + `","code":"in_progress","message":"on my way"}},{}]`},
	} {
		before := messages()
		got := phone.want(200, "PATCH", path, c.body)
		if want := fmt.Sprintf(`{"ref":%q,"status":%q}`, ref, c.answer); strings.TrimSpace(string(got.body)) != want {
			t.Errorf("%s: got %s, want %s", c.body, got.body, want)
		}
		want := before
		if c.added != "" {
			want = strings.TrimSuffix(strings.TrimSpace(before), "]}}") + `,{"from":"phone","ts":TIME,"mess":` + c.added + "}]}}\n"
		}
		if after := messages(); after != want {
			t.Errorf("%s:\n got %s\nwant %s", c.body, after, want)
		}
	}
}

// Ensure a path that is no ref, whatever it is, is a thread that does not exist.
func TestNoRef(t *testing.T) {
	phone := newSite(t).at("home").register("phone")
	for _, ref := range []string{"2026-02-01-003-check-fridge", "..", "%2e%2e%2fetc%2fpasswd", "%00", "%ff%fe", "a%2Fb", strings.Repeat("x", 5000), "%F0%9F%98%80", "{ref}"} {
		for method, body := range map[string]string{"GET": "", "PATCH": `{"status":"claimed"}`} {
			got := phone.send(method, "/requests/"+ref, body)
			if got.status != 404 || got.text(t, "error") != "Thread not found" || got.text(t, "code") != "thread_not_found" {
				t.Errorf("%s %.40s: got %d %s", method, ref, got.status, got.body)
			}
		}
	}
}

// Ensure new ids follow the rule, and a refused registration leaves nothing.
func TestNewIDs(t *testing.T) {
	s := newSite(t)
	home := s.at("home")
	phone := home.register("phone")
	for _, id := range []string{"", ".", "..", ".x", "x.", "a..b", "-x", "_x", "a b", "a/b", "é", "x\u2028", strings.Repeat("x", 65)} {
		body, err := json.Marshal(map[string]string{"executor_id": id})
		if err != nil {
			t.Fatal(err)
		}
		if got := home.send("POST", "/register", string(body)); got.status != 400 || !strings.HasPrefix(got.text(t, "error"), "executor_id: must ") {
			t.Errorf("executor %q: got %d %s", id, got.status, got.body)
		}
	}
	for _, id := range []string{"null", "NULL", "Null", ".x", "a..b", "-schema", "a%20b", "a%2Fb", "%C3%A9", strings.Repeat("x", 65)} {
		if got := s.at(id).send("POST", "/register", `{"executor_id":"phone"}`); got.status != 400 || !strings.HasPrefix(got.text(t, "error"), "exchange_id: must ") {
			t.Errorf("exchange %q: got %d %s", id, got.status, got.body)
		}
	}
	for _, id := range []string{"x", "7", "a.b-c_d.E", "my_home", "nulls", strings.Repeat("x", 64)} {
		c := s.at(id).register(id)
		if got := c.want(200, "GET", "/executors", ""); !strings.Contains(string(got.body), `"id":"`+id+`"`) {
			t.Errorf("%s: got %s", id, got.body)
		}
	}
	if got := phone.want(200, "GET", "/executors", ""); strings.Count(string(got.body), `"id":`) != 1 {
		t.Errorf("a refused registration was stored: %s", got.body)
	}
	if got := home.want(409, "POST", "/register", `{"executor_id":"phone"}`); got.text(t, "code") != "already_registered" {
		t.Errorf("again: got %s", got.body)
	}
}

// Ensure notification settings are checked by type, hooks and preferences as well, and anything else is kept.
func TestChannels(t *testing.T) {
	phone := newSite(t).at("home").register("phone")
	for body, want := range map[string]string{
		`{"notifications":[]}`:   "",
		`{"notifications":null}`: "",
		`{"preferences":null}`:   "",
		`{"notifications":[{"type":"ntfy","topic":"x","server":"https://ntfy.sh","more":1},{"type":"webhook","url":"https://x"},{"type":"google_chat","webhook_url":"https://x"}]}`: "",
		`{"hooks":null}`: "",
		`{"hooks":{"on_request_created":[{"type":"webhook","url":"https://x/{{ref}}","more":1}],"on_request_claimed":null},"other":{"a":[1]}}`: "",
		`{"notifications":[{"type":"pager","number":7}]}`:                    "notifications[0].type: must be one of ntfy, slack, google_chat, webhook",
		`{"notifications":[{"type":"webhook","url":"x"}]}`:                   "notifications[0].url: must be an http or https URL",
		`{"hooks":{"on_request_created":[{"type":"webhook"}]}}`:              "hooks.on_request_created[0].url: is required",
		`{"hooks":{"on_request_created":[{"type":"pager"}]}}`:                "hooks.on_request_created[0].type: must be one of webhook, ifttt, zapier, home_assistant, todoist, linear, google_tasks",
		`{"hooks":{"on_request_created":[{}]}}`:                              "hooks.on_request_created[0].type: is required",
		`{"hooks":{"on_request_created":{}}}`:                                "hooks.on_request_created: must be a list",
		`{"hooks":[]}`:                                                       "hooks: must be an object",
		`{"hooks":{"on_request_done":[]}}`:                                   "hooks: may have no other members than on_request_created, on_request_claimed, on_request_started, on_request_completed, on_request_rejected, on_request_cancelled",
		`{"preferences":{"quiet_hours":{"timezone":"Mars/Olympus"}}}`:        "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",
		`{"notifications":{"type":"ntfy"}}`:                                  "notifications: must be a list",
		`{"notifications":["ntfy"]}`:                                         "notifications[0]: must be an object",
		`{"notifications":[{"topic":"x"}]}`:                                  "notifications[0].type: is required",
		`{"notifications":[{"type":7}]}`:                                     "notifications[0].type: must be a string",
		`{"notifications":[{"type":"ntfy"}]}`:                                "notifications[0].topic: is required",
		`{"notifications":[{"type":"pager"},{"type":"ntfy","topic":["x"]}]}`: "notifications[1].topic: must be a string",
		`{"notifications":[{"type":"slack","url":"x"}]}`:                     "notifications[0].webhook_url: is required",
		`{"notifications":[{"type":"webhook","url":""}]}`:                    "notifications[0].url: must not be empty",
		`{"preferences":{"min_priority":"high"}}`:                            "preferences.min_priority: must be one of background, normal, elevated, urgent",
		`{"preferences":{"quiet_hours":{"start":"25:00"}}}`:                  "preferences.quiet_hours.start: must be a time of day such as 22:00",
		`{"preferences":{"quiet_hours":{"enabled":"yes"}}}`:                  "preferences.quiet_hours.enabled: must be true or false",
		`{"capabilities":["a",7]}`:                                           "capabilities[1]: must be a string",
		`{"capabilities":null}`:                                              "capabilities: must be a list",
		`{"display_name":null}`:                                              "display_name: must be a string",
	} {
		got := phone.send("PATCH", "/executors/phone", body)
		switch {
		case want == "" && got.status != 200:
			t.Errorf("%s: got %d %s", body, got.status, got.body)
		case want != "" && (got.status != 400 || got.text(t, "error") != want || got.text(t, "code") != "invalid"):
			t.Errorf("%s: got %d %s, want %s", body, got.status, got.body, want)
		}
	}
}

// Ensure HEAD works wherever GET does and a trailing slash changes nothing.
func TestHeadAndSlash(t *testing.T) {
	s := newSite(t)
	phone := s.at("home").register("phone")
	ref := phone.create(`{"intent":"x"}`)
	root := client{site: s}
	for _, c := range []struct {
		client
		path string
	}{{phone, "/requests"}, {phone, "/requests/" + ref}, {phone, "/requests?limit=1"}, {phone, "/executors"}, {phone, "/executors/phone"}, {phone, "/capabilities"}, {phone, "/capabilities?tag=x"}, {root, "/health"}, {root, "/ready"}, {root, "/docs"}, {root, "/openapi.json"}, {root, "/openapi.yaml"}} {
		get, head := c.want(200, "GET", c.path, ""), c.want(200, "HEAD", c.path, "")
		for _, name := range []string{"Content-Type", "Content-Length"} {
			if get.header.Get(name) != head.header.Get(name) {
				t.Errorf("HEAD %s: %s: got %q, want %q", c.path, name, head.header.Get(name), get.header.Get(name))
			}
		}
		path, query, _ := strings.Cut(c.path, "?")
		if slash := c.want(200, "GET", path+"/?"+query, ""); string(slash.body) != string(get.body) && !strings.HasPrefix(c.path, "/executors") {
			t.Errorf("GET %s/: got %s, want %s", path, slash.body, get.body)
		}
	}
	phone.want(201, "POST", "/requests/", `{"intent":"x"}`)
	phone.want(200, "PATCH", "/requests/"+ref+"/", `{"status":"claimed"}`)
	s.at("home").want(201, "POST", "/register/", `{"executor_id":"x"}`)
	if got := phone.want(405, "HEAD", "/executors/phone/key", ""); got.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("HEAD of what has no GET: Allow: got %q", got.header.Get("Allow"))
	}
}

// Ensure any page may ask for anything without a key, and reads every answer.
func TestCORS(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/", "/health", "/ready", "/nothing", "/api/v1/exchanges/home/requests", "/api/v1/exchanges/home/register", "/api/v1/exchanges/home/nothing/at/all"} {
		got := client{site: s}.want(http.StatusNoContent, "OPTIONS", path, "", "Origin", "https://page.example", "Access-Control-Request-Method", "PATCH")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin":   "*",
			"Access-Control-Allow-Methods":  "PATCH",
			"Access-Control-Allow-Headers":  "Authorization, Content-Type, Idempotency-Key",
			"Access-Control-Expose-Headers": "X-Request-Id",
		} {
			if !strings.Contains(got.header.Get(name), want) {
				t.Errorf("OPTIONS %s: %s: got %q, want it to hold %q", path, name, got.header.Get(name), want)
			}
		}
	}
}
