package settings

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

func members(t testing.TB, object string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return m
}

const (
	aSecret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	anotherOne   = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	googleSecret = `"client_id":"c","client_secret":"s","refresh_token":"r"`
)

// Ensure that what works is taken, that of the contract's examples to begin with.
func TestTaken(t *testing.T) {
	for _, object := range []string{
		`{}`, `{"notifications":null,"hooks":null,"preferences":null}`, `{"notifications":[],"hooks":{},"preferences":{}}`,
		`{"notifications":[{"type":"ntfy","topic":"mess-home"}],"anything":{"else":[1]}}`,
		`{"notifications":[{"type":"ntfy","topic":"your-topic","server":"https://ntfy.sh"},{"type":"slack","webhook_url":"https://hooks.slack.com/..."},
		  {"type":"google_chat","webhook_url":"https://chat.googleapis.com/..."},{"type":"webhook","url":"https://your-server.com/notify"}]}`,
		`{"notifications":[{"type":"ntfy","topic":"t","server":"http://ntfy:80/","token":"tk_x","mine":true}]}`,
		`{"notifications":[{"type":"webhook","url":"http://[::1]:8080/?a=b#c","secret":"` + aSecret + `","previous_secret":"` + anotherOne + `"}]}`,
		`{"preferences":{"min_priority":"normal","quiet_hours":{"enabled":true,"start":"22:00","end":"07:00"}}}`,
		`{"preferences":{"min_priority":"","quiet_hours":{"enabled":true,"timezone":"Europe/Berlin"}}}`,
		`{"preferences":{"quiet_hours":null}}`, `{"preferences":{"quiet_hours":{"timezone":"UTC"}}}`,
		`{"preferences":{"quiet_hours":{"timezone":"America/Argentina/ComodRivadavia"}}}`, `{"preferences":{"quiet_hours":{"timezone":"Etc/GMT+12"}}}`,
		`{"hooks":{"on_request_created":null,"on_request_claimed":[],"on_request_started":[{"type":"webhook","url":"https://h/{{ref}}?q={{intent}}","method":"put",
		  "headers":{"Authorization":"Bearer x","X-Ref":"{{ref}}"},"body":["{{anything}}",{"a":1.50}]}]}}`,
		`{"hooks":{"on_request_completed":[{"type":"ifttt","key":"k"},{"type":"ifttt","key":"k","event":"e","value1":"a","value2":"","value3":null},
		  {"type":"zapier","webhook_url":"https://hooks.zapier.com/x"},{"type":"home_assistant","url":"http://ha.local:8123/api/webhook/x"},
		  {"type":"home_assistant","base_url":"http://ha.local:8123","webhook_id":"x","token":"t","body":{}},
		  {"type":"todoist","token":"t","content":"{{intent}}","project_id":2203306141,"labels":["mess"],"priority_map":{"urgent":4,"normal":1},"due_string":"today"},
		  {"type":"linear","token":"t","team_id":"x"},{"type":"google_tasks",` + googleSecret + `},
		  {"type":"google_tasks",` + googleSecret + `,"action":"complete","task_id":"{{external_id}}","tasklist":"@default"}]}}`,
	} {
		if err := Check(members(t, object)); err != nil {
			t.Errorf("%s\n%v", object, err)
		}
		if _, err := Read(members(t, object)); err != nil {
			t.Errorf("%s\n%v", object, err)
		}
	}
}

