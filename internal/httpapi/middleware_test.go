package httpapi

import (
	"strings"
	"testing"
)

// Ensure an answer and the log carry the same id: the client's where it is harmless, else a new one.
func TestRequestID(t *testing.T) {
	s := siteOf(t, willing{})
	for sent, kept := range map[string]bool{
		"7f3a.B-1_2:x": true, strings.Repeat("a", 64): true,
		"mess_home": true, "mess_home_5ec2e7": false, "x-mess_home_5ec2e7": false, // the latter are keys, more or less
		"": false, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "é": false, "<x>": false,
	} {
		got := client{site: s}.want(200, "GET", "/health", "", "X-Request-Id", sent).header.Get("X-Request-Id")
		if (got == sent) != kept || got == "" {
			t.Errorf("%q: got %q", sent, got)
		}
		if !strings.Contains(s.log.String(), "request_id="+got+" ") {
			t.Errorf("%q is not in the log", got)
		}
	}
}

// Ensure no key and no query reaches the log, whatever becomes of the request.
func TestLogHoldsNoSecret(t *testing.T) {
	s := newSite(t)
	phone := s.at("home").register("phone")
	for _, key := range []string{phone.key, "mess_home_5ec2e7", "Basic 5ec2e7"} {
		for _, method := range []string{"GET", "HEAD", "PATCH", "OPTIONS", "BREW"} {
			phone.as(key).send(method, "/requests?token=5ec2e7", "")
			phone.as(key).send(method, "/nothing", `{"note":"5ec2e7"}`)
			for _, path := range []string{"/requests/" + phone.key, "/executors/x" + phone.key + "x/", "/requests/a%2F" + phone.key, "/nothing/mess_home_5ec2e7/attachments"} {
				phone.as(key).send(method, path, "", "X-Request-Id", phone.key)
			}
			client{site: s, base: "/api/v1/exchanges/" + phone.key, key: key}.send(method, "/requests", "")
		}
	}
	log := s.log.String()
	if strings.Contains(log, phone.key[len("mess_home_"):]) || strings.Contains(log, "5ec2e7") {
		t.Errorf("the log holds a secret: %s", log)
	}
	for _, part := range []string{"operation=listRequests", "operation=unmatched", "exchange=home executor=phone", "status=401", "duration_ms=", "path=/api/v1/exchanges/home/requests/[key] "} {
		if !strings.Contains(log, part) {
			t.Errorf("the log does not say %s: %s", part, log)
		}
	}
}
