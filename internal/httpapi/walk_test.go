package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

var (
	timesRE = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	keysRE  = regexp.MustCompile(`mess_home_[0-9a-f]{32,}`)
)

// shape replaces what differs from run to run: times, keys and the ref.
func shape(body []byte, ref string) string {
	s := timesRE.ReplaceAllString(strings.TrimSpace(string(body)), `"TIME"`)
	s = keysRE.ReplaceAllString(s, "KEY")
	if ref != "" {
		s = strings.ReplaceAll(s, ref, "REF")
	}
	return s
}

// The bodies as the contract document prints them.
const (
	walkRegistration = `{
    "executor_id": "my-phone",
    "display_name": "My Phone",
    "capabilities": ["photo:capture", "location:indoor"],
    "notifications": [
      {"type": "ntfy", "topic": "mess-home"}
    ]
  }`
	walkRequest = `{
    "intent": "Check if the garage door is closed",
    "context": ["Getting ready for bed"],
    "priority": "normal",
    "response_hint": ["image"]
  }`
	walkProfile = `{
    "display_name": "Teague Phone",
    "capabilities": ["photo:capture", "location:indoor", "location:outdoor"],
    "notifications": [
      {"type": "ntfy", "topic": "mess-alerts"},
      {"type": "slack", "webhook_url": "https://hooks.slack.com/..."}
    ],
    "preferences": {
      "min_priority": "normal",
      "quiet_hours": {"enabled": true, "start": "22:00", "end": "07:00"}
    }
  }`
)

// Ensure the calls of the contract document, one after the other, are answered in its shapes, and the
// walk reads back as the two messages it shows.
func TestWalk(t *testing.T) {
	s := newSite(t)
	home := s.at("home")
	registered := home.want(201, "POST", "/register", walkRegistration)
	phone := home.as(registered.text(t, "api_key"))
	agent := home.register("claude-agent")
	created := agent.want(201, "POST", "/requests", walkRequest)
	ref := created.text(t, "ref")
	list := phone.want(200, "GET", "/requests", "")
	claimed := phone.want(200, "PATCH", "/requests/"+ref, `{"status": "claimed"}`)
	completed := phone.want(200, "PATCH", "/requests/"+ref, `{
    "status": "completed",
    "mess": [{"response": {"content": ["Door is locked", {"image": "data:image/..."}]}}]
  }`)
	thread := agent.want(200, "GET", "/requests/"+ref, "")
	executors := agent.want(200, "GET", "/executors", "")
	updated := phone.want(200, "PATCH", "/executors/my-phone", walkProfile)
	summary := func(status, executor string) string {
		return `"ref":"REF","status":"` + status + `","intent":"Check if the garage door is closed","requestor_id":"claude-agent","executor_id":` +
			executor + `,"priority":"normal","created_at":"TIME","updated_at":"TIME"`
	}
	for _, c := range []struct {
		name string
		got  response
		want string
	}{
		{"register", registered, `{"api_key":"KEY","executor_id":"my-phone","message":"Save this API key - it cannot be retrieved again."}`},
		{"create", created, `{"ref":"REF","status":"pending"}`},
		{"list", list, `{"threads":[{` + summary("pending", "null") + `}]}`},
		{"claim", claimed, `{"ref":"REF","status":"claimed"}`},
		{"complete", completed, `{"ref":"REF","status":"completed"}`},
		{"thread", thread, `{"thread":{` + summary("completed", `"my-phone"`) + `,"messages":[` +
			`{"from":"claude-agent","ts":"TIME","mess":[{"request":{"intent":"Check if the garage door is closed","context":["Getting ready for bed"],"priority":"normal","response_hint":["image"]}}]},` +
			`{"from":"my-phone","ts":"TIME","mess":[{"status":{"re":"REF","code":"completed"}},{"response":{"content":["Door is locked",{"image":"data:image/..."}]}}]}],"seq":7}}`},
		{"executors", executors, `{"executors":[` +
			`{"id":"my-phone","display_name":"My Phone","capabilities":["photo:capture","location:indoor"],"last_seen":"TIME","created_at":"TIME"},` +
			`{"id":"claude-agent","display_name":"claude-agent","capabilities":[],"last_seen":"TIME","created_at":"TIME"}]}`},
		{"profile", updated, `{"executor_id":"my-phone","updated":true}`},
	} {
		if got := shape(c.got.body, ref); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	if got := agent.want(200, "GET", "/executors", ""); !strings.Contains(string(got.body), "Teague Phone") || strings.Contains(string(got.body), "slack") {
		t.Errorf("executors after the profile changed: %s", got.body)
	}
}

// Ensure a server that is not ready says why, in the form of any refusal, and stays healthy.
func TestReady(t *testing.T) {
	full := &exchange.Error{Code: exchange.CodeUnavailable, Message: "The storage is full", Err: errors.New("write /secret: no space left")}
	var reason error
	c := client{site: siteOf(t, willing{called: func(context.Context) error { return reason }})}
	if got := c.want(200, "GET", "/ready", ""); string(got.body) != `{"status":"ready"}`+"\n" {
		t.Errorf("ready: got %s", got.body)
	}
	for _, want := range []*exchange.Error{full, {Code: exchange.CodeNotReady, Message: "Opening exchanges: 3 of 10"}} {
		reason = want
		got := c.want(503, "GET", "/ready", "")
		if got.text(t, "error") != want.Message || got.text(t, "code") != string(want.Code) {
			t.Errorf("got %s, want %v", got.body, want)
		}
		if got.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", got.body)
		}
		c.want(503, "HEAD", "/ready", "")
		c.want(200, "GET", "/health", "")
	}
}

// Ensure health says what probes look for, without a key.
func TestHealth(t *testing.T) {
	c := client{site: siteOf(t, willing{})}
	got := c.want(200, "GET", "/health", "")
	var m map[string]string
	if err := json.Unmarshal(got.body, &m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"status": "ok", "service": "mess-exchange", "storage": "memory", "mode": "event-sourced", "version": "1.2.3"} {
		if m[name] != want {
			t.Errorf("%s: got %q, want %q", name, m[name], want)
		}
	}
}
