//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// readmeQuery is the SQL block of README.md behind a comment that names it.
func readmeQuery(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)<!-- e2e: " + regexp.QuoteMeta(name) + " -->\\s*```sql\n(.*?)```").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("README.md has no sql block after a line <!-- e2e: %s -->", name)
	}
	return found[1]
}

// TestQueryFailedNotifications runs the query of README.md that says which notifications failed last week, and why: on an
// empty server, on one that tells nobody anything, and where some failed and some did not.
func TestQueryFailedNotifications(t *testing.T) {
	statement := readmeQuery(t, "failed notifications")
	inEachStorage(t, func(t *testing.T, place storage) {
		const wantTypes = "ts TIMESTAMP, ref VARCHAR, executor VARCHAR, channel VARCHAR, attempts BIGINT, status BIGINT, why VARCHAR"
		s := start(t, append(place.settings, toReceivers)...)
		if types, rows := query(t, place.data, statement); types != wantTypes || len(rows) != 0 {
			t.Errorf("an empty server: got %s, %d rows", types, len(rows))
		}
		home := at(s, "home")
		agent := home.register(t, "agent")
		agent.create(t, intent("nobody hears of it"))
		if types, rows := query(t, place.data, statement); types != wantTypes || len(rows) != 0 {
			t.Errorf("a server that tells nobody anything: got %s, %d rows", types, len(rows))
		}

		r := listen(t, "127.0.0.1")
		r.treat("/moved", answers(404, ""))
		phone := home.profile(t, "phone", members{
			"notifications": []members{{"type": "webhook", "url": r.url + "/moved"}, {"type": "ntfy", "topic": "t", "server": r.url + "/ntfy"}, {"type": "slack", "webhook_url": "http://169.254.169.254/"}},
			"hooks":         members{"on_request_created": []members{{"type": "zapier", "webhook_url": r.url + "/moved/zap"}}},
		})
		office := at(s, "office")
		office.profile(t, "phone", toWebhook(r.url+"/moved"))
		office.register(t, "agent").create(t, intent("not at home"))
		ref := agent.create(t, intent("x"))
		waitUntil(t, "four deliveries with an end", func() (bool, string) {
			all := phone.deliveries(t, "phone")
			for _, d := range all {
				if d.Status != "failed" && d.Status != "delivered" {
					return false, d.String()
				}
			}
			return len(all) == 4, "fewer"
		})
		longAgo(t, place)
		want := map[string]string{"channel 0 webhook": "404 the receiver refuses the request", "channel 2 slack": "NULL " + notCalled, "on_request_created 0 zapier": "404 the receiver refuses the request"}
		_, rows := query(t, place.data, statement)
		for _, row := range rows {
			way := orNull(row["channel"])
			if got := orNull(row["status"]) + " " + orNull(row["why"]); got != want[way] || orNull(row["ref"]) != ref || orNull(row["executor"]) != "phone" || orNull(row["attempts"]) != "1" {
				t.Errorf("got %s", show(row))
			}
			delete(want, way)
		}
		if len(want) > 0 || len(rows) != 3 {
			t.Errorf("%d rows; missing are %v", len(rows), want)
		}
	})
}

// longAgo puts what failed into the log once more, as if it had been eight days before.
func longAgo(t *testing.T, place storage) {
	t.Helper()
	day := time.Now().UTC().AddDate(0, 0, -8)
	copied := 0
	for _, e := range storedEvents(t, place.data) {
		if e.Exchange != "home" || e.Type != "note_delivery" {
			continue
		}
		content, err := os.ReadFile(e.file)
		if err != nil {
			t.Fatal(err)
		}
		old := strings.ReplaceAll(string(content), e.TS[:len("2006-01-02")], day.Format(time.DateOnly))
		file := filepath.Join(place.data, "events", "exchange=home", day.Format("2006/01/02"), filepath.Base(e.file))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		copied++
	}
	if copied == 0 {
		t.Fatal("the log says nothing of deliveries")
	}
}
