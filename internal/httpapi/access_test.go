package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure where a client is said to be: at the other end of the connection, and elsewhere only by the word of
// proxies that are trusted.
func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		remote  string
		headers []string
		want    string
	}{
		{"192.0.2.7:1", nil, "192.0.2.7"},
		{"192.0.2.7:1", []string{"198.51.100.1"}, "192.0.2.7"}, // nobody's word
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"}, // what the client wrote itself
		{"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"198.51.100.1 ,\t10.0.0.2,fd00::2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::"},
		{"10.0.0.1:1", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::"},
		{"10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1", []string{",,,"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{strings.Repeat("10.0.0.2,", 50_000) + "x"}, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"[2001:db8::7%eth0]:1", []string{"198.51.100.1"}, "2001:db8::"},
		{"[fd00::1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"pipe", []string{"198.51.100.1"}, "invalid IP"},
		{"", nil, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.remote, c.headers
		r.Header.Set("Forwarded", "for=203.0.113.99")
		r.Header.Set("X-Real-Ip", "203.0.113.99")
		if got := clientAddress(r, trusted).String(); got != c.want {
			t.Errorf("%s %.60q: got %s, want %s", c.remote, c.headers, got, c.want)
		}
	}
}

// Ensure how much one address may do, for how long the rest waits, and that others don't.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := attempts[netip.Addr]{most: maxAttempts}
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		for range 3 {
			for i := range maxAttempts {
				if a.spent(one) > 0 || a.add(one) > 0 {
					t.Fatalf("attempt %d was refused", i+1)
				}
				if i == maxAttempts/2 {
					time.Sleep(20 * time.Second)
				}
			}
			for range 1000 { // refused ones don't make it longer
				if wait := a.add(one); wait != 40*time.Second || a.spent(one) != wait {
					t.Fatalf("wait %v, %v", wait, a.spent(one))
				}
			}
			if a.add(other) > 0 || a.add(netip.Addr{}) > 0 {
				t.Error("another address has to wait")
			}
			time.Sleep(40*time.Second - 1)
			if a.spent(one) == 0 {
				t.Error("let in too early")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

// Ensure memory is bounded, that many addresses don't make a busy one forgotten within its minute while they
// are no more than half of what is remembered, and that all are forgotten in the end.
func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := attempts[netip.Addr]{most: maxAttempts}
		busy := netip.MustParseAddr("192.0.2.1")
		for range maxAttempts {
			a.add(busy)
		}
		flood := netip.MustParseAddr("2001:db8::")
		next := func() { flood = flood.Next(); a.add(flood) }
		for range maxAddresses / 2 {
			next()
		}
		if a.add(busy) == 0 {
			t.Error("the busy one was forgotten")
		}
		for range 5 * maxAddresses {
			next()
			if n := len(a.young) + len(a.old); n > maxAddresses {
				t.Fatalf("%d addresses are remembered", n)
			}
		}
		for range 3 {
			time.Sleep(attemptsTime)
			next()
		}
		if n := len(a.young) + len(a.old); n > 2 {
			t.Errorf("%d addresses are remembered after three minutes", n)
		}
	})
}

// from sends a request from an address.
func (c client) from(address, method, path, body string) response {
	c.tb.Helper()
	r := httptest.NewRequest(method, c.base+path, strings.NewReader(body))
	r.RemoteAddr = address + ":1"
	r.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	return c.serve(r)
}

// wantTooMany checks a refusal by the limit: it says when to come again, whatever was asked.
func wantTooMany(t *testing.T, what string, got response) {
	t.Helper()
	after, err := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != http.StatusTooManyRequests || got.text(t, "code") != "rate_limited" || err != nil || after < 1 || after > 60 {
		t.Errorf("%s: got %d %s, Retry-After %q", what, got.status, got.body, got.header.Get("Retry-After"))
	}
}

// Ensure registrations of one address are limited, good ones and others, and those of others go on.
func TestRegistrationsAreLimited(t *testing.T) {
	home := siteOf(t, willing{}).at("home")
	bodies := []string{`{"executor_id":"x"}`, `{`, ``, `{"executor_id":7}`}
	for i := range maxAttempts {
		if got := home.from("192.0.2.9", "POST", "/register", bodies[i%len(bodies)]); got.status == http.StatusTooManyRequests {
			t.Fatalf("registration %d: %d", i+1, got.status)
		}
	}
	for _, body := range bodies {
		wantTooMany(t, body, home.from("192.0.2.9", "POST", "/register", body))
	}
	if got := home.from("192.0.2.8", "POST", "/register", bodies[0]); got.status != 201 {
		t.Errorf("another address: %d", got.status)
	}
	if got := home.as(goodKey).from("192.0.2.9", "GET", "/requests", ""); got.status != 200 {
		t.Errorf("a call with a key: %d", got.status)
	}
}

// Ensure wrong keys of one address are limited, at known paths and others, before anything is looked up for
// them; that a good key opens from there all the same, and that no key at all is not counted.
func TestWrongKeysAreLimited(t *testing.T) {
	home := siteOf(t, willing{}).at("home")
	wrong := []string{"x", "mess_home_x", goodKey + "0", "mess_nowhere_0123456789abcdef0123456789abcdef"}
	paths := []string{"/requests", "/nothing", "/executors/x/key", "/capabilities"}
	for i := range 3 * maxAttempts {
		if got := home.from("192.0.2.9", "GET", paths[i%4], ""); got.status != 401 {
			t.Fatalf("no key, %d: %d", i+1, got.status)
		}
	}
	for i := range maxAttempts {
		if got := home.as(wrong[i%4]).from("192.0.2.9", "GET", paths[i/4%4], ""); got.status != 401 {
			t.Fatalf("wrong key %d: %d %s", i+1, got.status, got.body)
		}
	}
	for i := range 16 {
		wantTooMany(t, wrong[i%4], home.as(wrong[i%4]).from("192.0.2.9", "GET", paths[i/4], ""))
	}
	wantTooMany(t, "with a body", home.as("x").from("192.0.2.9", "POST", "/requests", `{"intent":"x"}`))
	for name, got := range map[string]int{
		"a good key":      home.as(goodKey).from("192.0.2.9", "GET", "/requests", "").status,
		"a foreign key":   home.as(foreignKey).from("192.0.2.9", "GET", "/requests", "").status,
		"another address": home.as("x").from("192.0.2.8", "GET", "/requests", "").status,
		"no key":          home.from("192.0.2.9", "GET", "/requests", "").status,
		"registering":     home.from("192.0.2.9", "POST", "/register", `{"executor_id":"x"}`).status,
		"the same /64":    home.as("x").from("[2001:db8::1]", "GET", "/requests", "").status,
	} {
		want := map[string]int{"a good key": 200, "a foreign key": 403, "another address": 401, "no key": 401, "registering": 201, "the same /64": 401}[name]
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

// together refuses what it is asked, and nobody before a number of callers wait for it.
type together struct {
	willing
	callers sync.WaitGroup
}

func (e *together) Authenticate(context.Context, string, string) (engine.Caller, error) {
	e.callers.Done()
	e.callers.Wait()
	return engine.Caller{}, errUnauthorized()
}

func (e *together) Recognizes(string) bool { return false }

func (e *together) ReadLink(context.Context, string) (*engine.LinkedThread, error) {
	e.callers.Done()
	e.callers.Wait()
	return nil, &exchange.Error{Code: exchange.CodeNotFound, Message: "no"}
}

// Ensure that the limit of wrong keys, and that of wrong links, holds for those that are looked up at the same moment, too,
// none of which has been counted when the others are let through.
func TestWrongOnesTogether(t *testing.T) {
	const above = 20
	for what, ask := range map[string]struct {
		refused int
		of      func(site *site) response
	}{
		"keys":  {http.StatusUnauthorized, func(s *site) response { return s.at("home").as("x").from("192.0.2.9", "GET", "/requests", "") }},
		"links": {http.StatusNotFound, func(s *site) response { return client{site: s}.from("192.0.2.9", "GET", claimPath+claimToken, "") }},
	} {
		e := &together{}
		e.callers.Add(maxAttempts + above)
		s, all := siteOf(t, e), make(chan response, maxAttempts+above)
		for range cap(all) {
			go func() { all <- ask.of(s) }()
		}
		refused := 0
		for range cap(all) {
			if got := <-all; got.status == ask.refused {
				refused++
			} else {
				wantTooMany(t, what, got)
			}
		}
		if refused != maxAttempts {
			t.Errorf("%s: %d were looked up and told so, want %d", what, refused, maxAttempts)
		}
	}
}

// Ensure addresses of one IPv6 network count as one, and that who is behind a trusted proxy counts alone.
func TestLimitedTogether(t *testing.T) {
	log := &logBuffer{}
	s := siteWith(t, willing{}, log, Options{Access: Access{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	home := s.at("home")
	for i := range maxAttempts {
		home.from(fmt.Sprintf("[2001:db8:0:1::%x]", i+1), "POST", "/register", "")
	}
	wantTooMany(t, "the same network", home.from("[2001:db8:0:1:ffff::1]", "POST", "/register", ""))
	if got := home.from("[2001:db8:0:2::1]", "POST", "/register", ""); got.status != 400 {
		t.Errorf("the next network: %d", got.status)
	}
	behind := func(client string) response {
		r := httptest.NewRequest("POST", home.base+"/register", strings.NewReader(""))
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", client)
		return s.serve(r)
	}
	for range maxAttempts {
		behind("203.0.113.66, 192.0.2.9") // the first is the client's own invention
	}
	wantTooMany(t, "behind the proxy", behind("192.0.2.9"))
	if got := behind("192.0.2.8"); got.status != 400 {
		t.Errorf("another one behind the proxy: %d", got.status)
	}
	if got := behind("203.0.113.66"); got.status != 400 {
		t.Errorf("the one that was invented: %d", got.status)
	}
}

// Ensure that with a registration token nobody registers without it, that the refusal says what to do and
// comes before the body is looked at, and that nothing else needs it.
func TestRegistrationToken(t *testing.T) {
	log := &logBuffer{}
	s := siteWith(t, willing{}, log, Options{Access: Access{RegistrationToken: auth.NewSecret("open sesame")}})
	home := s.at("home")
	const body = `{"executor_id":"x"}`
	home.want(201, "POST", "/register", body, "X-Registration-Token", "open sesame")
	home.want(201, "POST", "/register/", body, "x-registration-token", "open sesame")
	for name, headers := range map[string][]string{
		"none":               nil,
		"empty":              {"X-Registration-Token", " "},
		"another":            {"X-Registration-Token", "open sesame!"},
		"another case":       {"X-Registration-Token", "Open Sesame"},
		"as a key":           {"Authorization", "Bearer open sesame"},
		"a good key instead": {"Authorization", "Bearer " + goodKey},
		"long":               {"X-Registration-Token", strings.Repeat("open sesame", 10_000)},
	} {
		for _, sent := range []string{body, "{", ""} {
			got := home.send("POST", "/register", sent, headers...)
			if got.status != 401 || got.text(t, "code") != "unauthorized" || !strings.Contains(got.text(t, "error"), "X-Registration-Token") || got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: got %d %s", name, got.status, got.body)
			}
		}
	}
	r := httptest.NewRequest("POST", home.base+"/register", untouchable{t})
	r.Header["X-Registration-Token"] = []string{"open sesame", "open sesame"}
	if got := s.serve(r); got.status != 401 {
		t.Errorf("two tokens: got %d", got.status)
	}
	if got := home.send("POST", "/register", "{", "X-Registration-Token", "open sesame"); got.status != 400 {
		t.Errorf("a bad body with the token: got %d", got.status)
	}
	if got := home.send("GET", "/register", ""); got.status != 405 {
		t.Errorf("another method: got %d", got.status)
	}
	home.as(goodKey).want(200, "GET", "/requests", "")
	if got := home.want(204, "OPTIONS", "/register", ""); !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "X-Registration-Token") {
		t.Errorf("a page may not send it: %v", got.header)
	}
	if strings.Contains(log.String(), "sesame") {
		t.Errorf("the token is in the log: %s", log)
	}
	siteOf(t, willing{}).at("home").want(201, "POST", "/register", body, "X-Registration-Token", "whatever") // not asked for
}

// Ensure the walk of an executor's life: read, rotate, leave, in the contract's shapes.
func TestExecutorsLife(t *testing.T) {
	home := newSite(t).at("home")
	agent := home.register("agent")
	phone := home.as(home.want(201, "POST", "/register", walkRegistration).text(t, "api_key"))
	phone.want(200, "PATCH", "/executors/my-phone", walkProfile)
	public := `"id":"my-phone","display_name":"Teague Phone","capabilities":["photo:capture","location:indoor","location:outdoor"],"last_seen":"TIME","created_at":"TIME"`
	own := `,"notifications":[{"type":"ntfy","topic":"***"},{"type":"slack","webhook_url":"https://hooks.slack.com/…"}],"preferences":{"min_priority":"normal","quiet_hours":{"enabled":true,"start":"22:00","end":"07:00"}}`
	if got, want := shape(phone.want(200, "GET", "/executors/my-phone", "").body, ""), `{"executor":{`+public+own+`}}`; got != want {
		t.Errorf("own profile:\n got %s\nwant %s", got, want)
	}
	if got, want := shape(agent.want(200, "GET", "/executors/my%2Dphone", "").body, ""), `{"executor":{`+public+`}}`; got != want {
		t.Errorf("another's profile:\n got %s\nwant %s", got, want)
	}
	rotated := phone.want(200, "POST", "/executors/my-phone/key", "")
	if got := shape(rotated.body, ""); got != `{"api_key":"KEY","executor_id":"my-phone","message":"Save this API key - it cannot be retrieved again."}` {
		t.Errorf("rotated: %s", got)
	}
	if got := phone.send("GET", "/requests", ""); got.status != 401 {
		t.Errorf("the old key: %d", got.status)
	}
	phone = phone.as(rotated.text(t, "api_key"))
	ref := agent.create(`{"intent":"x"}`)
	phone.want(200, "PATCH", "/requests/"+ref, `{"status":"claimed"}`)
	for _, c := range [][2]string{{"POST", "/executors/agent/key"}, {"POST", "/executors/nobody/key"}, {"DELETE", "/executors/agent"}, {"DELETE", "/executors/nobody"}} {
		if got := phone.want(403, c[0], c[1], ""); got.text(t, "code") != "not_your_profile" {
			t.Errorf("%s: %s", c, got.body)
		}
	}
	if got := phone.want(200, "DELETE", "/executors/my-phone/", ""); strings.TrimSpace(string(got.body)) != `{"executor_id":"my-phone","removed":true}` {
		t.Errorf("left: %s", got.body)
	}
	if got := phone.send("GET", "/requests", ""); got.status != 401 {
		t.Errorf("the key of one who left: %d", got.status)
	}
	if got := agent.want(404, "GET", "/executors/my-phone", ""); got.text(t, "code") != "executor_not_found" {
		t.Errorf("who left: %s", got.body)
	}
	if got := agent.want(200, "GET", "/requests/"+ref, ""); !strings.Contains(string(got.body), `"status":"pending"`) || !strings.Contains(string(got.body), `"executor_id":null`) {
		t.Errorf("what was claimed: %s", got.body)
	}
	if got := home.want(409, "POST", "/register", walkRegistration); got.text(t, "code") != "already_registered" {
		t.Errorf("the id of one who left: %s", got.body)
	}
}

// shelf is a catalogue of two.
type shelf struct{}

func (shelf) List(tag string) []capabilities.Capability {
	all := []capabilities.Capability{{ID: "photo:capture", Description: "Take a <photo>", Tags: []string{"media", "é\n"}}, {ID: "x", Tags: []string{}}}
	if tag == "" {
		return all
	}
	return all[:len(tag)%2]
}

// Ensure the catalogue is shown to those with a key that holds, whole or by tag.
func TestCapabilities(t *testing.T) {
	log := &logBuffer{}
	home := siteWith(t, willing{}, log, Options{Capabilities: shelf{}}).at("home").as(goodKey)
	first := `{"id":"photo:capture","description":"Take a <photo>","tags":["media","é\n"]}`
	for query, want := range map[string]string{
		"":                                  first + `,{"id":"x","description":"","tags":[]}`,
		"?tag=":                             first + `,{"id":"x","description":"","tags":[]}`,
		"?tag=media":                        first,
		"?tag=m%C3%A9dia":                   "",
		"?other=1&tag=a%20b":                first,
		"?tag=even":                         "",
		"?tag=" + strings.Repeat("x", 5000): "",
	} {
		if got := strings.TrimSpace(string(home.want(200, "GET", "/capabilities"+query, "").body)); got != `{"capabilities":[`+want+`]}` {
			t.Errorf("%.40s: got %s", query, got)
		}
	}
	for query, want := range map[string]string{"?tag=a&tag=b": "tag: is given twice", "?tag=%zz": "query: is not properly encoded"} {
		if got := home.want(400, "GET", "/capabilities"+query, ""); got.text(t, "error") != want {
			t.Errorf("%s: got %s", query, got.body)
		}
	}
	for key, want := range map[string]int{"": 401, "x": 401, foreignKey: 403} {
		if got := home.as(key).send("GET", "/capabilities", ""); got.status != want {
			t.Errorf("key %s: got %d", key, got.status)
		}
	}
	siteOf(t, willing{}).at("home").as(goodKey).want(200, "GET", "/capabilities", "") // without a catalogue
	dead := willing{func(context.Context) error { return errUnauthorized() }}
	if got := siteWith(t, dead, log, Options{Capabilities: shelf{}}).at("home").as(goodKey).send("GET", "/capabilities", ""); got.status != 401 {
		t.Errorf("a key that died since it was let in: %d", got.status)
	}
}

// Ensure settings are shown as the engine hands them out.
func TestProfileIsShown(t *testing.T) {
	got := siteOf(t, willing{}).at("home").as(goodKey).want(200, "GET", "/executors/a%20b", "")
	want := `{"executor":{"id":"a b","display_name":"Phone","capabilities":["a","b"],"last_seen":"2026-02-01T22:00:00.005Z","created_at":"2026-02-01T22:00:00.005Z","a<b":1.50,"notifications":[{"type":"ntfy"}]}}`
	if text := strings.TrimSpace(string(got.body)); text != want || !json.Valid(got.body) {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
