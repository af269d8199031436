//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

const (
	refuseWithin = 10 * time.Second // the contract's, for any change
	noticeWithin = 10 * time.Second // until /ready tells; a trial takes 3 s at most, and one may be under way
)

// outage is a storage that does not work for a while.
type outage struct {
	place  storage
	strike func(*testing.T)
	mend   func(*testing.T)
	reason string // what /ready says meanwhile, or a part of it
	reads  int    // what reads are answered meanwhile
	sure   bool   // whether the storage says of each change that it was not stored
}

// walk puts a server through the outage: every change is refused in time and none is acknowledged, the
// process stays healthy and says why it is not ready, and when the storage is back it serves again by
// itself, with all that was acknowledged and nothing that was certainly refused.
func (o outage) walk(t *testing.T) {
	s := start(t, o.place.settings...)
	agent := at(s, "home").register(t, "agent")
	root := client{base: s.url, http: agent.http}
	ref := agent.create(t, intent("before"))
	awaitReady(t, root, http.StatusOK)
	wantHead(t, root, "/ready")

	o.strike(t)
	unready := awaitReady(t, root, http.StatusServiceUnavailable)
	wantRefusal(t, "/ready", unready, http.StatusServiceUnavailable, o.reason)
	first := o.refuseAll(t, agent, ref, "first")
	second := o.refuseAll(t, agent, ref, "second")
	root.want(t, http.StatusOK, "GET", "/health", nil)
	awaitReady(t, root, http.StatusServiceUnavailable)

	o.mend(t)
	awaitReady(t, root, http.StatusOK)
	agent.create(t, intent("after"))
	o.verify(t, agent, ref, first, second)
	at(s, "second").register(t, "agent")
	s = s.restart(t)
	o.verify(t, client{base: s.url + "/api/v1/exchanges/home", key: agent.key, http: agent.http}, ref, first, second)
	if code := s.terminate(t); code != 0 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	checkPasses(t, o.place.settings)
	checkLog(t, o.place.data, "home")
}

// awaitReady asks until /ready is answered so.
func awaitReady(t *testing.T, root client, status int) answer {
	t.Helper()
	deadline := time.After(noticeWithin)
	for {
		a := root.send(t, "GET", "/ready", nil)
		if a.status == status {
			return a
		}
		select {
		case <-deadline:
			t.Fatalf("/ready: got %v for %v, want %d", a, noticeWithin, status)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// refuseAll sends each kind of change and of read at once and returns what the changes were answered.
func (o outage) refuseAll(t *testing.T, agent client, ref, word string) map[string]answer {
	t.Helper()
	nobody := agent.as("")
	second := client{base: agent.base[:len(agent.base)-len("home")] + word, http: agent.http}
	calls := []struct {
		name, method, path string
		by                 client
		body               any
	}{
		{"create", "POST", "/requests", agent, intent(word)},
		{"claim", "PATCH", "/requests/" + ref, agent, map[string]any{"status": "claimed"}},
		{"message", "PATCH", "/requests/" + ref, agent, map[string]any{"mess": []any{map[string]any{"note": word}}}},
		{"profile", "PATCH", "/executors/agent", agent, map[string]any{"display_name": word}},
		{"register", "POST", "/register", nobody, map[string]any{"executor_id": word}},
		{"open", "POST", "/register", second, map[string]any{"executor_id": "agent"}},
		{"thread", "GET", "/requests/" + ref, agent, nil},
		{"list", "GET", "/requests", agent, nil},
		{"executors", "GET", "/executors", agent, nil},
	}
	answers := map[string]answer{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range calls {
		all.Go(func() {
			began := time.Now()
			a, err := c.by.try(c.method, c.path, c.body)
			if took := time.Since(began); err != nil || took > refuseWithin {
				t.Errorf("%s: answered after %v: %v %v", c.name, took, a, err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[c.name] = a
		})
	}
	all.Wait()
	for _, c := range calls {
		a := answers[c.name]
		if c.method == "GET" && o.reads == http.StatusOK {
			if a.status != http.StatusOK {
				t.Errorf("%s: got %v, want 200", c.name, a)
			}
			continue
		}
		wantRefusal(t, c.name, a, http.StatusServiceUnavailable, "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After: %v", c.name, a)
		}
		if code := a.text("code"); code != "storage_unavailable" && (o.sure || code != "outcome_unknown") {
			t.Errorf("%s: got %v", c.name, a)
		}
	}
	return answers
}

// verify holds what is there against what was answered: with storage_unavailable nothing was stored, with
// outcome_unknown it was stored once or not at all.
func (o outage) verify(t *testing.T, agent client, ref string, rounds ...map[string]answer) {
	t.Helper()
	unsure := func(kind string) bool {
		for _, answers := range rounds {
			if answers[kind].text("code") != "storage_unavailable" {
				return true
			}
		}
		return false
	}
	counts := map[string]int{}
	for _, x := range agent.threads(t, "") {
		counts[x.Intent]++
	}
	if counts["before"] != 1 || counts["after"] != 1 {
		t.Errorf("what was acknowledged is there %d and %d times", counts["before"], counts["after"])
	}
	for _, word := range []string{"first", "second"} {
		if n := counts[word]; n > 1 || n > 0 && !unsure("create") {
			t.Errorf("the refused request %q is there %d times", word, n)
		}
	}
	x := agent.thread(t, ref)
	if x.holder() != "" && !unsure("claim") {
		t.Errorf("a refused claim counts: %v", x)
	}
	if n := len(x.Messages); n != 1 && !unsure("message") && !unsure("claim") {
		t.Errorf("a refused message is there: %v", x)
	}
	for _, e := range agent.executors(t) {
		if e.ID != "agent" && !unsure("register") {
			t.Errorf("a refused registration counts: %v", e)
		}
		if e.ID == "agent" && e.DisplayName != "agent" && !unsure("profile") {
			t.Errorf("a refused change of a profile counts: %v", e)
		}
	}
}

// TestFolderGoesAway: a server whose folder was deleted acknowledges nothing any more and ends.
func TestFolderGoesAway(t *testing.T) {
	place := folder(t)
	s := start(t, place.settings...)
	agent := at(s, "home").register(t, "agent")
	agent.create(t, intent("before"))
	if err := os.RemoveAll(place.data); err != nil {
		t.Fatal(err)
	}
	if a, err := agent.try("POST", "/requests", intent("after")); err == nil && a.status < 500 {
		t.Errorf("a request after the folder was deleted: got %v", a)
	}
	select {
	case <-s.exited:
		if code := s.state.ExitCode(); code != 1 {
			t.Errorf("exit code: got %d, want 1", code)
		}
	case <-time.After(stopWithin):
		t.Errorf("the server still runs %v after its folder was deleted", stopWithin)
	}
}
