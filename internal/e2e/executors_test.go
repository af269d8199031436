//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"testing"
)

// TestExecutors: who is registered, in the contract's shape, and nobody's secrets.
func TestExecutors(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		home := at(s, "home")
		phone := home.as(home.want(t, http.StatusCreated, "POST", "/register", `{"executor_id": "my-phone", "display_name": "My Phone",
			"capabilities": ["photo:capture", "location:indoor"], "notifications": [{"type": "slack", "webhook_url": "https://hooks.example.org/T0PSECRET"}]}`).text("api_key"))
		agent := home.register(t, "claude-agent")

		a := agent.want(t, http.StatusOK, "GET", "/executors", nil)
		wantFields(t, a.body, "executors")
		raw := decode[struct{ Executors []json.RawMessage }](t, a).Executors
		got := agent.executors(t)
		if len(got) != 2 || got[0].ID != "my-phone" || got[1].ID != "claude-agent" {
			t.Fatalf("executors: got %v", a)
		}
		for i, e := range got {
			wantFields(t, raw[i], executorFields)
			if !timeForm.MatchString(e.CreatedAt) || !timeForm.MatchString(e.LastSeen) || e.LastSeen < e.CreatedAt {
				t.Errorf("times of %s: created %q, last seen %q", e.ID, e.CreatedAt, e.LastSeen)
			}
		}
		if got[0].DisplayName != "My Phone" || !reflect.DeepEqual(got[0].Capabilities, []string{"photo:capture", "location:indoor"}) {
			t.Errorf("my-phone: got %+v", got[0])
		}
		if got[1].DisplayName != "claude-agent" || len(got[1].Capabilities) != 0 || got[1].Capabilities == nil {
			t.Errorf("an executor that said nothing of itself: got %+v, want its id as name and an empty list", got[1])
		}
		profileChanges(t, phone, agent)
	})
}

// profileChanges checks the PATCH of a profile: what is named changes, the rest stays.
func profileChanges(t *testing.T, phone, agent client) {
	t.Helper()
	a := phone.want(t, http.StatusOK, "PATCH", "/executors/my-phone", `{
		"display_name": "Teague Phone",
		"capabilities": ["photo:capture", "location:indoor", "location:outdoor"],
		"notifications": [{"type": "ntfy", "topic": "mess-alerts"}, {"type": "slack", "webhook_url": "https://hooks.example.org/T0PSECRET"}],
		"preferences": {"min_priority": "normal", "quiet_hours": {"enabled": true, "start": "22:00", "end": "07:00"}}
	}`)
	if got := compact(t, a.body); got != `{"executor_id":"my-phone","updated":true}` {
		t.Errorf("profile: got %s", got)
	}
	phone.want(t, http.StatusOK, "PATCH", "/executors/my-phone", `{"display_name": "Teague's Phone"}`)
	got := agent.executors(t)[0]
	if got.DisplayName != "Teague's Phone" || len(got.Capabilities) != 3 {
		t.Errorf("after two changes: got %+v", got)
	}
	for _, path := range []string{"/executors/my-phone", "/executors/nobody"} {
		if a := agent.want(t, http.StatusForbidden, "PATCH", path, `{"display_name": "x"}`); a.text("code") != "not_your_profile" {
			t.Errorf("PATCH %s by another: got %v", path, a)
		}
	}
	phone.want(t, http.StatusBadRequest, "PATCH", "/executors/my-phone", `{"capabilities": "photo"}`)
	if got := agent.executors(t)[0]; got.DisplayName != "Teague's Phone" || len(got.Capabilities) != 3 {
		t.Errorf("after refused changes: got %+v", got)
	}
}

func atoi(tb testing.TB, digits string) int {
	tb.Helper()
	n, err := strconv.Atoi(digits)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
