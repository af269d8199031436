//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	refForm   = regexp.MustCompile(`^\d{4}-\d\d-\d\d-[A-Z0-9]{4,6}$`)
	keyForm   = regexp.MustCompile(`^mess_home_[0-9a-f]{32,}$`)
	timeForm  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	codeForm  = regexp.MustCompile(`^[a-z][a-z_]*$`)
	requestID = "X-Request-Id"
)

const (
	summaryFields  = "created_at executor_id intent priority ref requestor_id status updated_at"
	threadFields   = "created_at executor_id intent messages priority ref requestor_id seq status updated_at"
	executorFields = "capabilities created_at display_name id last_seen"
)

// TestWalk is the contract's story: register, ask, claim, complete, read back.
func TestWalk(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		home := at(s, "home")
		phone, agent := walkRegister(t, home), home.register(t, "claude-agent")

		// Create: the answer is the ref and "pending", nothing else.
		created := agent.want(t, http.StatusCreated, "POST", "/requests", intent("Check if the garage door is closed"))
		wantFields(t, created.body, "ref status")
		ref := decode[thread](t, created).Ref
		if today := time.Now().UTC().Format("2006-01-02"); !refForm.MatchString(ref) || !strings.HasPrefix(ref, today) {
			t.Errorf("ref: got %q, want %s-XXXX", ref, today)
		}
		walkPending(t, phone, ref)

		// Claim and complete: each answers ref and the new status.
		for _, body := range []string{`{"status": "claimed"}`, `{"status": "completed", "mess": [{"response": {"content": ["Garage is closed"]}}]}`} {
			a := phone.want(t, http.StatusOK, "PATCH", "/requests/"+ref, body)
			wantFields(t, a.body, "ref status")
			if got := decode[thread](t, a); got.Ref != ref || !strings.Contains(body, got.Status) {
				t.Errorf("PATCH %s: got %v", body, a)
			}
		}
		walkReadBack(t, agent, ref)
	})
}

func walkRegister(t *testing.T, home client) client {
	t.Helper()
	a := home.want(t, http.StatusCreated, "POST", "/register", `{
		"executor_id": "my-phone",
		"display_name": "My Phone",
		"capabilities": ["photo:capture", "location:indoor"],
		"notifications": [{"type": "ntfy", "topic": "mess-home"}]
	}`)
	wantFields(t, a.body, "api_key executor_id message")
	got := decode[struct {
		ID      string `json:"executor_id"`
		Key     string `json:"api_key"`
		Message string `json:"message"`
	}](t, a)
	if got.ID != "my-phone" || got.Message != "Save this API key - it cannot be retrieved again." || !keyForm.MatchString(got.Key) {
		t.Errorf("register: got %v", a)
	}
	return home.as(got.Key)
}

// walkPending checks the thread in the list while nobody has claimed it.
func walkPending(t *testing.T, c client, ref string) {
	t.Helper()
	list := c.want(t, http.StatusOK, "GET", "/requests", nil)
	wantFields(t, list.body, "threads")
	raw := decode[struct{ Threads []json.RawMessage }](t, list).Threads
	if len(raw) != 1 {
		t.Fatalf("list: got %d threads, want 1: %v", len(raw), list)
	}
	wantFields(t, raw[0], summaryFields)
	got := c.threads(t, "")[0]
	if got.Ref != ref || got.Status != "pending" || got.Intent != "Check if the garage door is closed" ||
		got.RequestorID != "claude-agent" || got.ExecutorID != nil || got.Priority != "normal" || got.CreatedAt != got.UpdatedAt {
		t.Errorf("list: got %s", raw[0])
	}
	if !timeForm.MatchString(got.CreatedAt) {
		t.Errorf("created_at: got %q, want RFC 3339 in UTC with milliseconds", got.CreatedAt)
	}
}

// walkReadBack checks that the thread reads exactly as the contract prints it: two messages, the
// second with a status block that the server put in front.
func walkReadBack(t *testing.T, c client, ref string) {
	t.Helper()
	a := c.want(t, http.StatusOK, "GET", "/requests/"+ref, nil)
	wantFields(t, a.body, "thread")
	raw := decode[struct{ Thread json.RawMessage }](t, a).Thread
	wantFields(t, raw, threadFields)
	got := c.thread(t, ref)
	if got.Ref != ref || got.Status != "completed" || got.Intent != "Check if the garage door is closed" || got.RequestorID != "claude-agent" ||
		got.holder() != "my-phone" || got.Priority != "normal" || !timeForm.MatchString(got.UpdatedAt) || got.UpdatedAt < got.CreatedAt {
		t.Errorf("thread: got %s", raw)
	}
	want := []message{
		{From: "claude-agent", TS: got.CreatedAt, Mess: json.RawMessage(`[{"request":{"intent":"Check if the garage door is closed"}}]`)},
		{From: "my-phone", TS: got.UpdatedAt, Mess: json.RawMessage(fmt.Sprintf(
			`[{"status":{"re":%q,"code":"completed"}},{"response":{"content":["Garage is closed"]}}]`, ref))},
	}
	if len(got.Messages) != len(want) {
		t.Fatalf("messages: got %d, want %d: %s", len(got.Messages), len(want), raw)
	}
	for i, w := range want {
		if g := got.Messages[i]; g.From != w.From || g.TS != w.TS || compact(t, g.Mess) != string(w.Mess) {
			t.Errorf("message %d: got %s %s %s, want %s %s %s", i, g.From, g.TS, g.Mess, w.From, w.TS, w.Mess)
		}
	}
}

// wantFields checks the names of a JSON object.
func wantFields(t *testing.T, object []byte, want string) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatalf("no JSON object: %v: %s", err, object)
	}
	if got := keys(fields); got != want {
		t.Errorf("fields: got %q, want %q in %s", got, want, object)
	}
}

// compact drops the white space of JSON and leaves the order of names and the spelling of numbers.
func compact(t testing.TB, raw []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatalf("no JSON: %v: %s", err, raw)
	}
	return b.String()
}
