//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// wantRefusal checks the shape of an error: a sentence and a stable word, open to scripts of any
// page, and nothing of the server's inside.
func wantRefusal(t *testing.T, name string, a answer, status int, text string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: got %v, want %d", name, a, status)
		return
	}
	if a.text("error") == "" || !codeForm.MatchString(a.text("code")) {
		t.Errorf("%s: got %v, want {error, code}", name, a)
	}
	if got := a.text("error"); !strings.Contains(got, text) {
		t.Errorf("%s: got %q, want it to say %q", name, got, text)
	}
	if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("%s: Content-Type: got %q", name, got)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get(requestID) == "" {
		t.Errorf("%s: headers: got %v, want an open CORS and a request id", name, a.header)
	}
	for _, secret := range []string{"goroutine", ".go:", "/tmp/", "panic", "data/", "openapi3"} {
		if strings.Contains(string(a.body), secret) {
			t.Errorf("%s: the answer shows the server's inside: %v", name, a)
		}
	}
}

// call is one request and how it must be refused.
type call struct {
	name, key, method, path, body string
	status                        int
	text                          string   // part of the error's sentence
	headers                       []string // name, value …; an empty value removes one
}

// TestErrors goes through the contract's error table, the order in which the reasons are looked
// at, and checks that nothing of a refused request is stored.
func TestErrors(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		home, office := at(s, "home"), at(s, "office")
		keys := map[string]string{
			"":        "",
			"phone":   home.register(t, "phone").key,
			"agent":   home.register(t, "agent").key,
			"office":  office.register(t, "phone").key,
			"unknown": "mess_home_0123456789abcdef0123456789abcdef",
			"garbage": "not a key",
			"long":    "mess_home_" + strings.Repeat("f", 7000),
			"nowhere": "mess_nowhere_0123456789abcdef0123456789abcdef",
		}
		agent, phone := home.as(keys["agent"]), home.as(keys["phone"])
		held, closed := agent.create(t, intent("held")), agent.create(t, intent("closed"))
		phone.set(t, held, "claimed")
		phone.set(t, closed, "completed")
		before := agent.want(t, http.StatusOK, "GET", "/requests", nil)

		calls := append(badKeys(), badPaths()...)
		calls = append(calls, badBodies()...)
		calls = append(calls, conflicts(held, closed)...)
		for _, c := range calls {
			wantRefusal(t, c.name, home.as(keys[c.key]).send(t, c.method, c.path, body(c), c.headers...), c.status, c.text)
		}
		wantRefusal(t, "a key on an exchange that does not exist", at(s, "nowhere").as(keys["phone"]).send(t, "GET", "/requests", nil), 403, "")
		wantRefusal(t, "a key on another exchange", office.as(keys["phone"]).send(t, "GET", "/requests", nil), 403, "")
		if after := agent.want(t, http.StatusOK, "GET", "/requests", nil); string(after.body) != string(before.body) {
			t.Errorf("refused requests changed the exchange: before %s, after %s", before.body, after.body)
		}
		wantRegistrationsRefused(t, s)
	})
}

// body gives no body at all for "", which JSON can't be.
func body(c call) any {
	if c.body == "" {
		return nil
	}
	return c.body
}

func badKeys() []call {
	return []call{
		{name: "no key", method: "GET", path: "/requests", status: 401},
		{name: "unknown key", key: "unknown", method: "GET", path: "/requests", status: 401},
		{name: "malformed key", key: "garbage", method: "GET", path: "/executors", status: 401},
		{name: "endless key", key: "long", method: "GET", path: "/requests", status: 401},
		{name: "unknown key of another exchange", key: "nowhere", method: "GET", path: "/requests", status: 401},
		{name: "scheme in lower case", method: "GET", path: "/requests", status: 401, headers: []string{"Authorization", "bearer mess_home_x"}},
		{name: "another scheme", method: "GET", path: "/requests", status: 401, headers: []string{"Authorization", "Basic cGhvbmU6eA=="}},
		{name: "unknown path without a key", method: "GET", path: "/nothing", status: 401},
		{name: "bad method without a key", method: "DELETE", path: "/requests", status: 401},
		{name: "bad body without a key", method: "POST", path: "/requests", body: "{", status: 401},
		{name: "valid key of another exchange", key: "office", method: "GET", path: "/requests", status: 403},
		{name: "valid key of another exchange, bad body", key: "office", method: "POST", path: "/requests", body: "{", status: 403},
		{name: "valid key of another exchange, unknown path", key: "office", method: "GET", path: "/nothing", status: 403},
	}
}

func badPaths() []call {
	return []call{
		{name: "unknown path", key: "phone", method: "GET", path: "/nothing", status: 404},
		{name: "unknown thread", key: "phone", method: "GET", path: "/requests/2026-01-01-ZZZZ", status: 404, text: "Thread not found"},
		{name: "unknown thread, PATCH", key: "phone", method: "PATCH", path: "/requests/2026-01-01-ZZZZ", body: `{"status":"claimed"}`, status: 404, text: "Thread not found"},
		{name: "no ref at all", key: "phone", method: "GET", path: "/requests/..%2F..%2Fetc%2Fpasswd", status: 404, text: "Thread not found"},
		{name: "no ref, odd bytes", key: "phone", method: "GET", path: "/requests/%00%ff", status: 404, text: "Thread not found"},
		{name: "no ref, very long", key: "phone", method: "GET", path: "/requests/" + strings.Repeat("A", 4000), status: 404, text: "Thread not found"},
		{name: "method of a list", key: "phone", method: "DELETE", path: "/requests", status: 405},
		{name: "method of a thread", key: "phone", method: "PUT", path: "/requests/2026-01-01-ZZZZ", body: "{", status: 405},
		{name: "method of a profile", key: "phone", method: "PUT", path: "/executors/phone", body: "{", status: 405},
		{name: "unknown status in the query", key: "phone", method: "GET", path: "/requests?status=done", status: 400, text: "status"},
	}
}

