//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestWorkerDev: what docs/workers.md gives to whoever tries the Worker on a machine of their own, with the configuration
// that is deployed. It says what it is, does what is asked, and when it is killed and begun again on its folder it has all
// that it had.
func TestWorkerDev(t *testing.T) {
	if !*onWorker { // `make e2e` has no wrangler; `make worker` has, and CI runs both
		t.Skip("it is about the Worker alone: make worker")
	}
	folder := t.TempDir()
	home, w := workerDev(t, folder)
	health, err := fetch("http://" + w.addr + "/health")
	if err != nil || !strings.Contains(string(health), `"storage":"r2"`) {
		t.Errorf("it says of itself %s, %v", health, err)
	}
	agent, phone := home.register(t, "agent"), home.register(t, "phone")
	refs := []string{agent.create(t, intent("a")), agent.create(t, intent("b")), agent.create(t, intent("c"))}
	phone.set(t, refs[0], "claimed")
	phone.want(t, http.StatusOK, "PATCH", "/requests/"+refs[1], `{"status": "completed", "mess": [{"response": {"content": ["done"]}}]}`)
	before := everything(t, agent, refs)
	w.kill()
	home, _ = workerDev(t, folder)
	agent, phone = home.as(agent.key), home.as(phone.key)
	if after := everything(t, agent, refs); after != before {
		t.Errorf("begun again: got\n%s\nwant\n%s", after, before)
	}
	phone.set(t, refs[0], "completed")
	wantOrder(t, agent, "?status=completed", refs[0], refs[1])
}

// workerDev starts the Worker whose R2 is in a folder. It is killed at the end of the test where it still runs.
func workerDev(t *testing.T, folder string) (client, *wrangler) {
	t.Helper()
	w, err := runWrangler("/health", "npm", "run", "worker:dev", "--", "--persist-to", folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	return at(&server{url: "http://" + w.addr}, "home"), w
}
