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

// walkBlock finds the bash blocks of README.md that tell one story: a comment in front of each, which
// readers of the page don't see, says so.
var walkBlock = regexp.MustCompile("(?s)<!-- e2e: walk -->\\s*```bash\n(.*?)```")

// TestReadmeWalk pastes the commands of README.md, in order, into one shell, as a reader would, against
// a fresh server. The blocks address http://localhost:3000, set what they need from the answers
// (KEY, REF), and print those answers.
func TestReadmeWalk(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := walkBlock.FindAllStringSubmatch(string(readme), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no bash block after a line <!-- e2e: walk -->")
	}
	s := start(t, folder(t).settings...)
	script := "set -euo pipefail\n"
	for _, block := range blocks {
		script += block[1]
	}
	script = strings.ReplaceAll(script, "http://localhost:3000", s.url)
	if !strings.Contains(script, s.url) {
		t.Fatal("the blocks of README.md never mention http://localhost:3000")
	}
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
