//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cron triggers of a Worker (deploy/cloudflare/wrangler.jsonc).
const (
	cronOften = "*/10 * * * *"
	cronDaily = "17 3 * * *"
)

// scheduled rings a cron trigger of a Worker, which wrangler lets be rung by hand on this machine.
func (s *server) scheduled(tb testing.TB, cron string) {
	tb.Helper()
	if _, err := answerTo(http.Get(s.url + "/cdn-cgi/local/scheduled?cron=" + url.QueryEscape(cron))); err != nil {
		tb.Fatal(err)
	}
}

// loseAlarms ends the program in a Worker, for which no alarm rings any more.
func (s *server) loseAlarms(tb testing.TB) {
	tb.Helper()
	s.inside(tb, "lose")
}

// TestSafetyNet: what is due is done though whoever kept the time has forgotten it: the program by looking into its log when
// it begins, a Worker whose alarms are lost by its cron trigger. And who is to be told of that is told.
func TestSafetyNet(t *testing.T) { // not in parallel: a cron trigger rings at every server in the Worker
	inEachStorage(t, func(t *testing.T, place storage) {
		r := listen(t, "127.0.0.1")
		s := start(t, append(place.settings, toReceivers)...)
		agent := at(s, "home").profile(t, "agent", toWebhook(r.url+"/agent"))
		due := time.Now().Add(2 * time.Second).UTC().Truncate(time.Second)
		ref := agent.create(t, members{"intent": "soon", "needed_by": due.Format(time.RFC3339)})
		if s.worker {
			s.loseAlarms(t)
		} else {
			s.kill()
		}
		time.Sleep(time.Until(due) + time.Second) // it is the time that is waited for
		if hasExpired(t, place, ref) {
			t.Fatal("it has expired though nobody was there")
		}
		if s.worker {
			s.scheduled(t, cronOften)
		} else {
			s = start(t, s.settings...)
		}
		r.wait(t, 1, func(a arrival) bool {
			return a.path == "/agent" && strings.Contains(string(a.body), `"status":"expired"`)
		})
		if !hasExpired(t, place, ref) {
			t.Error("it was told of, and is not in the log")
		}
		if s.worker {
			s.scheduled(t, cronDaily) // there is nothing to merge yet
		}
		if got := at(s, "home").as(agent.key).thread(t, ref); got.Status != "expired" {
			t.Errorf("it is %s", got.Status)
		}
	})
}

// hasExpired reports whether the stored log says so of a thread.
func hasExpired(t *testing.T, place storage, ref string) bool {
	t.Helper()
	return slices.ContainsFunc(storedEvents(t, place.files(t)), func(e event) bool {
		return e.Type == "status_changed" && e.Thread != nil && *e.Thread == ref && strings.Contains(string(e.Payload), `"new_status":"expired"`)
	})
}
