package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
	"github.com/mess-exchange/mess-exchange/internal/notify/template"
)

const deliveryID = "msg_2SOBGTK5CDCAUTGO6KLW3ESABPNC3X7M"

// firing is that of my-phone's hooks, by what happened to a thread that differs from an ordinary one in the members
// given.
func firing(moment, changed string) Firing {
	at := time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC)
	before := exchange.Thread{
		Ref: "2026-02-01-XY1Z", Status: "pending", Intent: "Is the garage door closed?", Requestor: "claude-agent", Priority: "normal",
		CreatedAt: at, UpdatedAt: at.Add(time.Minute),
	}
	after := before
	if err := json.Unmarshal([]byte(changed), &after); err != nil {
		panic(err)
	}
	change := notify.Change{Type: notify.ThreadCreated, Actor: "claude-agent", After: after}
	if moment != "created" {
		after.Status, after.Executor = moment, "my-phone"
		change = notify.Change{Type: notify.StatusChanged, Actor: "my-phone", Before: before, After: after}
	}
	return Firing{Occasion: notify.Tell(change, exchange.New()).Occasion, Name: "My Phone", ID: deliveryID, AccessToken: "ya29.token"}
}

// entry reads a hook the way a profile is read.
func entry(t testing.TB, hook string) settings.Entry {
	t.Helper()
	members := map[string]json.RawMessage{"hooks": json.RawMessage(`{"on_request_created":[` + hook + `]}`)}
	if err := settings.Check(members); err != nil {
		t.Fatal(err)
	}
	s, _ := settings.Read(members)
	return s.Hooks[notify.Created][0]
}

// TestGolden holds every byte of what hooks send. A case of testdata/*.txt is a status that begins a moment, or
// "created"; then the external id, "overridden" where the operator has set other services, the hook, and what the
// thread has that is not ordinary.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			text, changed, _ := strings.Cut(d.Input, "\n")
			if changed == "" {
				changed = "{}"
			}
			f, services := firing(d.Cmd, changed), Services{}
			d.MaybeScanArgs(t, "external", &f.ExternalID)
			if d.HasArg("overridden") {
				services = Services{"http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "http://127.0.0.1:4/base/", "http://127.0.0.1:5"}
			}
			hook := entry(t, text)
			var out strings.Builder
			if NeedsToken(hook) {
				printRequest(&out, TokenRequest(hook, services))
			}
			r, err := Request(hook, f, services)
			if err != nil {
				return err.Error() + "\n"
			}
			if r.Body != nil && !json.Valid(r.Body) {
				t.Errorf("no JSON: %s", r.Body)
			}
			printRequest(&out, r)
			return out.String()
		})
	})
}

func printRequest(out *strings.Builder, r notify.Request) {
	fmt.Fprintf(out, "%s %s\n", r.Method, r.URL)
	if r.Operated {
		out.WriteString("(to where the operator says)\n")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(out, "%s: %s\n", name, r.Header[name])
	}
	fmt.Fprintf(out, "%s\n", r.Body)
}

// Ensure which answers name what was opened.
func TestReadAnswer(t *testing.T) {
	for answer, want := range map[string]string{
		`{"id":"7"}`:                                "7",
		`{"task_id":"t"}`:                           "t",
		`{"item_id":"i"}`:                           "i",
		`{"item_id":"i","task_id":"t","id":"7"}`:    "7",
		`{"id":"","task_id":null,"item_id":"i"}`:    "i",
		`{"id":0,"task_id":8123456789012345678}`:    "8123456789012345678",
		`{"id":true,"item_id":{"id":"x"}}`:          "",
		`{"id":"7","data":"text"}`:                  "7",
		`{"id":"a\u0000b"}`:                         "",
		`{"id":"` + strings.Repeat("x", 257) + `"}`: "",
		`{"other":1}`:                               "",
		`[{"id":"7"}]`:                              "",
		`ok`:                                        "",
		``:                                          "",
		`{"id":"7"`:                                 "",
		`{"id":1e999}`:                              "",
	} {
		got, err := ReadAnswer(settings.Entry{Type: "webhook"}, []byte(answer))
		if got != want || err != nil {
			t.Errorf("%.60s: %q %v, want %q", answer, got, err, want)
		}
	}
	linear := settings.Entry{Type: "linear"}
	if got, err := ReadAnswer(linear, []byte(`{"data":{"issueCreate":{"success":true,"issue":{"id":"u","identifier":"ENG-7","url":"https://x"}}}}`)); got != "ENG-7" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	for _, answer := range []string{`{"errors":[{"message":"SECRET"}],"data":null}`, `{"id":"7"}`, `ok`} {
		if got, err := ReadAnswer(linear, []byte(answer)); got != "" || err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %q %v", answer, got, err)
		}
	}
}