// Ensure that what can't work is refused with a sentence that names the field.
//
// Long because it is one table.
func TestRefused(t *testing.T) {
	const mustBeURL = ": must be an http or https URL"
	long := strings.Repeat("x", 70_000)
	many := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	for object, want := range map[string]string{
		`{"notifications":{}}`:                                                                    "notifications: must be a list",
		`{"notifications":[7]}`:                                                                   "notifications[0]: must be an object",
		`{"notifications":[null]}`:                                                                "notifications[0]: must be an object",
		`{"notifications":[{"topic":"t"}]}`:                                                       "notifications[0].type: is required",
		`{"notifications":[{"type":7}]}`:                                                          "notifications[0].type: must be one of ntfy, slack, google_chat, webhook",
		`{"notifications":[{"type":"todoist","token":"t"}]}`:                                      "notifications[0].type: must be one of ntfy, slack, google_chat, webhook",
		`{"notifications":[{"type":"ntfy","topic":"t"},{"type":"pigeon"}]}`:                       "notifications[1].type: must be one of ntfy, slack, google_chat, webhook",
		`{"notifications":` + many(MaxChannels+1, `{"type":"ntfy","topic":"t"}`) + `}`:            "notifications: must have at most 20 entries",
		`{"notifications":[{"type":"ntfy"}]}`:                                                     "notifications[0].topic: is required",
		`{"notifications":[{"type":"ntfy","topic":""}]}`:                                          "notifications[0].topic: is required",
		`{"notifications":[{"type":"ntfy","topic":7}]}`:                                           "notifications[0].topic: must be a string",
		`{"notifications":[{"type":"ntfy","topic":"a/b"}]}`:                                       `notifications[0].topic: must be 1 to 64 letters, digits, "_" or "-"`,
		`{"notifications":[{"type":"ntfy","topic":"t","server":"ntfy.sh"}]}`:                      "notifications[0].server" + mustBeURL,
		`{"notifications":[{"type":"ntfy","topic":"t","token":"a\r\nb"}]}`:                        "notifications[0].token: must have at most 1024 bytes, in one line",
		`{"notifications":[{"type":"slack"}]}`:                                                    "notifications[0].webhook_url: is required",
		`{"notifications":[{"type":"slack","webhook_url":"ftp://x.example/"}]}`:                   "notifications[0].webhook_url" + mustBeURL,
		`{"notifications":[{"type":"slack","webhook_url":"https:///x"}]}`:                         "notifications[0].webhook_url" + mustBeURL,
		`{"notifications":[{"type":"slack","webhook_url":"https://h:/"}]}`:                        "notifications[0].webhook_url" + mustBeURL,
		`{"notifications":[{"type":"slack","webhook_url":"https://h:0/"}]}`:                       "notifications[0].webhook_url" + mustBeURL,
		`{"notifications":[{"type":"slack","webhook_url":"https://h:99999/"}]}`:                   "notifications[0].webhook_url" + mustBeURL,
		`{"notifications":[{"type":"slack","webhook_url":"https://h/\u0000"}]}`:                   "notifications[0].webhook_url" + mustBeURL,
		`{"notifications":[{"type":"slack","webhook_url":"https://u:p@h/"}]}`:                     "notifications[0].webhook_url: must not hold a user name or password",
		`{"notifications":[{"type":"slack","webhook_url":"https://h/` + long + `"}]}`:             "notifications[0].webhook_url: must have at most 2048 bytes",
		`{"notifications":[{"type":"webhook"}]}`:                                                  "notifications[0].url: is required",
		`{"notifications":[{"type":"webhook","url":"https://h","secret":"short"}]}`:               `notifications[0].secret: must be "whsec_" and the base64 of 24 to 64 bytes`,
		`{"notifications":[{"type":"webhook","url":"https://h","previous_secret":"whsec_AAAA"}]}`: `notifications[0].previous_secret: must be "whsec_" and the base64 of 24 to 64 bytes`,

		`{"preferences":[]}`:                                             "preferences: must be an object",
		`{"preferences":{"min_priority":"high"}}`:                        "preferences.min_priority: must be one of background, normal, elevated, urgent",
		`{"preferences":{"min_priority":3}}`:                             "preferences.min_priority: must be a string",
		`{"preferences":{"quiet_hours":true}}`:                           "preferences.quiet_hours: must be an object",
		`{"preferences":{"quiet_hours":{"enabled":"yes"}}}`:              "preferences.quiet_hours.enabled: must be true or false",
		`{"preferences":{"quiet_hours":{"start":"24:00"}}}`:              "preferences.quiet_hours.start: must be a time of day such as 22:00",
		`{"preferences":{"quiet_hours":{"end":"7:00"}}}`:                 "preferences.quiet_hours.end: must be a time of day such as 22:00",
		`{"preferences":{"quiet_hours":{"end":"07"}}}`:                   "preferences.quiet_hours.end: must be a time of day such as 22:00",
		`{"preferences":{"quiet_hours":{"end":"07:60"}}}`:                "preferences.quiet_hours.end: must be a time of day such as 22:00",
		`{"preferences":{"quiet_hours":{"end":"+7:-1"}}}`:                "preferences.quiet_hours.end: must be a time of day such as 22:00",
		`{"preferences":{"quiet_hours":{"timezone":"Mars/Olympus"}}}`:    "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",
		`{"preferences":{"quiet_hours":{"timezone":"Local"}}}`:           "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",
		`{"preferences":{"quiet_hours":{"timezone":"Europe//Berlin"}}}`:  "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",
		`{"preferences":{"quiet_hours":{"timezone":"./Europe/Berlin"}}}`: "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",
		`{"preferences":{"quiet_hours":{"timezone":"../zones"}}}`:        "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",

		`{"hooks":[]}`:                        "hooks: must be an object",
		`{"hooks":{"on_request_done":[]}}`:    "hooks: may have no other members than on_request_created, on_request_claimed, on_request_started, on_request_completed, on_request_rejected, on_request_cancelled",
		`{"hooks":{"on_request_created":{}}}`: "hooks.on_request_created: must be a list",
		`{"hooks":{"on_request_created":` + many(1000, `{"type":"ifttt","key":"k"}`) + `}}`:                   "hooks.on_request_created: must have at most 20 entries",
		`{"hooks":{"on_request_created":[{"type":"slack","webhook_url":"https://h"}]}}`:                       "hooks.on_request_created[0].type: must be one of webhook, ifttt, zapier, home_assistant, todoist, linear, google_tasks",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://{{ref}}.h/"}]}}`:                    "hooks.on_request_claimed[0].url" + mustBeURL + " with no variable in its host",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h{{ref}}/"}]}}`:                     "hooks.on_request_claimed[0].url" + mustBeURL + " with no variable in its host",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"{{ref}}"}]}}`:                               "hooks.on_request_claimed[0].url" + mustBeURL + " with no variable in its host",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"ftp://h/{{ref}}"}]}}`:                       "hooks.on_request_claimed[0].url" + mustBeURL,
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h/{{ref}}/%zz"}]}}`:                 "hooks.on_request_claimed[0].url" + mustBeURL,
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","method":"TRACE"}]}}`:            "hooks.on_request_claimed[0].method: must be one of POST, PUT, PATCH, DELETE, GET",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","headers":[]}]}}`:                "hooks.on_request_claimed[0].headers: must be an object",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","headers":{"Host":"x"}}]}}`:      "hooks.on_request_claimed[0].headers: has a name that is no name of a header, is given twice, or is the server's to set",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","headers":{"a b":"x"}}]}}`:       "hooks.on_request_claimed[0].headers: has a name that is no name of a header, is given twice, or is the server's to set",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","headers":{"A":"x","a":"y"}}]}}`: "hooks.on_request_claimed[0].headers: has a name that is no name of a header, is given twice, or is the server's to set",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","headers":{"X-A":"a\nb"}}]}}`:    "hooks.on_request_claimed[0].headers.X-A: must be a string of at most 4096 bytes, in one line",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","headers":{"X-A":7}}]}}`:         "hooks.on_request_claimed[0].headers.X-A: must be a string of at most 4096 bytes, in one line",
		`{"hooks":{"on_request_claimed":[{"type":"webhook","url":"https://h","body":"` + long + `"}]}}`:       "hooks.on_request_claimed[0].body: must have at most 65536 bytes",
		`{"hooks":{"on_request_claimed":[{"type":"ifttt"}]}}`:                                                 "hooks.on_request_claimed[0].key: is required",
		`{"hooks":{"on_request_claimed":[{"type":"ifttt","key":"k","value1":"` + long + `"}]}}`:               "hooks.on_request_claimed[0].value1: must have at most 16384 bytes",
		`{"hooks":{"on_request_claimed":[{"type":"zapier"}]}}`:                                                "hooks.on_request_claimed[0].webhook_url: is required",
		`{"hooks":{"on_request_claimed":[{"type":"home_assistant","token":"t"}]}}`:                            "hooks.on_request_claimed[0]: must have url, or base_url and webhook_id",
		`{"hooks":{"on_request_claimed":[{"type":"home_assistant","base_url":"http://h"}]}}`:                  "hooks.on_request_claimed[0]: must have url, or base_url and webhook_id",
		`{"hooks":{"on_request_claimed":[{"type":"todoist"}]}}`:                                               "hooks.on_request_claimed[0].token: is required",
		`{"hooks":{"on_request_claimed":[{"type":"todoist","token":"t","labels":[""]}]}}`:                     "hooks.on_request_claimed[0].labels[0]: must be a string of 1 to 100 bytes",
		`{"hooks":{"on_request_claimed":[{"type":"todoist","token":"t","priority_map":{"high":4}}]}}`:         "hooks.on_request_claimed[0].priority_map: may name no priority but background, normal, elevated, urgent",
		`{"hooks":{"on_request_claimed":[{"type":"todoist","token":"t","priority_map":{"urgent":5}}]}}`:       "hooks.on_request_claimed[0].priority_map.urgent: must be a whole number from 1 to 4",
		`{"hooks":{"on_request_claimed":[{"type":"linear","token":"t"}]}}`:                                    "hooks.on_request_claimed[0].team_id: is required",
		`{"hooks":{"on_request_claimed":[{"type":"google_tasks","client_id":"c","client_secret":"s"}]}}`:      "hooks.on_request_claimed[0].refresh_token: is required",
		`{"hooks":{"on_request_claimed":[{"type":"google_tasks",` + googleSecret + `,"action":"delete"}]}}`:   "hooks.on_request_claimed[0].action: must be one of create, complete",
	} {
		if err := Check(members(t, object)); err == nil || err.Error() != want {
			t.Errorf("%.200s\n got %v\nwant %s", object, err, want)
		}
	}
}

