//go:build e2e

package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestFullDiskWalk pastes the commands of docs/operations.md about a full disk into one shell, as a reader would,
// and wants to see what the page says that one sees.
func TestFullDiskWalk(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	script := story(t, "docs/operations.md", "full disk", addr)
	script = strings.ReplaceAll(script, "PORT=3000", "PORT="+strings.TrimPrefix(addr, "127.0.0.1:"))
	script = "trap 'jobs -p | xargs -r kill || true' EXIT\n" + script // where it breaks off
	place := t.TempDir()
	if err := os.Mkdir(filepath.Join(place, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(place, "bin", "mess-exchange")); err != nil {
		t.Fatal(err)
	}

	bash := exec.Command("unshare", append(mountable(), "bash", "-c", script)...)
	bash.Dir, bash.Env = place, environment(nil)
	bash.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	bash.Stdout, bash.Stderr = &stdout, &stderr
	err = bash.Run()
	seen := strings.Join(strings.Fields(refs.ReplaceAllString(stdout.String(), "REF")), " ")
	if err != nil {
		t.Fatalf("%v (the walk mounts a disk: run it as root, or where users may make namespaces)\n%s\n%s", err, &stdout, &stderr)
	}
	rest := seen
	for _, want := range seenOnFullDisk {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is not in %q,\nof %q\n%s", want, rest, seen, &stderr)
		}
		rest = after
	}
	if !strings.Contains(stderr.String(), "No space left on device") {
		t.Errorf("the disk was never full: %s", &stderr)
	}
}

var refs = regexp.MustCompile(`\d{4}-\d{2}-\d{2}-[A-Z0-9]+`)

// seenOnFullDisk is what the walk shows, in this order.
var seenOnFullDisk = []string{
	`{"status":"ready"}`,
	`{"ref":"REF","status":"pending"} 201`,
	`100%`,
	`{"error":"The storage is not available; nothing was stored","code":"storage_unavailable"} 503`,
	`{"error":"The storage is full","code":"storage_unavailable"} 503 "intent":"before" {"`,
	`"status":"ok"`,
	`} 200 no space left on device 200 {"ref":"REF","status":"pending"} 201 "intent":"after" "intent":"before"`,
	`home: 3 commits, 5 events, 0 objects of the original server, 0 findings`,
	`ok: nothing is wrong in 1 exchanges`,
}
