package engine

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// Ensure what is shown of settings: what chooses, where a URL leads, and never what opens something.
func TestMask(t *testing.T) {
	for object, want := range map[string]string{
		`[{"type":"ntfy","topic":"mess-home","server":"https://ntfy.sh"}]`:                                                                                                        `[{"type":"ntfy","topic":"***","server":"https://ntfy.sh"}]`,
		`[{"type":"ntfy","server":"https://user:pw@ntfy.sh:8443/","token":"tk_x","priority":5}]`:                                                                                  `[{"type":"ntfy","server":"https://ntfy.sh:8443/…","token":"***","priority":5}]`,
		`[{"type":"webhook","url":"https://x.example/","secret":"s"}]`:                                                                                                            `[{"type":"webhook","url":"https://x.example/","secret":"***"}]`,
		`{"url":"https://x.example?k=v","u2":"http://x.example#f","u3":"http://[::1]:80/a"}`:                                                                                      `{"url":"https://x.example/…","u2":"http://x.example/…","u3":"http://[::1]:80/…"}`,
		`{"u":"slack://tokenA/tokenB","v":"ftp://u:p@h/","w":"https:///x","x":"https://a b/"}`:                                                                                    `{"u":"***","v":"***","w":"***","x":"***"}`,
		`{"type":"https://x.example/secret"}`:                                                                                                                                     `{"type":"https://x.example/…"}`,
		`{"headers":{"Authorization":"Bearer x","X-Id":7},"method":"POST"}`:                                                                                                       `{"headers":{"Authorization":"***","X-Id":"***"},"method":"POST"}`,
		`{"on_request_created":[{"type":"home_assistant","service":"light.on","entity_id":["a"]}]}`:                                                                               `{"on_request_created":[{"type":"home_assistant","service":"light.on","entity_id":["a"]}]}`,
		`{"quiet_hours":{"enabled":true,"start":"22:00","end":"07:00","timezone":"Europe/Berlin"}}`:                                                                               `{"quiet_hours":{"enabled":true,"start":"22:00","end":"07:00","timezone":"Europe/Berlin"}}`,
		`{"b":false,"n":null,"e":[],"o":{},"f":1.50,"priority":1.50,"s":""}`:                                                                                                      `{"b":false,"n":null,"e":[],"o":{},"f":"***","priority":1.50,"s":"***"}`,
		`{"headers":{"type":"Bearer x","method":["x"]},"body":{"label":"s","priority":5,"u":"https://h/x","o":{"start":"s"}},"type":"webhook"}`:                                   `{"headers":{"type":"***","method":["***"]},"body":{"label":"***","priority":"***","u":"https://h/…","o":{"start":"***"}},"type":"webhook"}`,
		`[{"type":"webhook","url":"https://h/SECRET","secret":"whsec_SECRET","previous_secret":"SECRET"}]`:                                                                        `[{"type":"webhook","url":"https://h/…","secret":"***","previous_secret":"***"}]`,
		`[{"type":"ifttt","key":"SECRET","event":"SECRET","value1":"SECRET"},{"type":"home_assistant","base_url":"http://ha:8123","webhook_id":"SECRET","token":"SECRET"}]`:       `[{"type":"ifttt","key":"***","event":"***","value1":"***"},{"type":"home_assistant","base_url":"http://ha:8123","webhook_id":"***","token":"***"}]`,
		`[{"type":"google_tasks","client_id":"SECRET","client_secret":"SECRET","refresh_token":"SECRET","task_id":"SECRET"},{"type":"linear","token":"SECRET","team_id":"TEAM"}]`: `[{"type":"google_tasks","client_id":"***","client_secret":"***","refresh_token":"***","task_id":"***"},{"type":"linear","token":"***","team_id":"TEAM"}]`,
		`["plain",{"type":["x",{"key":"y"}]}]`:                                                                                                                                    `["***",{"type":["x",{"key":"***"}]}]`,
		`{"<k>\u0000":"x","type":"<&>\u0001"}`:                                                                                                                                    `{"<k>\u0000":"***","type":"<&>\u0001"}`,
		`12345678901234567890`:                                                                                                                                                    `"***"`,
		`"secret"`:                                                                                                                                                                `"***"`,
		`true`:                                                                                                                                                                    `true`,
	} {
		if got := string(maskValue("notifications", json.RawMessage(object))); got != want {
			t.Errorf("%s\n got %s\nwant %s", object, got, want)
		}
	}
	if got := string(maskValue("min_priority", json.RawMessage(`"urgent"`))); got != `"urgent"` {
		t.Errorf("a setting of its own: %s", got)
	}
	deep := strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000)
	if got := string(maskValue("x", json.RawMessage(deep))); got != `"***"` {
		t.Errorf("nested deeply: %.50s", got)
	}
	if got := maskValue("x", json.RawMessage(strings.Repeat(`[`, 99)+strings.Repeat(`]`, 99))); len(got) != 198 {
		t.Errorf("nested as deeply as a body may be: %s", got)
	}
}

var origin = regexp.MustCompile(`^https?://[^/?#@\\]+(/…?)?$`)

// FuzzMask: whatever a setting is, what is shown of it is JSON of the same shape in which everything is a mask,
// an origin, or under a harmless name; and what hides something is refused when it comes back.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{
		`[{"type":"ntfy","topic":"SECRET","server":"https://ntfy.sh"}]`, `{"url":"https://a/SECRET"}`, `{"a":"x://SECRET"}`, `"https://u:SECRET@h"`, `"https://h/?SECRET"`,
		`{"type":"http://h\\SECRET"}`, `{"type":"https://h:80:SECRET"}`, `7`, `[[]]`, `"HTTP://H/x"`, `"https://h/\u0000"`,
	} {
		f.Add("hooks", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		if !json.Valid(value) {
			return
		}
		shown := maskValue(name, value)
		var v any
		if err := json.Unmarshal(shown, &v); err != nil {
			t.Fatalf("%s is shown as %s", value, shown)
		}
		if hides := wantMasked(t, name, v); hides && isSetting(name) && refuseMasked(map[string]json.RawMessage{name: shown}) == nil {
			t.Fatalf("%s is taken back", shown)
		}
	})
}

// wantMasked holds a value against the rule, and reports whether something is hidden in it.
func wantMasked(t *testing.T, name string, v any) (hides bool) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if v == mask || strings.HasSuffix(v, maskedRest) {
			hides = isMask(v)
		}
		if v != mask && !origin.MatchString(v) && (!harmless[name] || strings.Contains(v, "://")) {
			t.Fatalf("%q is shown of %s", v, name)
		}
	case float64:
		if !harmless[name] {
			t.Fatalf("%v is shown of %s", v, name)
		}
	case []any:
		for _, one := range v {
			hides = wantMasked(t, name, one) || hides
		}
	case map[string]any:
		for name, one := range v {
			hides = wantMasked(t, name, one) || hides
		}
	}
	return hides
}