func TestReadToken(t *testing.T) {
	now := time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC)
	for answer, lasts := range map[string]time.Duration{
		`{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}`: 3539 * time.Second,
		`{"access_token":"ya29.x"}`:                                         0,
		`{"access_token":"ya29.x","expires_in":30}`:                         0,
		`{"access_token":"ya29.x","expires_in":-1e18}`:                      0,
		`{"access_token":"ya29.x","expires_in":1e18}`:                       24*time.Hour - time.Minute,
	} {
		token, until, err := ReadToken([]byte(answer), now)
		if token != "ya29.x" || until.Sub(now) != lasts || err != nil {
			t.Errorf("%s: %q %v %v", answer, token, until.Sub(now), err)
		}
	}
	for _, answer := range []string{``, `{}`, `{"error":"SECRET"}`, `{"access_token":""}`, `{"access_token":"a\r\nSECRET: 1"}`, `{"access_token":"` + strings.Repeat("x", maxToken+1) + `"}`} {
		if token, _, err := ReadToken([]byte(answer), now); token != "" || err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%.60s: %q %v", answer, token, err)
		}
	}
}

// Ensure that what an external id or an intent holds can't change where a request goes or what it says.
func TestHostileWords(t *testing.T) {
	f := firing("created", `{"Intent":"\"},{\"admin\":true,\"x\":\"\r\nX-Evil: 1"}`)
	f.ExternalID = "../../../etc?x=y#z"
	r, err := Request(entry(t, `{"type":"google_tasks","client_id":"c","client_secret":"s","refresh_token":"r","action":"complete"}`), f, Services{})
	if err != nil || r.URL != "https://tasks.googleapis.com/tasks/v1/lists/@default/tasks/..%2F..%2F..%2Fetc%3Fx=y%23z" {
		t.Errorf("%s %v", r.URL, err)
	}
	r, err = Request(entry(t, `{"type":"webhook","url":"https://h/{{external_id}}?i={{intent}}","headers":{"X-I":"{{intent}}"},"body":{"i":"{{intent}}"}}`), f, Services{})
	if err != nil || strings.ContainsAny(r.Header["X-I"], "\r\n") || !strings.HasPrefix(r.URL, "https://h/..%2F..%2F..%2Fetc%3Fx%3Dy%23z?i=%22%7D") {
		t.Errorf("%+v %v", r, err)
	}
	var body map[string]string
	if err := json.Unmarshal(r.Body, &body); err != nil || len(body) != 1 || body["i"] != f.Occasion.Thread.Intent {
		t.Errorf("%s %v", r.Body, err)
	}
}

// Ensure that a template that expands hugely is an error of its own, for good, that gives nothing away.
func TestHugeTemplate(t *testing.T) {
	f := firing("created", `{"Intent":"`+strings.Repeat("x", 10_000)+`"}`)
	for _, hook := range []string{
		`{"type":"webhook","url":"https://h","body":["` + strings.Repeat("{{intent}}", 5000) + `"]}`,
		`{"type":"webhook","url":"https://h/` + strings.Repeat("{{intent}}", 180) + `"}`,
		`{"type":"todoist","token":"SECRET","content":"` + strings.Repeat("{{intent}}", 1000) + `"}`,
		`{"type":"ifttt","key":"SECRET","value3":"` + strings.Repeat("{{intent}}", 1000) + `"}`,
	} {
		r, err := Request(entry(t, hook), f, Services{})
		if !errors.Is(err, template.ErrTooLong) || strings.Contains(err.Error(), "SECRET") || r.URL != "" {
			t.Errorf("%.60s: %v", hook, err)
		}
	}
}

// Ensure that a hook without its access token is never sent.
func TestNoToken(t *testing.T) {
	f := firing("created", `{}`)
	f.AccessToken = ""
	if r, err := Request(entry(t, `{"type":"google_tasks","client_id":"c","client_secret":"s","refresh_token":"r"}`), f, Services{}); !errors.Is(err, errNoToken) {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := Request(settings.Entry{Type: "fax"}, f, Services{}); err == nil {
		t.Error("a hook of no type is taken")
	}
}
