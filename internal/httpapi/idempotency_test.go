package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// wantAgain sends a request with a key twice and wants the same answer to the byte.
func wantAgain(t *testing.T, c client, status int, method, path, body, key string) response {
	t.Helper()
	first := c.want(status, method, path, body, idempotencyHeader, key)
	if again := c.want(status, method, path, body, idempotencyHeader, key); string(again.body) != string(first.body) {
		t.Errorf("%s %s: answered %s, and again %s", method, path, first.body, again.body)
	}
	return first
}

// Ensure that a keyed request is answered again as it was, done once, and that its key is good for nothing
// else: another body, path or method.
func TestKeyedRequests(t *testing.T) {
	home := newSite(t).at("home")
	agent, phone := home.register("agent"), home.register("phone")
	const claim = `{"status":"claimed"}`

	ref := wantAgain(t, agent, 201, "POST", "/requests", `{"intent":"x"}`, "one").text(t, "ref")
	if list := string(agent.want(200, "GET", "/requests", "").body); strings.Count(list, `"ref"`) != 1 {
		t.Errorf("posted more than once: %s", list)
	}
	wantAgain(t, phone, 200, "PATCH", "/requests/"+ref, `{"mess":[{"response":{}}]}`, "two")
	if thread := string(phone.want(200, "GET", "/requests/"+ref, "").body); strings.Count(thread, `"response"`) != 1 {
		t.Errorf("said more than once: %s", thread)
	}
	wantAgain(t, phone, 200, "PATCH", "/requests/"+ref, claim, "three")
	wantAgain(t, agent, 409, "PATCH", "/requests/"+ref, claim, "four")
	wantAgain(t, phone, 403, "PATCH", "/requests/"+ref, `{"status":"cancelled"}`, "five")
	wantAgain(t, phone, 404, "PATCH", "/requests/nothing", claim, "six")
	wantAgain(t, agent, 400, "POST", "/requests", `{"intent":"x","needed_by":"2020-02-01T22:00:00Z"}`, "seven")
	phone.want(200, "PATCH", "/requests/"+ref, `{"status":"completed"}`)
	phone.want(200, "PATCH", "/requests/"+ref+"/", claim, idempotencyHeader, "three") // as it was, in another spelling of the path
	agent.want(409, "PATCH", "/requests/"+ref, claim, idempotencyHeader, "four")

	for _, other := range []struct{ method, path, body string }{
		{"POST", "/requests", `{"intent":"x" }`},
		{"POST", "/requests", `{"intent":"y"}`},
		{"PATCH", "/requests/" + ref, `{"intent":"x"}`},
	} {
		got := agent.want(http.StatusUnprocessableEntity, other.method, other.path, other.body, idempotencyHeader, "one")
		if code := got.text(t, "code"); code != "idempotency_key_reused" {
			t.Errorf("%s %s: got %s", other.method, other.path, code)
		}
	}
	phone.want(201, "POST", "/requests", `{"intent":"z"}`, idempotencyHeader, "one") // a key is each executor's own
	// What the contract refuses uses up no key.
	agent.want(400, "POST", "/requests", `{"intent":7}`, idempotencyHeader, "eight")
	agent.want(201, "POST", "/requests", `{"intent":"w"}`, idempotencyHeader, "eight")
}

// Ensure that a registration with a key can be repeated until its executor has done something.
func TestKeyedRegistration(t *testing.T) {
	home := newSite(t).at("home")
	const key, body = "0123456789012345678901", `{"executor_id":"phone"}`
	first := home.as(home.want(201, "POST", "/register", body, idempotencyHeader, key).text(t, "api_key"))
	first.want(200, "GET", "/requests", "")
	second := home.as(home.want(201, "POST", "/register", body, idempotencyHeader, key).text(t, "api_key"))
	first.want(401, "GET", "/requests", "")
	second.want(200, "GET", "/requests", "")
	home.want(422, "POST", "/register", `{"executor_id":"phone","display_name":"P"}`, idempotencyHeader, key)
	home.want(409, "POST", "/register", body)
	home.want(409, "POST", "/register", body, idempotencyHeader, key+"2")
	home.want(400, "POST", "/register", body, idempotencyHeader, key[1:])
	second.want(422, "POST", "/requests", `{"intent":"x"}`, idempotencyHeader, key)
	second.create(`{"intent":"x"}`)
	home.want(409, "POST", "/register", body, idempotencyHeader, key)
	second.want(200, "GET", "/requests", "")
}

// Ensure that a key is given once and is not empty, whatever generated code would make of it.
func TestOneIdempotencyKey(t *testing.T) {
	s := siteOf(t, willing{})
	for _, keys := range [][]string{{"a", "b"}, {"a", "a"}, {""}} {
		r := httptest.NewRequest("POST", "/api/v1/exchanges/home/requests", strings.NewReader(`{"intent":"x"}`))
		r.Header = http.Header{"Authorization": {"Bearer " + goodKey}, "Content-Type": {"application/json"}, idempotencyHeader: keys}
		if got := s.serve(r); got.status != 400 || got.text(t, "code") != "invalid" {
			t.Errorf("%q: got %d %s", keys, got.status, got.body)
		}
	}
}

// Ensure that what is recorded of a refusal has the status with which it is answered.
func TestRecordedStatuses(t *testing.T) {
	recorded := 0
	for code, o := range outcomes {
		if status := exchange.RecordedStatus(code); status != 0 {
			recorded++
			if status != o.status {
				t.Errorf("%s is recorded as %d and answered as %d", code, status, o.status)
			}
		}
	}
	if recorded < 9 {
		t.Errorf("%d refusals are recorded", recorded)
	}
	for code := range outcomes {
		switch status := outcomes[code].status; {
		case (status == 401 || status == 413 || status == 422 || status >= 500) && exchange.RecordedStatus(code) != 0:
			t.Errorf("%s is recorded", code)
		}
	}
}
