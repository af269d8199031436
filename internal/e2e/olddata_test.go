//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Keys of the executors in the old data, which stands in the folder of the engine's own test.
const (
	oldAgent = "mess_home_9f2c4b7a1d3e5f60718293a4b5c6d7e8"
	oldPhone = "mess_home_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	oldRobot = "mess_my home_lab_c0ffee00c0ffee00c0ffee00c0ffee00"
)

// oldData returns a folder with a copy of data that the original Node server has written. With
// readable, without the few objects that DuckDB can't read and no server may rewrite: torn lines,
// lines that are no events, times that are no times. `mess-exchange check` names those.
func oldData(t *testing.T, readable bool) (place storage, left []string) {
	t.Helper()
	place = folder(t)
	original := os.DirFS(filepath.Join(repository, "internal", "engine", "testdata", "original"))
	for _, top := range []string{"events", "executors"} {
		err := fs.WalkDir(original, top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(original, path)
			if err != nil {
				return err
			}
			if readable && strings.HasSuffix(path, ".jsonl") && !isEvents(content) {
				left = append(left, path)
				return nil
			}
			to := filepath.Join(place.data, filepath.FromSlash(path))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			return os.WriteFile(to, content, 0o644)
		})
		if err != nil {
			t.Fatalf("copying old data: %v", err)
		}
	}
	return place, left
}

func isEvents(content []byte) bool {
	for line := range bytes.Lines(content) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			return false
		}
		if _, err := time.Parse(time.RFC3339, e.TS); err != nil {
			return false
		}
	}
	return true
}

// TestOldData starts the server on data of the original one: its threads, lists and keys go on
// working, and not a byte of it is written again.
func TestOldData(t *testing.T) {
	place, _ := oldData(t, false)
	before := contents(t, place.data)
	s := start(t, place.settings...)
	agent, phone := at(s, "home").as(oldAgent), at(s, "home").as(oldPhone)

	got := agent.thread(t, "2026-02-01-XY1Z")
	if got.Status != "completed" || got.holder() != "my-phone" || got.Intent != "Check if the garage door is closed" || len(got.Messages) != 2 {
		t.Errorf("the walk of the contract: got %+v", got)
	}
	for _, ref := range []string{"2026-02-01-003-check-fridge", "2026-02-02-NUM1", "2026-02-02-OBJ1", "2026-02-02-OPEN"} {
		if got := agent.thread(t, ref); got.Ref != ref {
			t.Errorf("%s: got %+v", ref, got)
		}
	}
	wantOrder(t, agent, "?status=completed", "2026-02-01-XY1Z")
	if a := agent.send(t, "PATCH", "/requests/2026-02-01-XY1Z", `{"status": "claimed"}`); a.status != http.StatusConflict {
		t.Errorf("claim of an old, completed thread: got %v", a)
	}
	phone.set(t, "2026-02-01-003-check-fridge", "claimed")
	at(s, "my%20home_lab").as(oldRobot).want(t, http.StatusOK, "GET", "/requests", nil)
	for _, e := range agent.executors(t) {
		if e.ID == "my-phone" && e.DisplayName != "Teague Phone" {
			t.Errorf("my-phone: got %+v, want the name of its profile", e)
		}
	}
	if a := at(s, "home").send(t, "POST", "/register", `{"executor_id": "my-phone"}`); a.status != http.StatusConflict {
		t.Errorf("registering an old executor again: got %v", a)
	}

	s = s.restart(t)
	if got := at(s, "home").as(oldAgent).thread(t, "2026-02-01-003-check-fridge"); got.Status != "claimed" || got.holder() != "my-phone" {
		t.Errorf("claimed before the restart: got %+v", got)
	}
	after := contents(t, place.data)
	for path, content := range before {
		if now, there := after[path]; !there || now != content {
			t.Errorf("%s was rewritten: %q became %q", path, content, now)
		}
	}
}

// contents reads all files of a folder.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCheckOldData: the objects of old data that break the query are named by the check, before a
// server has ever seen them as after. They are nothing that anyone could mend; what a first start
// mends is that the schema object is missing.
func TestCheckOldData(t *testing.T) {
	_, left := oldData(t, true)
	if len(left) == 0 {
		t.Fatal("the old data has no objects that can't be read")
	}
	place, _ := oldData(t, false)
	check := func(when string, code int) {
		t.Helper()
		o := run(t, time.Minute, place.settings, "check")
		if o.code != code {
			t.Errorf("check %s: exit code %d, want %d\n%s%s", when, o.code, code, o.stdout, o.stderr)
		}
		for _, path := range left {
			if !strings.Contains(o.stdout, filepath.Base(path)) {
				t.Errorf("check %s does not name %s:\n%s", when, path, o.stdout)
			}
		}
	}
	check("before the first start", 1)
	s := start(t, place.settings...)
	at(s, "home").as(oldAgent).threads(t, "") // opens the exchange, where that had not been its turn yet
	s.terminate(t)
	check("after it", 0)
}

// TestQueryOldData: the query gives exactly the events of old data, and goes on doing so when new
// and hostile ones stand beside them.
func TestQueryOldData(t *testing.T) {
	t.Parallel()
	place, left := oldData(t, true)
	t.Logf("without %v", left)
	s := start(t, place.settings...)
	old := wantQuery(t, place.data, storedEvents(t, place.data))
	if len(old) < 10 {
		t.Fatalf("only %d events of old data", len(old))
	}
	h := newHostility(t, s)
	h.setTraps(t)
	for range 50 {
		ref := h.ask(t, oddRequest(h.random))
		h.say(t, ref, oddMess(h.random), "failed")
	}
	rows := wantQuery(t, place.data, storedEvents(t, place.data))
	var fresh []row
	for _, r := range rows {
		if r["seq"] != nil {
			fresh = append(fresh, r)
		}
	}
	if len(rows)-len(fresh) != len(old) {
		t.Errorf("events of old data: got %d among the new ones, want %d", len(rows)-len(fresh), len(old))
	}
	h.wantSent(t, fresh)
}
