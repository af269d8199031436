//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestDocs opens the documentation page in Chromium, authorizes, and tries a call. The screenshot is
// kept where go test has the flag -artifacts.
func TestDocs(t *testing.T) {
	t.Parallel()
	node := program(t, "node", "nodejs", "node")
	chromium := program(t, "chromium", "chromium", "chromium", "chromium-browser", "google-chrome")
	folderOfScript := filepath.Join(repository, "internal", "e2e", "browser")
	if _, err := os.Stat(filepath.Join(folderOfScript, "node_modules", "playwright-core")); err != nil {
		t.Fatalf("playwright-core is not installed; run: npm ci --prefix internal/e2e/browser (%v)", err)
	}
	s := start(t, folder(t).settings...)
	agent := at(s, "home").register(t, "agent")
	agent.create(t, intent("Check if the garage door is closed"))

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	screenshot := filepath.Join(t.ArtifactDir(), "docs.png")
	script := exec.CommandContext(ctx, node, "docs.js", chromium, s.url, "home", agent.key, screenshot)
	script.Dir = folderOfScript
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("the documentation page in Chromium: %v\n%s", err, out)
	}
	if info, err := os.Stat(screenshot); err != nil || info.Size() < 10_000 {
		t.Errorf("screenshot: got %v, %v", info, err)
	}
}

// program finds the first of several names on the PATH, and says what to install where none is there.
func program(t *testing.T, what, debianPackage string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed; on Debian: apt-get install %s", what, debianPackage)
	return ""
}
