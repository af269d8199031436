//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// story returns the bash blocks of a page that tell one story, as one script: a comment in front of each, which
// readers of the page don't see, names it. It speaks to that server instead of the one on port 3000.
func story(t *testing.T, page, name, addr string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, page))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- e2e: " + regexp.QuoteMeta(name) + " -->\\s*```bash\n(.*?)```")
	script := "set -euo pipefail\n"
	for _, found := range block.FindAllStringSubmatch(string(text), -1) {
		script += found[1]
	}
	told := strings.ReplaceAll(script, "localhost:3000", addr)
	if told == script {
		t.Fatalf("%s has no bash block after a line <!-- e2e: %s -->, or none mentions localhost:3000", page, name)
	}
	return told
}

// TestReadmeWalk pastes the commands of README.md, in order, into one shell, as a reader would, against
// a fresh server. The blocks address http://localhost:3000, set what they need from the answers
// (KEY, REF), and print those answers.
func TestReadmeWalk(t *testing.T) {
	s := start(t, folder(t).settings...)
	script := story(t, "README.md", "walk", s.addr)
	bash := exec.Command("bash", "-c", script)
	bash.Dir, bash.Env = t.TempDir(), environment(nil)
	out, err := bash.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %s\nafter\n%s", err, exit.Stderr, out)
		}
		t.Fatalf("running bash: %v (the walk needs bash and curl)", err)
	}
	wantWalkPrinted(t, out)
}

// wantWalkPrinted checks that a walk printed JSON answers, none of them an error, each of a shape of
// the contract, and at the end a completed thread with the two messages of the contract.
func wantWalkPrinted(t *testing.T, out []byte) {
	t.Helper()
	shapes := map[string]int{}
	var last struct{ Thread thread }
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var object map[string]json.RawMessage
		if err := d.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the blocks printed something that is no JSON: %v in\n%s", err, out)
		}
		shape := keys(object)
		shapes[shape]++
		switch shape {
		case "api_key executor_id message", "ref status", "threads", "executors", "executor_id updated":
		case "thread":
			if err := json.Unmarshal(object["thread"], &last.Thread); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("the blocks printed an answer with the fields %q:\n%s", shape, out)
		}
	}
	for _, shape := range []string{"api_key executor_id message", "ref status", "threads", "thread", "executors", "executor_id updated"} {
		if shapes[shape] == 0 {
			t.Errorf("no answer with the fields %q was printed:\n%s", shape, out)
		}
	}
	got := last.Thread
	if got.Status != "completed" || len(got.Messages) != 2 {
		t.Fatalf("the thread printed last is %s with %d messages, want completed with two", got.Status, len(got.Messages))
	}
	if first := compact(t, got.Messages[0].Mess); !strings.HasPrefix(first, `[{"request":{"intent":"`) {
		t.Errorf("first message: got %s", first)
	}
	if second := compact(t, got.Messages[1].Mess); !strings.HasPrefix(second, `[{"status":{"re":"`+got.Ref+`","code":"completed"}},{"response":{"content":[`) {
		t.Errorf("second message: got %s", second)
	}
}
