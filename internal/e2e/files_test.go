//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// carry runs the import or export command of the built program.
func carry(t *testing.T, s *server, key, command, dir string) outcome {
	t.Helper()
	return run(t, 2*time.Minute, []string{"MESS_URL=" + s.url, "MESS_API_KEY=" + key}, command, dir)
}

// relative are the files of a folder by their paths below it.
func relative(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, content := range contents(t, dir) {
		path, err := filepath.Rel(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.ToSlash(path)] = content
	}
	return all
}

// TestFiles: a folder of threads comes into a server, survives its restart, goes out as the same bytes, and from
// there into another exchange of another server, where the threads go on. The log that holds them is sound,
// and the contract's query shows what stands in it.
func TestFiles(t *testing.T) {
	t.Parallel()
	examples := filepath.Join(repository, "internal", "messeaf", "testdata", "canonical")
	want := relative(t, examples)
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		home := at(s, "home").register(t, "agent")
		if o := carry(t, s, home.key, "import", examples); o.code != 0 || o.stdout != "imported 3, already there 0, failed 0\n" {
			t.Fatalf("import: %+v", o)
		}
		s = s.restart(t)
		home = at(s, "home").as(home.key)
		if o := carry(t, s, home.key, "import", examples); o.code != 0 || o.stdout != "imported 0, already there 3, failed 0\n" {
			t.Errorf("import again: %+v", o)
		}
		dir := t.TempDir()
		for _, says := range []string{"exported 3, unchanged 0, failed 0\n", "exported 0, unchanged 3, failed 0\n"} {
			if o := carry(t, s, home.key, "export", dir); o.code != 0 || o.stdout != says {
				t.Errorf("export: %+v", o)
			}
			if got := relative(t, dir); !reflect.DeepEqual(got, want) {
				t.Fatalf("exported %q, want %q", got, want)
			}
		}

		other := start(t, folder(t).settings...)
		office := at(other, "office").register(t, "my-phone")
		if o := carry(t, other, office.key, "import", dir); o.code != 0 {
			t.Fatalf("import elsewhere: %+v", o)
		}
		office.set(t, "2026-02-01-XY1Z", "claimed")
		if got := office.thread(t, "2026-02-01-XY1Z"); got.holder() != "my-phone" || len(got.Messages) != 1 {
			t.Errorf("claimed elsewhere: %+v", got)
		}
		if o := carry(t, other, office.key, "export", dir); o.code != 0 || o.stdout != "exported 1, unchanged 2, failed 0\n" {
			t.Errorf("export from elsewhere: %+v", o)
		}
		if got := relative(t, dir)["executing/2026-02-01-XY1Z.messe-af.yaml"]; !strings.Contains(got, "  - action: claimed\n") {
			t.Errorf("the history ends %q", got)
		}
		wantImported(t, place)
		if code := s.terminate(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if o := run(t, time.Minute, place.forCommands(t), "check"); o.code != 0 {
			t.Errorf("check: %+v", o)
		}
	})
}

// wantImported asks DuckDB for what was imported: by the contract's query, and by the members of the documents.
func wantImported(t *testing.T, place storage) {
	t.Helper()
	data := place.files(t)
	rows := wantQuery(t, data, checkLog(t, data, "home"))
	if len(rows) != 3 {
		t.Errorf("%d rows", len(rows))
	}
	_, said := query(t, data, fmt.Sprintf(`SELECT event_type, payload->'documents'->0->>'intent' AS intent, json_array_length(payload->'documents') - 1 AS messages,
		payload->'documents'->1->'MESS'->0->'request'->>'intent' AS said FROM (%s) WHERE thread_ref = '2026-02-01-XY1Z'`, strings.TrimSuffix(contractQuery, ";")))
	if len(said) != 1 || orNull(said[0]["event_type"]) != "thread_imported" || orNull(said[0]["intent"]) != "Check if the garage door is closed" ||
		orNull(said[0]["messages"]) != "1" || orNull(said[0]["said"]) != "Check if the garage door is closed" {
		t.Errorf("the documents: %v", said)
	}
}

// TestFilesAreAllOrNothing: of an import that holds a bad file, or a ref that is there, nothing is stored, and
// the program says which file it was.
func TestFilesAreAllOrNothing(t *testing.T) {
	place := folder(t)
	s := start(t, place.settings...)
	home := at(s, "home").register(t, "agent")
	text, err := os.ReadFile(filepath.Join(repository, "internal", "messeaf", "testdata", "canonical", "received", "2026-02-01-XY1Z.messe-af.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := func(ref string) map[string]string {
		return map[string]string{"name": ref + ".messe-af.yaml", "content": strings.ReplaceAll(string(text), "2026-02-01-XY1Z", ref)}
	}
	before := contents(t, place.files(t))
	bad := file("2026-02-01-BBBB")
	bad["content"] = strings.Replace(bad["content"], "status: pending", "status: whatever", 1)
	a := home.send(t, "POST", "/import", map[string]any{"files": []any{file("2026-02-01-AAAA"), bad}})
	if a.status != http.StatusBadRequest || !strings.Contains(a.text("error"), "2026-02-01-BBBB.messe-af.yaml, line 4: status") {
		t.Errorf("a bad file: %v", a)
	}
	if after := contents(t, place.files(t)); !reflect.DeepEqual(after, before) {
		t.Errorf("a refused import changed the storage")
	}
	home.want(t, http.StatusCreated, "POST", "/import", map[string]any{"files": []any{file("2026-02-01-CCCC")}})
	a = home.send(t, "POST", "/import", map[string]any{"files": []any{file("2026-02-01-AAAA"), file("2026-02-01-CCCC")}})
	if a.status != http.StatusConflict || a.text("code") != "thread_exists" {
		t.Errorf("a ref that is there: %v", a)
	}
	wantOrder(t, home, "", "2026-02-01-CCCC")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, bad["name"]), []byte(bad["content"]), 0o644); err != nil {
		t.Fatal(err)
	}
	if o := carry(t, s, home.key, "import", dir); o.code != 1 || !strings.Contains(o.stdout, "failed: "+bad["name"]+": refused with 400: ") || !strings.Contains(o.stderr, "1 threads failed") {
		t.Errorf("import of the bad file: %+v", o)
	}
}

// TestFilesOfOldData: every thread that the original server has left can be exported.
func TestFilesOfOldData(t *testing.T) {
	place, _ := oldData(t, false)
	s := start(t, place.settings...)
	all := at(s, "home").as(oldAgent).threads(t, "")
	dir := t.TempDir()
	if o := carry(t, s, oldAgent, "export", dir); o.code != 0 || o.stdout != fmt.Sprintf("exported %d, unchanged 0, failed 0\n", len(all)) {
		t.Errorf("export: %+v", o)
	}
	got := relative(t, dir)
	if len(got) != len(all) || !strings.Contains(got["finished/2026-02-01-XY1Z.messe-af.yaml"], "intent: Check if the garage door is closed\n") {
		t.Errorf("exported %d of %d threads: %q", len(got), len(all), got)
	}
}
