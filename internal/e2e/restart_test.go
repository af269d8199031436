//go:build e2e

package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRestart: a server that was restarted answers every question as before, keys included, and
// goes on from there.
func TestRestart(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		agent, phone := at(s, "home").register(t, "agent"), at(s, "home").register(t, "phone")
		other := at(s, "home-2").register(t, "agent")
		other.create(t, intent("in an exchange whose name starts with the other's"))
		refs := []string{agent.create(t, `{"intent": "a", "big": 12345678901234567890123, "price": 2.50}`), agent.create(t, intent("b")), agent.create(t, intent("c"))}
		phone.set(t, refs[0], "claimed")
		phone.want(t, http.StatusOK, "PATCH", "/requests/"+refs[1], `{"status": "completed", "mess": [{"response": {"content": ["done"]}}]}`)
		phone.want(t, http.StatusOK, "PATCH", "/executors/phone", `{"display_name": "The Phone"}`)

		before := everything(t, agent, refs)
		for round := range 2 {
			s = s.restart(t)
			agent, phone, other = at(s, "home").as(agent.key), at(s, "home").as(phone.key), at(s, "home-2").as(other.key)
			if after := everything(t, agent, refs); after != before {
				t.Fatalf("restart %d: got\n%s\nwant\n%s", round+1, after, before)
			}
			if got := len(other.threads(t, "")); got != 1 {
				t.Errorf("restart %d: home-2 has %d threads, want 1", round+1, got)
			}
		}
		if a := agent.send(t, "PATCH", "/requests/"+refs[0], `{"status": "claimed"}`); a.status != http.StatusConflict {
			t.Errorf("claim of what was held before the restart: got %v", a)
		}
		phone.set(t, refs[0], "completed")
		wantOrder(t, agent, "?status=completed", refs[0], refs[1])
		if a := at(s, "home").send(t, "POST", "/register", `{"executor_id": "phone"}`); a.status != http.StatusConflict {
			t.Errorf("registering again after a restart: got %v", a)
		}
	})
}

var lastSeen = regexp.MustCompile(`"last_seen":"[^"]*"`)

// everything is what an exchange answers, but for last_seen: that one each question moves.
func everything(t *testing.T, c client, refs []string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/requests", "/requests?status=pending", "/executors", "/requests/" + refs[0], "/requests/" + refs[1], "/requests/" + refs[2]} {
		a := c.want(t, http.StatusOK, "GET", path, nil)
		all.WriteString(lastSeen.ReplaceAllString(compact(t, a.body), `"last_seen":"…"`) + "\n")
	}
	return all.String()
}

// TestEmptyStart: a new server on an empty folder answers within a blink, and says it is healthy to
// those who ask it from outside and by its own command.
func TestEmptyStart(t *testing.T) {
	begun := time.Now()
	s := start(t, folder(t).settings...)
	if took := time.Since(begun); took > 3*time.Second { // 300 ms are promised; other tests share the machine
		t.Errorf("an empty start took %v", took)
	}
	port := s.addr[strings.LastIndex(s.addr, ":")+1:]
	if o := run(t, 10*time.Second, []string{"HOST=127.0.0.1", "PORT=" + port}, "health"); o.code != 0 {
		t.Errorf("health of a running server: exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
	s.terminate(t)
	if o := run(t, 10*time.Second, []string{"HOST=127.0.0.1", "PORT=" + port}, "health"); o.code != 1 || o.stderr == "" {
		t.Errorf("health of no server: exit code %d, %q; want 1 and a sentence", o.code, o.stderr)
	}
	if o := run(t, 10*time.Second, nil, "--version"); o.code != 0 || strings.TrimSpace(o.stdout) == "" {
		t.Errorf("--version: exit code %d, %q", o.code, o.stdout)
	}
}
