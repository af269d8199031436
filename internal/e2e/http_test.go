//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestHTTP checks what clients of any kind rely on beside the calls themselves: CORS, OPTIONS, HEAD,
// trailing slashes, health, the contract and its page.
func TestHTTP(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		agent := at(s, "home").register(t, "agent")
		ref := agent.create(t, intent("x"))
		root := client{base: s.url, http: agent.http}

		for _, path := range []string{"/api/v1/exchanges/home/requests", "/api/v1/exchanges/home/register", "/api/v1/exchanges/home/nothing", "/health", "/nothing"} {
			a := root.send(t, "OPTIONS", path, nil, "Origin", "https://page.example", "Access-Control-Request-Method", "PATCH",
				"Access-Control-Request-Headers", "authorization,content-type")
			allowed := strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
			if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "*" || len(a.body) != 0 ||
				!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PATCH") ||
				!(allowed == "*" || strings.Contains(allowed, "authorization") && strings.Contains(allowed, "content-type")) {
				t.Errorf("OPTIONS %s: got %v %v", path, a, a.header)
			}
		}
		for _, path := range []string{"/requests", "/requests/" + ref, "/executors"} {
			wantHead(t, agent, path)
			slash := agent.want(t, http.StatusOK, "GET", path+"/", nil)
			if plain := agent.want(t, http.StatusOK, "GET", path, nil); path != "/executors" && string(plain.body) != string(slash.body) {
				t.Errorf("GET %s/: got %v, want %v", path, slash, plain)
			}
		}
		wantHead(t, root, "/health")
		a := agent.want(t, http.StatusCreated, "POST", "/requests/", intent("with a slash"))
		if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || a.header.Get(requestID) == "" {
			t.Errorf("headers of an answer: got %v", a.header)
		}
		wantRefusal(t, "an unknown path", root.send(t, "GET", "/nothing", nil), 404, "")
		wantRefusal(t, "an unknown path of the API", root.send(t, "GET", "/api/v2/exchanges", nil), 404, "")
		wantAbout(t, root)
	})
}

// wantHead checks that HEAD answers as GET does, without the body.
func wantHead(t *testing.T, c client, path string) {
	t.Helper()
	get, head := c.want(t, http.StatusOK, "GET", path, nil), c.send(t, "HEAD", path, nil)
	if head.status != get.status || len(head.body) != 0 || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
		t.Errorf("HEAD %s: got %v %v, want %v %v", path, head, head.header, get.status, get.header)
	}
}

// wantAbout checks what the server says of itself without a key.
func wantAbout(t *testing.T, root client) {
	t.Helper()
	health := decode[map[string]any](t, root.want(t, http.StatusOK, "GET", "/health", nil))
	if health["status"] != "ok" || health["service"] != "mess-exchange" || health["mode"] != "event-sourced" || health["storage"] == nil || health["version"] == nil {
		t.Errorf("health: got %v", health)
	}
	contract := decode[struct {
		OpenAPI string
		Paths   map[string]any
	}](t, root.want(t, http.StatusOK, "GET", "/openapi.json", nil))
	if !strings.HasPrefix(contract.OpenAPI, "3.0") || contract.Paths["/api/v1/exchanges/{exchange_id}/requests"] == nil {
		t.Errorf("openapi.json: got version %q and paths %s", contract.OpenAPI, keys(contract.Paths))
	}
	if yaml := root.want(t, http.StatusOK, "GET", "/openapi.yaml", nil); !strings.Contains(string(yaml.body), "openapi: 3.0") {
		t.Errorf("openapi.yaml: got %v", yaml)
	}
	if docs := root.want(t, http.StatusOK, "GET", "/docs", nil); docs.header.Get("Content-Security-Policy") == "" || !strings.HasPrefix(docs.header.Get("Content-Type"), "text/html") {
		t.Errorf("docs: got headers %v, want a page under a Content-Security-Policy", docs.header)
	}
}
