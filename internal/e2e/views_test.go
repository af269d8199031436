//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// views is where the views for users stand.
func views() string { return filepath.Join(repository, "deploy", "duckdb", "views.sql") }

// askViews runs a statement on the views, in a fresh process beside a data folder.
func askViews(t *testing.T, data, statement string) []row {
	t.Helper()
	_, rows := query(t, data, statement, views())
	return rows
}

// TestViewsFresh: the views are there on an empty server, and find nothing.
func TestViewsFresh(t *testing.T) {
	place := folder(t)
	start(t, place.settings...)
	text, err := os.ReadFile(views())
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^CREATE OR REPLACE VIEW (\w+) AS`).FindAllStringSubmatch(string(text), -1)
	if len(names) == 0 {
		t.Fatal("no views found")
	}
	data := place.files(t)
	for _, name := range names {
		if rows := askViews(t, data, "SELECT * FROM "+name[1]); len(rows) != 0 {
			t.Errorf("%s has %d rows on an empty server", name[1], len(rows))
		}
	}
}

// TestViews: what the views say of new data is what the API says, on a folder and on a bucket's objects.
func TestViews(t *testing.T) {
	t.Parallel()
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		agent := at(s, "home").register(t, "agent")
		phone := at(s, "home").register(t, "phone")
		robot := at(s, "home").register(t, "robot")
		tellStories(t, agent, phone, robot)
		at(s, "office").register(t, "agent").create(t, intent("not at home"))
		robot.want(t, http.StatusOK, "DELETE", "/executors/robot", nil)
		data := place.files(t)
		wantViews(t, data, "home", agent)
		wantDays(t, data, "home")
		removed := askViews(t, data, "SELECT executor_id FROM executors WHERE removed_at IS NOT NULL")
		if len(removed) != 1 || *removed[0]["executor_id"] != "robot" {
			t.Errorf("executors that were removed: got %v", removed)
		}
	})
}

// TestViewsOldData: so it is on data of the original server, torn lines and all, before this one has seen it and
// after it went on with it.
func TestViewsOldData(t *testing.T) {
	t.Parallel()
	place, _ := oldData(t, false)
	before := askViews(t, place.data, "SELECT * EXCLUDE messages FROM threads WHERE exchange_id = 'home' ORDER BY thread_ref")
	s := start(t, place.settings...)
	agent, phone := at(s, "home").as(oldAgent), at(s, "home").as(oldPhone)
	agent.executors(t) // opens the exchange
	wantViews(t, place.data, "home", agent)
	if after := askViews(t, place.data, "SELECT * EXCLUDE messages FROM threads WHERE exchange_id = 'home' ORDER BY thread_ref"); inLines(after) != inLines(before) {
		t.Errorf("the threads of old data were\n%s\nand are with a server on it\n%s", inLines(before), inLines(after))
	}
	robot := at(s, "home").register(t, "robot")
	tellStories(t, agent, phone, robot)
	phone.set(t, "2026-02-01-003-check-fridge", "claimed")
	wantViews(t, place.data, "home", agent)
	wantDays(t, place.data, "home")
	wantViews(t, place.data, "my home_lab", at(s, "my%20home_lab").as(oldRobot))
}

// inLines has each column of each row in one text, in an order of its own.
func inLines(rows []row) string {
	encoded, _ := json.Marshal(rows) // maps of texts always encode
	return strings.ReplaceAll(string(encoded), "},{", "},\n{")
}

// tellStories lets threads go all the ways there are.
func tellStories(t *testing.T, agent, phone, robot client) {
	t.Helper()
	done := agent.create(t, `{"intent": "Is the \"garage\" door closed?", "priority": "urgent", "context": ["bed"]}`)
	phone.set(t, done, "claimed")
	phone.set(t, done, "needs_input")
	agent.want(t, http.StatusOK, "PATCH", "/requests/"+done, `{"mess": [{"answer": {"text": "the left one"}}]}`)
	phone.want(t, http.StatusOK, "PATCH", "/requests/"+done, `{"status": "completed", "mess": [{"response": {"content": ["closed", "é \ud83c\udf31 <ok>"]}}]}`)
	released := agent.create(t, intent("Water the plants"))
	robot.set(t, released, "claimed")
	robot.set(t, released, "pending")
	handed := agent.create(t, intent("Feed the cat"))
	phone.set(t, handed, "in_progress")
	phone.want(t, http.StatusOK, "PATCH", "/requests/"+handed, `{"mess": [{"status": {"code": "delegated", "delegated_to": "robot"}}]}`)
	robot.set(t, handed, "claimed")
	agent.set(t, agent.create(t, intent("Never mind")), "cancelled")
	phone.set(t, agent.create(t, intent("No")), "declined")
	late := agent.create(t, map[string]any{"intent": "Too late", "needed_by": time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)}) // a Worker that is busy takes its time
	for agent.thread(t, late).Status != "expired" {
		agent.want(t, http.StatusOK, "GET", "/requests/"+late+"?wait=5s", nil)
	}
	agent.want(t, http.StatusCreated, "POST", "/import", map[string]any{"content": importedThread})
	phone.set(t, agent.create(t, intent("Still going on")), "claimed")
}

const importedThread = `ref: 2025-11-05-IMP1
requestor: agent
executor: phone
status: completed
created: 2025-11-05T10:00:00Z
updated: 2025-11-05T10:30:00Z
intent: Lock the shed
priority: elevated
history:
  - action: created
    at: 2025-11-05T10:00:00Z
    by: agent
---
from: agent
received: 2025-11-05T10:00:00Z
MESS:
  - request:
      intent: Lock the shed
---
from: phone
received: 2025-11-05T10:30:00Z
MESS:
  - status: {code: completed}
  - response:
      content: [locked]
`

// wantViews checks threads, messages and executors of an exchange against the API's answers.
func wantViews(t *testing.T, data, exchange string, c client) {
	t.Helper()
	of := " WHERE exchange_id = '" + exchange + "'"
	threads := map[string]row{}
	for _, r := range askViews(t, data, "SELECT * FROM threads"+of) {
		threads[*r["thread_ref"]] = r
	}
	messages := map[string][]row{}
	for _, r := range askViews(t, data, "SELECT * REPLACE (mess::VARCHAR AS mess) FROM messages"+of+" ORDER BY thread_ref, number") {
		messages[*r["thread_ref"]] = append(messages[*r["thread_ref"]], r)
	}
	all := c.threads(t, "?limit=1000")
	if len(all) == 0 || len(all) != len(threads) {
		t.Errorf("%s: the API has %d threads, the views %d", exchange, len(all), len(threads))
	}
	for _, summary := range all {
		r := threads[summary.Ref]
		if r == nil {
			t.Errorf("%s is not in the views", summary.Ref)
			continue
		}
		whole := c.thread(t, summary.Ref)
		got := fmt.Sprintf("%s %q %s %q %q %s %s %s", orNull(r["status"]), orNull(r["intent"]), orNull(r["priority"]), empty(r["requestor_id"]), empty(r["executor_id"]), orNull(r["created_at"]), orNull(r["updated_at"]), orNull(r["messages"]))
		want := fmt.Sprintf("%s %q %s %q %q %s %s %d", whole.Status, whole.Intent, whole.Priority, whole.RequestorID, whole.holder(), whole.CreatedAt, whole.UpdatedAt, len(whole.Messages))
		if got != want {
			t.Errorf("%s:\nviews %s\nAPI   %s", summary.Ref, got, want)
		}
		for i, m := range whole.Messages {
			if i >= len(messages[summary.Ref]) {
				t.Errorf("%s: message %d is not in the views", summary.Ref, i+1)
				break
			}
			r := messages[summary.Ref][i]
			if orNull(r["number"]) != fmt.Sprint(i+1) || empty(r["from"]) != m.From || orNull(r["ts"]) != m.TS || canonical(t, []byte(orNull(r["mess"]))) != canonical(t, m.Mess) {
				t.Errorf("%s: message %d:\nviews %v\nAPI   %+v", summary.Ref, i+1, show(r), m)
			}
		}
	}
	wantExecutorsView(t, data, of, c)
}

func wantExecutorsView(t *testing.T, data, of string, c client) {
	t.Helper()
	var got, want []string
	for _, r := range askViews(t, data, "SELECT * FROM executors"+of+" AND removed_at IS NULL") {
		var capabilities []string
		if err := json.Unmarshal([]byte(orNull(r["capabilities"])), &capabilities); err != nil {
			t.Errorf("capabilities of %s: %v", orNull(r["executor_id"]), err)
		}
		got = append(got, fmt.Sprintf("%s %q %q", orNull(r["executor_id"]), orNull(r["display_name"]), capabilities))
	}
	for _, e := range c.executors(t) {
		want = append(want, fmt.Sprintf("%s %q %q", e.ID, e.DisplayName, e.Capabilities))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("executors:\nviews %s\nAPI   %s", strings.Join(got, "; "), strings.Join(want, "; "))
	}
}

// wantDays checks that the counts of the days are those of the events and threads, and the times of executors those
// of their claims.
func wantDays(t *testing.T, data, exchange string) {
	t.Helper()
	for _, r := range askViews(t, data, `SELECT (SELECT sum(created) FROM daily_counts WHERE exchange_id = '`+exchange+`') AS created,
		(SELECT count(*) FROM threads JOIN events USING (exchange_id, thread_ref) WHERE exchange_id = '`+exchange+`' AND event_type IN ('thread_created', 'thread_imported')) AS threads,
		(SELECT sum(claimed) FROM executor_times WHERE exchange_id = '`+exchange+`') AS claimed,
		(SELECT count(DISTINCT thread_ref) FROM status_changes WHERE exchange_id = '`+exchange+`' AND new_status = 'claimed') AS claims,
		(SELECT sum(completed) FROM executor_times WHERE exchange_id = '`+exchange+`') AS completed`) {
		if orNull(r["created"]) != orNull(r["threads"]) || orNull(r["claimed"]) != orNull(r["claims"]) || orNull(r["created"]) == "0" || orNull(r["completed"]) == "0" {
			t.Errorf("counts of %s: %v", exchange, show(r))
		}
	}
}

// empty is a text, "" for NULL.
func empty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
