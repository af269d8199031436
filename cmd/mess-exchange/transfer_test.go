package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const examples = "../../internal/messeaf/testdata/canonical"

// tree returns the files below a folder, by their names.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		all[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// plant writes files below a new folder.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// carry runs import or export, and returns what it printed.
func carry(ctx context.Context, url, key string, args ...string) (string, error) {
	var out, stderr bytes.Buffer
	err := run(ctx, args, env("MESS_URL="+url, "MESS_API_KEY="+key, "STORAGE_TYPE=nonsense"), &out, &stderr)
	return out.String() + stderr.String(), err
}

func enroll(t *testing.T, url, exchange string) (key string) {
	t.Helper()
	var out, stderr bytes.Buffer
	if err := run(t.Context(), []string{"register", "--url", url, "--exchange", exchange, "--id", "agent"}, env(), &out, &stderr); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// Ensure that a folder comes in, goes out into another folder as the same files, and from there into another
// exchange; that a second run does nothing twice; and that what has happened since is exported.
func TestCarryFolders(t *testing.T) {
	s := launch(t, "STORAGE_PATH="+t.TempDir())
	home, office := enroll(t, s.url, "my_home"), enroll(t, s.url, "office")
	want := tree(t, examples)
	for i, says := range []string{"imported 3, already there 0, failed 0\n", "imported 0, already there 3, failed 0\n"} {
		if out, err := carry(t.Context(), s.url+"/", home, "import", examples); err != nil || out != says {
			t.Errorf("import number %d: %s, %v", i+1, out, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "new", "folder")
	for i, says := range []string{"exported 3, unchanged 0, failed 0\n", "exported 0, unchanged 3, failed 0\n"} {
		if out, err := carry(t.Context(), s.url, home, "export", dir); err != nil || out != says {
			t.Errorf("export number %d: %s, %v", i+1, out, err)
		}
		if got := tree(t, dir); !reflect.DeepEqual(got, want) {
			t.Fatalf("export number %d: the folder holds\n%q\nof\n%q", i+1, got, want)
		}
	}
	if out, err := carry(t.Context(), s.url, office, "import", dir); err != nil || !strings.HasPrefix(out, "imported 3,") {
		t.Errorf("into another exchange: %s, %v", out, err)
	}

	// The pending one is claimed: its file moves. As v2 all become folders.
	const ref = "2026-02-01-XY1Z"
	if status, answer := call(t, "PATCH", s.url+"/api/v1/exchanges/my_home/requests/"+ref, home, `{"status":"claimed"}`); status != 200 {
		t.Fatal(status, answer)
	}
	if out, err := carry(t.Context(), s.url, home, "export", dir); err != nil || out != "exported 1, unchanged 2, failed 0\n" {
		t.Errorf("after a claim: %s, %v", out, err)
	}
	got := tree(t, dir)
	if claimed := got["executing/"+ref+".messe-af.yaml"]; len(got) != len(want) || !strings.Contains(claimed, "  - action: claimed\n") || !strings.Contains(claimed, "\nexecutor: agent\n") {
		t.Errorf("after a claim: %q", got)
	}
	if out, err := carry(t.Context(), s.url, home, "export", dir, "--format", "v2"); err != nil || out != "exported 2, unchanged 1, failed 0\n" {
		t.Errorf("as v2: %s, %v", out, err)
	}
	got = tree(t, dir)
	if len(got) != len(want) || got["executing/"+ref+"/000-"+ref+".messe-af.yaml"] == "" {
		t.Errorf("as v2: %q", got)
	}
}

// Ensure that what fails is named, that the rest comes in, and that files which are no threads stay out.
func TestCarryGoesOnAfterFailures(t *testing.T) {
	s := launch(t, "STORAGE_PATH="+t.TempDir())
	key := enroll(t, s.url, "home")
	files := tree(t, examples)
	files["received/2026-01-01-BAD1.messe-af.yaml"] = "ref: 2026-01-01-BAD1\n"
	files["received/2026-01-02-BAD2/att-001-image-a.png"] = "no envelope"
	files["README.md"] = "a text"
	files[".git/2026-01-03-NOPE.messe-af.yaml"] = "not looked at"
	dir := plant(t, files)
	out, err := carry(t.Context(), s.url, key, "import", dir)
	if err == nil || err.Error() != "2 threads failed" || !strings.HasSuffix(out, "imported 3, already there 0, failed 2\n") ||
		!strings.HasPrefix(out, "left alone: 1 files that are no threads\n") ||
		!strings.Contains(out, "failed: received/2026-01-01-BAD1.messe-af.yaml: refused with 400: body: line 1: requestor: is required") ||
		!strings.Contains(out, "failed: received/2026-01-02-BAD2: refused with 400: ") {
		t.Errorf("%s: %v", out, err)
	}
	for _, c := range []struct{ url, key, says string }{
		{s.url, "mess_home_x", "refused with 401: "},
		{s.url, "nonsense", "MESS_API_KEY: must be"},
		{"ftp://x", key, "--url: must be"},
		{s.url + "/docs", key, "refused with 404: There is nothing at this path"},
	} {
		for _, command := range []string{"import", "export"} {
			if out, err := carry(t.Context(), c.url, c.key, command, dir); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(out, "failed:") {
				t.Errorf("%s with %+v: %s, %v", command, c, out, err)
			}
		}
	}
	if out, err := carry(t.Context(), s.url, key, "import", filepath.Join(dir, "nowhere")); err == nil || out != "" {
		t.Errorf("no folder: %s, %v", out, err)
	}
}

// Ensure that an import waits for a server that asks for patience, takes a thread that is there for one that came
// in, and stops at once, in words, when it is interrupted.
func TestCarryIsPatient(t *testing.T) {
	asked := 0
	ctx, interrupt := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch asked {
		case 1, 2:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":"Busy","code":"outcome_unknown"}`)
		case 3:
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"error":"Here","code":"thread_exists"}`)
		case 4:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{}`)
		default:
			interrupt()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	out, err := carry(ctx, server.URL, "mess_home_x", "import", examples)
	if err == nil || !strings.HasPrefix(err.Error(), "interrupted") || out != "imported 1, already there 1, failed 0\n" || asked != 5 {
		t.Errorf("asked %d times: %s, %v", asked, out, err)
	}
}

// Ensure that an export follows the pages of a list, looks again for what moved meanwhile, and writes no file
// that a server names for itself.
func TestExportFollowsPages(t *testing.T) {
	pages := map[string]string{
		"a&b":  `{"threads":[],"next_cursor":"last"}`,
		"last": `{"threads":[{"ref":"2026-01-01-BBBB","status":"odd"},{"ref":"../x","status":"pending"}]}`,
		"":     `{"threads":[{"ref":"2026-01-01-AAAA","status":"pending"}],"next_cursor":"a&b"}`,
	}
	first := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/requests"):
			cursor := r.URL.Query().Get("cursor")
			if cursor == "" {
				if first++; first == 2 {
					fmt.Fprint(w, `{"threads":[{"ref":"2026-01-01-CCCC","status":"completed"},{"ref":"2026-01-01-AAAA","status":"pending"}],"next_cursor":"a&b"}`)
					return
				}
			}
			fmt.Fprint(w, pages[cursor])
		case strings.HasSuffix(r.URL.Path, "AAAA"):
			fmt.Fprint(w, `{"ref":"2026-01-01-AAAA","format":"v2","files":[{"name":"../../evil","content":"x"}]}`)
		default:
			fmt.Fprintf(w, `{"content":"of %s"}`, filepath.Base(r.URL.Path))
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	out, err := carry(t.Context(), server.URL, "mess_home_x", "export", dir)
	if err == nil || !strings.HasSuffix(out, "exported 2, unchanged 0, failed 2\n") || !strings.Contains(out, `failed: ../x: its ref can't name a file`) || !strings.Contains(out, `failed: 2026-01-01-AAAA: the server names a file "../../evil"`) {
		t.Errorf("%s, %v", out, err)
	}
	want := map[string]string{"executing/2026-01-01-BBBB.messe-af.yaml": "of 2026-01-01-BBBB", "finished/2026-01-01-CCCC.messe-af.yaml": "of 2026-01-01-CCCC"}
	if got := tree(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("the folder holds %q", got)
	}
}

// Ensure that a folder which can't be written to is named once for each thread, and leaves nothing half written.
func TestExportIntoAFullFolder(t *testing.T) {
	s := launch(t, "STORAGE_PATH="+t.TempDir())
	key := enroll(t, s.url, "home")
	if out, err := carry(t.Context(), s.url, key, "import", examples); err != nil {
		t.Fatal(out, err)
	}
	dir := plant(t, map[string]string{"received": "a file", "executing": "a file", "finished": "a file"})
	before := tree(t, dir)
	out, err := carry(t.Context(), s.url, key, "export", dir)
	if err == nil || !strings.HasSuffix(out, "exported 0, unchanged 0, failed 3\n") {
		t.Errorf("%s, %v", out, err)
	}
	if got := tree(t, dir); !reflect.DeepEqual(got, before) {
		t.Errorf("the folder holds %q", got)
	}
}

// Ensure that a server's wish to be left alone is not followed for ever.
func TestAskGivesUp(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"error":"Later","code":"overloaded"}`)
	}))
	t.Cleanup(server.Close)
	var waited time.Duration
	r := &remote{base: server.URL, pause: func(_ context.Context, d time.Duration) error { waited += d; return nil }}
	_, err := r.ask(t.Context(), "GET", "/requests", "", nil)
	if err == nil || err.Error() != "refused with 503: Later" || asked != transferTries || waited != (transferTries-1)*longestPause {
		t.Errorf("asked %d times, waited %v: %v", asked, waited, err)
	}
}