// Ensure that no sentence gives away what was set.
func TestNoSecretInSentences(t *testing.T) {
	for _, object := range []string{
		`{"notifications":[{"type":"ntfy","topic":"SECRET/","server":"SECRET","token":"SECRET\n"},{"type":"SECRET"},{"type":"webhook","url":"https://SECRET@h/","secret":"SECRET"}]}`,
		`{"hooks":{"SECRET":[],"on_request_created":[{"type":"webhook","url":"SECRET{{x}}","method":"SECRET","headers":{"a SECRET":"","B":"SECRET\n"}},{"type":"google_tasks","action":"SECRET"}]}}`,
		`{"preferences":{"min_priority":"SECRET","quiet_hours":{"start":"SECRET","timezone":"SECRET"}}}`,
	} {
		_, err := Read(members(t, object))
		if err == nil || strings.Contains(err.Error(), "SECRET") || strings.Count(err.Error(), "\n") == 0 {
			t.Errorf("%s\n%v", object, err)
		}
		if err := Check(members(t, object)); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s\n%v", object, err)
		}
	}
}

// Ensure that of stored settings all is used that can be, in its place, and the rest is reported.
func TestOldData(t *testing.T) {
	s, err := Read(members(t, `{
		"notifications": [{"type":"pigeon"}, {"type":"ntfy","topic":"t"}, 7, {"type":"slack"}, {"type":"webhook","url":"https://h"}],
		"hooks": {"on_request_created": [{"type":"fax"}, {"type":"ifttt","key":"k"}], "on_request_done": [], "on_request_claimed": 7},
		"preferences": {"min_priority":"loud", "quiet_hours": {"enabled":true,"start":"9","end":"7:30"}}}`))
	if len(s.Channels) != 2 || s.Channels[0].Type != "ntfy" || s.Channels[0].Index != 1 || s.Channels[1].Type != "webhook" || s.Channels[1].Index != 4 {
		t.Errorf("channels: %+v", s.Channels)
	}
	if all := s.Hooks[notify.Created]; len(s.Hooks) != 1 || len(all) != 1 || all[0].Index != 1 || all[0].Text["key"] != "k" {
		t.Errorf("hooks: %+v", s.Hooks)
	}
	if q := s.Preferences.Quiet; s.Preferences.MinPriority != "normal" || q == nil || q.Start != 9*60 || q.End != 7*60+30 {
		t.Errorf("preferences: %+v", s.Preferences)
	}
	want := []string{
		"notifications[0].type: must be one of ntfy, slack, google_chat, webhook", "notifications[2]: must be an object",
		"notifications[3].webhook_url: is required", "hooks.on_request_created[0].type: ", "hooks.on_request_claimed: must be a list", "hooks: may have no other members",
		"preferences.min_priority: ",
	}
	got := strings.Split(fmt.Sprint(err), "\n")
	if len(got) != len(want) || slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(fmt.Sprint(err), w) }) {
		t.Errorf("reported:\n%v", err)
	}

	s, err = Read(members(t, `{"notifications":"none","hooks":"none","preferences":"none"}`))
	if len(s.Channels)+len(s.Hooks) > 0 || s.Preferences != (Preferences{MinPriority: "normal"}) || err == nil {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := Read(nil); err != nil || s.Preferences.MinPriority != "normal" {
		t.Errorf("%+v %v", s, err)
	}
	s, err = Read(members(t, `{"notifications":[`+strings.Repeat(`{"type":"ntfy","topic":"t"},`, 500)+`{"type":"ntfy","topic":"t"}]}`))
	if len(s.Channels) != MaxChannels || err == nil {
		t.Errorf("%d channels, %v", len(s.Channels), err)
	}
	if s, err := Read(members(t, `{"preferences":{"quiet_hours":{"enabled":true,"start":"soon"}}}`)); s.Preferences.Quiet != nil || err == nil {
		t.Errorf("%+v %v", s, err)
	}
}

