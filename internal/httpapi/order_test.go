package httpapi

import (
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// breach is a request that breaks one or more rules, and what it is told.
type breach struct {
	name, method, path, body string
	key                      string
	status                   int
	code                     string
	headers                  []string
}

// Ensure the reasons of a refusal are looked at in the order of the protocol: of the rules that a request
// breaks, the first in that order is the one that is named.
func TestOrderOfRefusals(t *testing.T) {
	s := newSite(t)
	home, office := s.at("home"), s.at("office")
	phone, agent, stranger := home.register("phone"), home.register("agent"), office.register("phone")
	held := agent.create(`{"intent":"x"}`)
	phone.want(200, "PATCH", "/requests/"+held, `{"status":"claimed"}`)
	for _, c := range slices.Concat(breaches(phone.key, agent.key, stranger.key, held), executorBreaches(phone.key, stranger.key)) {
		at := home.as(c.key)
		if rest, up := strings.CutPrefix(c.path, "/.."); up {
			at.base, c.path = "/api/v1/exchanges", rest
		}
		got := at.send(c.method, c.path, c.body, c.headers...)
		if got.status != c.status || got.text(t, "code") != c.code {
			t.Errorf("%s: got %d %.200s, want %d %s", c.name, got.status, got.body, c.status, c.code)
		}
		if (got.status == 401) != (got.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate: got %q", c.name, got.header.Get("WWW-Authenticate"))
		}
		if (got.status == 405) != (got.header.Get("Allow") != "") {
			t.Errorf("%s: Allow: got %q", c.name, got.header.Get("Allow"))
		}
	}
}

// breaches are in the order of the protocol, and each breaks rules of its own place and later ones.
func breaches(phone, agent, stranger, held string) []breach {
	big := `{"intent":"` + strings.Repeat("x", maxBody) + `"}`
	text := []string{"Content-Type", "text/plain"}
	return []breach{
		{"no key, everything wrong", "POST", "/requests?limit=x", big, "", 401, "unauthorized", text},
		{"no key, unknown path", "GET", "/nothing/at/all", "", "", 401, "unauthorized", nil},
		{"no key, unknown method", "DELETE", "/requests", "", "", 401, "unauthorized", nil},
		{"no key, method nobody knows", "BREW", "/nothing", "", "", 401, "unauthorized", nil},
		{"no key, only the exchange", "GET", "", "", "", 401, "unauthorized", nil},
		{"unknown key", "GET", "/requests", "", goodKey, 401, "unauthorized", nil},
		{"unknown key of another exchange", "GET", "/requests", "", "mess_nowhere_0123456789abcdef0123456789abcdef", 401, "unauthorized", nil},
		{"malformed key", "PATCH", "/requests/x", "{", "x", 401, "unauthorized", nil},
		{"endless key", "POST", "/requests", "{", "mess_home_" + strings.Repeat("f", 500_000), 401, "unauthorized", nil},
		{"empty key", "GET", "/requests", "", " ", 401, "unauthorized", nil},

		{"foreign key, everything wrong", "POST", "/requests", big, stranger, 403, "wrong_exchange", text},
		{"foreign key, unknown path", "GET", "/nothing", "", stranger, 403, "wrong_exchange", nil},
		{"foreign key, unknown method", "PUT", "/executors", "{", stranger, 403, "wrong_exchange", nil},

		{"unknown path, unknown method, bad body", "PUT", "/nothing", big, phone, 404, "not_found", text},
		{"unknown path below a thread", "GET", "/requests/" + held + "/nothing", "", phone, 404, "not_found", nil},
		{"only the exchange", "GET", "/", "", phone, 404, "not_found", nil},

		{"unknown method, bad body", "PUT", "/requests/" + held, big, phone, 405, "method_not_allowed", text},
		{"method of the open path", "GET", "/register", "", "", 405, "method_not_allowed", nil},

		{"too large, wrong type", "POST", "/requests", big, phone, 413, "too_large", text},
		{"too large, another's profile", "PATCH", "/executors/agent", big, phone, 413, "too_large", nil},
		{"wrong type, bad JSON", "POST", "/requests", "{", phone, 415, "unsupported_media", text},
		{"wrong type, bad exchange", "POST", "/../null/register", "{", "", 415, "unsupported_media", text},
		{"no type", "PATCH", "/requests/nothing", `{"status":"claimed"}`, phone, 415, "unsupported_media", []string{"Content-Type", ""}},
		{"compressed", "POST", "/requests", `{"intent":"x"}`, phone, 415, "unsupported_media", []string{"Content-Encoding", "gzip"}},

		{"bad JSON, another's profile", "PATCH", "/executors/agent", "{", phone, 400, "invalid", nil},
		{"bad field, another's profile", "PATCH", "/executors/agent", `{"capabilities":7}`, phone, 400, "invalid", nil},
		{"bad field, no thread", "PATCH", "/requests/nothing", `{"status":"done"}`, phone, 400, "invalid", nil},
		{"bad field, taken id", "POST", "/register", `{"executor_id":"phone","capabilities":7}`, "", 400, "invalid", nil},
		{"bad parameter", "GET", "/requests?status=done", "", phone, 400, "invalid", nil},
		{"no body at all", "POST", "/requests", "", phone, 400, "invalid", []string{"Content-Type", ""}},

		{"another's profile", "PATCH", "/executors/agent", `{}`, phone, 403, "not_your_profile", nil},
		{"nobody's profile", "PATCH", "/executors/nobody", `{}`, phone, 403, "not_your_profile", nil},
		{"no thread", "PATCH", "/requests/nothing", `{"status":"claimed"}`, phone, 404, "thread_not_found", nil},
		{"held", "PATCH", "/requests/" + held, `{"status":"claimed"}`, agent, 409, "already_claimed", nil},
		{"taken id", "POST", "/register", `{"executor_id":"phone"}`, "", 409, "already_registered", nil},

		{"accepted in any case", "POST", "/requests", `{"intent":"x"}`, phone, 201, "", []string{"Content-Type", "Application/JSON; charset=utf-8"}},
	}
}

// executorBreaches are those of reading, leaving, keys and the catalogue, in the same order.
func executorBreaches(phone, stranger string) []breach {
	big := `{"intent":"` + strings.Repeat("x", maxBody) + `"}`
	text := []string{"Content-Type", "text/plain"}
	return []breach{
		{"no key, new operations", "DELETE", "/executors/phone", "", "", 401, "unauthorized", nil},
		{"no key, someone's key", "POST", "/executors/nobody/key", big, "", 401, "unauthorized", text},
		{"unknown key, catalogue", "GET", "/capabilities?tag=a&tag=b", "", goodKey, 401, "unauthorized", nil},
		{"foreign key, own name", "DELETE", "/executors/phone", "", stranger, 403, "wrong_exchange", nil},
		{"foreign key, bad parameter", "GET", "/capabilities?tag=a&tag=b", "", stranger, 403, "wrong_exchange", nil},
		{"method of a key", "GET", "/executors/agent/key", "", phone, 405, "method_not_allowed", nil},
		{"method of the catalogue", "DELETE", "/capabilities", "", phone, 405, "method_not_allowed", nil},
		{"another's key, whatever is sent", "POST", "/executors/agent/key", "{", phone, 403, "not_your_profile", text},
		{"nobody's key", "POST", "/executors/nobody/key", "", phone, 403, "not_your_profile", nil},
		{"another's removal", "DELETE", "/executors/agent", "", phone, 403, "not_your_profile", nil},
		{"nobody's removal", "DELETE", "/executors/nobody", "", phone, 403, "not_your_profile", nil},
		{"reading nobody", "GET", "/executors/nobody", "", phone, 404, "executor_not_found", nil},
		{"reading a path", "GET", "/executors/..%2F..%2Fagent", "", phone, 404, "executor_not_found", nil},
		{"no key, deliveries", "GET", "/executors/phone/deliveries?limit=x", "", "", 401, "unauthorized", nil},
		{"foreign key, test", "POST", "/executors/phone/notifications/test", big, stranger, 403, "wrong_exchange", text},
		{"method of deliveries", "POST", "/executors/phone/deliveries", "{", phone, 405, "method_not_allowed", text},
		{"method of a test", "GET", "/executors/agent/notifications/test", "", phone, 405, "method_not_allowed", nil},
		{"bad parameter, another's deliveries", "GET", "/executors/agent/deliveries?limit=0", "", phone, 400, "invalid", nil},
		{"another's deliveries, cursor of nobody", "GET", "/executors/agent/deliveries?cursor=x", "", phone, 403, "not_your_profile", nil},
		{"another's test, whatever is sent", "POST", "/executors/agent/notifications/test", "{", phone, 403, "not_your_profile", text},
		{"nobody's test", "POST", "/executors/nobody/notifications/test", "", phone, 403, "not_your_profile", nil},
		{"settings as they are shown, another's profile", "PATCH", "/executors/agent", `{"notifications":[{"type":"ntfy","topic":"***"}]}`, phone, 400, "invalid", nil},
	}
}

// Ensure the scheme counts to the letter, and that a key of an exchange is asked for before it is known
// whether that exists.
func TestKeys(t *testing.T) {
	s := newSite(t)
	phone := s.at("home").register("phone")
	for _, header := range []string{"bearer " + phone.key, "BEARER " + phone.key, "Bearer  " + phone.key, "Bearer" + phone.key, "Bearer\t" + phone.key, phone.key, "Basic " + phone.key, "Bearer", "Bearer ", "Bearer " + phone.key + "0"} {
		if got := phone.send("GET", "/requests", "", "Authorization", header); got.status != 401 {
			t.Errorf("%q: got %d", header, got.status)
		}
	}
	r := httptest.NewRequest("GET", phone.base+"/requests", nil)
	r.Header["Authorization"] = []string{"Bearer " + phone.key, "Bearer " + phone.key}
	if got := s.serve(r); got.status != 401 {
		t.Errorf("two headers: got %d", got.status)
	}
	if got := s.at("nowhere").as(phone.key).send("GET", "/requests", ""); got.status != 403 {
		t.Errorf("a known key on an exchange that does not exist: got %d", got.status)
	}
	if got := s.at("nowhere").send("GET", "/requests", ""); got.status != 401 {
		t.Errorf("no key on an exchange that does not exist: got %d", got.status)
	}
	under := s.at("my_home").register("phone")
	if !strings.HasPrefix(under.key, "mess_my_home_") {
		t.Errorf("key: got %s", under.key)
	}
	under.want(200, "GET", "/requests", "")
	s.at("my%5Fhome").as(under.key).want(200, "GET", "/requests", "")
	s.at("my%5Fhome").as(under.key).want(404, "GET", "/nothing%2Fhere", "")
}

// Ensure a body is not touched before the key was looked at, nor where its size or type refuse it.
func TestBodyUnread(t *testing.T) {
	s := siteOf(t, willing{})
	for name, c := range map[string]struct {
		key, media string
		length     int64
		status     int
	}{
		"no key":       {"", "application/json", -1, 401},
		"foreign key":  {foreignKey, "application/json", 10, 403},
		"too large":    {goodKey, "application/json", maxBody + 1, 413},
		"another type": {goodKey, "application/xml", -1, 415},
	} {
		r := httptest.NewRequest("POST", "/api/v1/exchanges/home/requests", untouchable{t})
		r.ContentLength = c.length
		r.Header.Set("Content-Type", c.media)
		if c.key != "" {
			r.Header.Set("Authorization", "Bearer "+c.key)
		}
		if got := s.serve(r); got.status != c.status || got.header.Get("Connection") != "close" {
			t.Errorf("%s: got %d, Connection %q; want %d, close", name, got.status, got.header.Get("Connection"), c.status)
		}
	}
}

// untouchable is a body that nobody may read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("untouchable")
}

var _ io.Reader = untouchable{}
