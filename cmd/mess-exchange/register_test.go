package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

const token = "correct horse battery staple"

// Ensure that register prints the key, and nothing else, where the token is right, that this key opens
// the exchange, and that the token stands in no log.
func TestRegister(t *testing.T) {
	s := launch(t, "STORAGE_PATH="+t.TempDir(), "REGISTRATION=token", "REGISTRATION_TOKEN="+token, "LOG_LEVEL=debug")
	join := func(token string, args ...string) (stdout string, err error) {
		var out, stderr bytes.Buffer
		args = append([]string{"register", "--url", s.url + "/", "--exchange", "home"}, args...)
		err = run(t.Context(), args, env("REGISTRATION_TOKEN="+token, "STORAGE_TYPE=nonsense"), &out, &stderr)
		if stderr.Len() > 0 || err != nil && out.Len() > 0 {
			t.Errorf("stdout %q, stderr %q", &out, &stderr)
		}
		return out.String(), err
	}
	key, err := join(token, "--id", "my-phone", "--name", "My Phone", "--capability", "photo:capture", "--capability", "a,b")
	if err != nil || !regexp.MustCompile(`^mess_home_[0-9a-f]{32}\n$`).MatchString(key) {
		t.Fatalf("got %q, %v", key, err)
	}
	home := s.url + "/api/v1/exchanges/home"
	status, answer := call(t, "GET", home+"/executors/my-phone", strings.TrimSpace(key), "")
	profile, _ := answer["executor"].(map[string]any)
	capabilities, _ := profile["capabilities"].([]any)
	if status != 200 || profile["display_name"] != "My Phone" || len(capabilities) != 2 || capabilities[1] != "a,b" {
		t.Errorf("registered: %d %v", status, answer)
	}
	for _, c := range []struct{ token, id, says string }{
		{"", "x", "refused with 401: Registering needs this server's registration token, in the header X-Registration-Token"},
		{token + "x", "x", "refused with 401: "},
		{token, "my-phone", "refused with 409: Executor already registered"},
		{token, "../x", "refused with 400: executor_id: must "},
		{"a\nb", "x", "no answer"},
	} {
		if _, err := join(c.token, "--id", c.id); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if status, _ := call(t, "POST", home+"/register", "", `{"executor_id":"x"}`); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if log := s.log.String(); strings.Contains(log, "correct horse") || strings.Contains(log, strings.TrimSpace(key)) {
		t.Errorf("a secret stands in the log: %s", log)
	}
}

// Ensure that register takes no other answer for a registration, and shows a terminal nothing odd.
func TestRegisterElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		status      int
		body        string
		header      http.Header
		says, stays string
	}{
		"another service": {200, `{"api_key":"x"}`, nil, "is not answered by a mess-exchange (status 200)", ""},
		"no JSON":         {201, `<html>`, nil, "is not answered by a mess-exchange", ""},
		"no key":          {201, `{}`, nil, "is not answered by a mess-exchange", ""},
		"an odd key":      {201, `{"api_key":"mess\n\u001b[2J"}`, nil, "is not answered by a mess-exchange", ""},
		"a redirect":      {302, ``, http.Header{"Location": {"/elsewhere"}}, "(status 302)", ""},
		"an odd refusal":  {503, `{"error":"a\u001b[2J\nb"}`, http.Header{"Retry-After": {"7"}}, "refused with 503: a[2Jb (in 7 s)", ""},
		"endless":         {201, `{"api_key":"` + strings.Repeat("x", 1<<20), nil, "is not answered by a mess-exchange", ""},
	} {
		asked := 0
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			for name, values := range c.header {
				w.Header()[name] = values
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		var out bytes.Buffer
		err := run(t.Context(), []string{"register", "--url", other.URL, "--exchange", "e", "--id", "x"}, env("REGISTRATION_TOKEN=t"), &out, &out)
		if err == nil || !strings.Contains(err.Error(), c.says) || out.Len() > 0 || asked != 1 {
			t.Errorf("%s: asked %d times, printed %q: %v", name, asked, &out, err)
		}
		other.Close()
	}
	err := run(t.Context(), []string{"register", "--url", "http://user:secret@127.0.0.1:1", "--exchange", "e", "--id", "x"}, env(), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no answer, so x may be registered or not") || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}

// Ensure that register sends what it was told and no more.
func TestRegisterSends(t *testing.T) {
	var got *http.Request
	var body map[string]any
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"api_key":"k"}`)
	}))
	t.Cleanup(other.Close)
	var out bytes.Buffer
	err := run(t.Context(), []string{"register", "--exchange", "a/../b", "--id", "x"}, env("PORT="+other.URL[strings.LastIndex(other.URL, ":")+1:]), &out, &out)
	if err != nil || out.String() != "k\n" {
		t.Fatalf("%q, %v", &out, err)
	}
	if got.URL.EscapedPath() != "/api/v1/exchanges/a%2F..%2Fb/register" || len(body) != 1 || body["executor_id"] != "x" || got.Header["X-Registration-Token"] != nil {
		t.Errorf("sent %s %v %v", got.URL, got.Header, body)
	}
}

// Ensure what may be meant differently is said at the start, without the token.
func TestAccessWarnings(t *testing.T) {
	for _, c := range []struct {
		settings []string
		says     string
	}{
		{nil, ""},
		{[]string{"REGISTRATION=token", "REGISTRATION_TOKEN=" + token}, ""},
		{[]string{"REGISTRATION=token", "REGISTRATION_TOKEN=short-one"}, "less than 16 characters"},
		{[]string{"REGISTRATION_TOKEN=" + token}, "not asked for"},
	} {
		s := launch(t, append(c.settings, "STORAGE_PATH="+t.TempDir())...)
		log := s.log.String()
		if strings.Contains(log, `"WARN"`) != (c.says != "") || !strings.Contains(log, c.says) || strings.Contains(log, "short-one") || strings.Contains(log, token) {
			t.Errorf("%v: said %s", c.settings, log)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}

// Ensure which addresses are taken for trusted proxies.
func TestTrustedProxies(t *testing.T) {
	c := &config{Registration: "open", TrustedProxies: " 10.1.2.3/8 ,,fd00::/8, 192.168.1.9,::1,::ffff:172.16.0.1,"}
	a, err := c.access().Read()
	if err != nil || len(a.TrustedProxies) != 5 {
		t.Fatal(a, err)
	}
	for at, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "fd12::1": true, "fe80::1": false, "192.168.1.9": true, "192.168.1.8": false, "::1": true, "::2": false, "172.16.0.1": true,
	} {
		found := false
		for _, p := range a.TrustedProxies {
			found = found || p.Contains(netip.MustParseAddr(at))
		}
		if found != want {
			t.Errorf("%s: %v", at, found)
		}
	}
}