// badBodies are refused with 400, 413 or 415 before anything is decided.
func badBodies() []call {
	post := func(name, body string, status int, text string, headers ...string) call {
		return call{name: name, key: "phone", method: "POST", path: "/requests", body: body, status: status, text: text, headers: headers}
	}
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	return []call{
		post("not said to be JSON", `{"intent":"x"}`, 415, "", "Content-Type", "text/plain"),
		post("a form", `intent=x`, 415, "", "Content-Type", "application/x-www-form-urlencoded"),
		post("no content type", `{"intent":"x"}`, 415, "", "Content-Type", ""),
		post("broken JSON", `{"intent":`, 400, ""),
		post("text after the JSON", `{"intent":"x"} garbage`, 400, ""),
		post("two values", `{"intent":"x"}{"intent":"y"}`, 400, ""),
		post("a list", `[{"intent":"x"}]`, 400, ""),
		post("null", `null`, 400, ""),
		post("no intent", `{"context":["x"]}`, 400, "intent"),
		post("an empty intent", `{"intent":""}`, 400, "intent"),
		post("an intent that is a number", `{"intent":7}`, 400, "intent"),
		post("an unknown priority", `{"intent":"x","priority":"asap"}`, 400, "priority: must be one of background, normal, elevated, urgent"),
		post("a priority that is a list", `{"intent":"x","priority":["urgent"]}`, 400, "priority"),
		post("a context that is an object", `{"intent":"x","context":{"a":1}}`, 400, "context"),
		post("NUL in a text", `{"intent":"a\u0000b"}`, 400, ""),
		post("a control character in an unknown field", `{"intent":"x","note":{"deep":["a\u0007b"]}}`, 400, ""),
		post("a lone surrogate", `{"intent":"\ud800"}`, 400, ""),
		post("invalid UTF-8", "{\"intent\":\"\xff\xfe\"}", 400, ""),
		post("a name twice", `{"intent":"x","intent":"y"}`, 400, ""),
		post("a name twice, deep inside", `{"intent":"x","note":[{"a":1,"\u0061":2}]}`, 400, ""),
		post("deeper than 100", `{"intent":"x","note":`+deep+`}`, 400, ""),
		post("a number no computer holds", `{"intent":"x","note":1e400}`, 400, ""),
		post("NaN", `{"intent":"x","note":NaN}`, 400, ""),
		{name: "an unknown status", key: "phone", method: "PATCH", path: "/requests/2026-01-01-ZZZZ", body: `{"status":"done"}`, status: 400, text: "status"},
		{name: "mess of the wrong type", key: "phone", method: "PATCH", path: "/requests/2026-01-01-ZZZZ", body: `{"mess":"hello"}`, status: 400, text: "mess"},
		{name: "a bad body for another's profile", key: "phone", method: "PATCH", path: "/executors/agent", body: `{"capabilities":7}`, status: 400, text: "capabilities"},
	}
}

func conflicts(held, closed string) []call {
	return []call{
		{name: "claim of what is held", key: "agent", method: "PATCH", path: "/requests/" + held, body: `{"status":"claimed"}`, status: 409},
		{name: "status after the end", key: "phone", method: "PATCH", path: "/requests/" + closed, body: `{"status":"in_progress"}`, status: 409},
		{name: "another's profile", key: "phone", method: "PATCH", path: "/executors/agent", body: `{"display_name":"x"}`, status: 403},
		{name: "registered already", method: "POST", path: "/register", body: `{"executor_id":"phone"}`, status: 409},
	}
}

// wantRegistrationsRefused checks the one call without a key.
func wantRegistrationsRefused(t *testing.T, s *server) {
	t.Helper()
	home := at(s, "home")
	before := len(home.register(t, "counter").executors(t))
	for _, body := range []string{
		`{}`, `{"executor_id": ""}`, `{"executor_id": 7}`, `{"executor_id": "../x"}`, `{"executor_id": "a b"}`, `{"executor_id": ".hidden"}`,
		`{"executor_id": "` + strings.Repeat("x", 65) + `"}`, `{"executor_id": "y", "capabilities": "photo"}`, `{"executor_id": "y", "display_name": ["y"]}`,
	} {
		wantRefusal(t, "register "+body, home.send(t, "POST", "/register", body), 400, "")
	}
	for _, id := range []string{"-x", ".x", "a%20b", "a%2Fb", "a=b", "null", "NULL", "a..b", "x.", strings.Repeat("x", 65), "%2e%2e"} {
		if a := at(s, id).send(t, "POST", "/register", `{"executor_id": "y"}`); a.status != 400 && a.status != 404 {
			t.Errorf("register at exchange %q: got %v, want 400 (or 404 where it is no path)", id, a)
		}
	}
	counter := home.register(t, "counter-2")
	if after := len(counter.executors(t)); after != before+1 {
		t.Errorf("executors: got %d, want %d: a refused registration was stored", after, before+1)
	}
}