// Ensure that the profiles which the original server wrote can be read.
func TestOriginalProfiles(t *testing.T) {
	files, err := filepath.Glob("../../engine/testdata/original/executors/exchange=home/my-phone.json")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(members(t, string(data)))
	if err != nil || len(s.Channels) != 1 || s.Channels[0].Text["topic"] != "mess-home" || s.Preferences.Quiet == nil {
		t.Errorf("%+v %v", s, err)
	}
}

// FuzzRead: whatever is stored, what is read of it is within the limits, and what Check takes is read in full.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"notifications":[{"type":"ntfy","topic":"t"}],"hooks":{"on_request_created":[{"type":"ifttt","key":"k"}]},"preferences":{"quiet_hours":{"enabled":true}}}`))
	f.Add([]byte(`{"hooks":{"on_request_created":[{"type":"webhook","url":"https://h/{{a}}","headers":{"A":"b"},"body":{}}]}}`))
	f.Fuzz(func(t *testing.T, object []byte) {
		var m map[string]json.RawMessage
		if json.Unmarshal(object, &m) != nil {
			return
		}
		s, problems := Read(m)
		if refusal := Check(m); refusal == nil && problems != nil {
			t.Fatalf("%s is taken, and then %v", object, problems)
		}
		if len(s.Channels) > MaxChannels {
			t.Fatalf("%d channels", len(s.Channels))
		}
		for moment, hooks := range s.Hooks {
			if len(hooks) > MaxHooks || !slices.Contains(notify.Moments, moment) {
				t.Fatalf("%s has %d hooks", moment, len(hooks))
			}
		}
	})
}

// Ensure that what the server turned off is skipped without a word, in its place, and can be set again.
func TestDisabled(t *testing.T) {
	members := map[string]json.RawMessage{
		"notifications": []byte(`[{"type":"ntfy","topic":"a","disabled":{"at":"2026-01-01T00:00:00.000Z","reason":"x"}},{"type":"ntfy","topic":"b","disabled":null},{"type":"?","disabled":{}}]`),
		"hooks":         []byte(`{"on_request_created":[{"type":"ifttt","key":"k","disabled":{}},{"type":"ifttt","key":"l"}]}`),
	}
	s, err := Read(members)
	if err != nil || len(s.Channels) != 1 || s.Channels[0].Index != 1 || len(s.Hooks[notify.Created]) != 1 || s.Hooks[notify.Created][0].Index != 1 {
		t.Error(s, err)
	}
	if err := Check(map[string]json.RawMessage{"notifications": []byte(`[{"type":"?","disabled":{}}]`)}); err == nil {
		t.Error("what is wrong may be set if it is said to be disabled")
	}
}
