package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkOf runs the check of a directory.
func checkOf(t *testing.T, dir string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"check"}, env("STORAGE_PATH="+dir), &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Error(stderr.String())
	}
	return stdout.String(), err
}

// commits returns the files of an exchange's commits in log order.
func commits(t *testing.T, dir, exchange string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "events", "exchange="+exchange, "20*", "*", "*", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

// Ensure that check passes what a server wrote, names what is missing or damaged, and exits with an
// error then and only then.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	s := launch(t, "STORAGE_PATH="+dir)
	for _, exchange := range []string{"home", "office"} {
		key := register(t, s, exchange, "agent")
		for range 3 {
			call(t, "POST", s.url+"/api/v1/exchanges/"+exchange+"/requests", key, `{"intent":"x"}`)
		}
	}
	if out, err := checkOf(t, dir); err != nil {
		t.Error("beside a server:", err, out)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	out, err := checkOf(t, dir)
	if err != nil || !strings.Contains(out, "home: 4 commits, 7 events") || !strings.Contains(out, "ok: nothing is wrong in 2 exchanges") {
		t.Errorf("%v\n%s", err, out)
	}

	torn := commits(t, dir, "home")[1]
	if err := os.WriteFile(torn, []byte(`{"event_id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(commits(t, dir, "office")[0]); err != nil {
		t.Fatal(err)
	}
	out, err = checkOf(t, dir)
	if err == nil || !strings.Contains(out, filepath.Base(torn)) || !strings.Contains(out, "office: FINDING: ") || !strings.Contains(err.Error(), "findings in 2 exchanges, the first in events/exchange=home/") ||
		!strings.HasSuffix(err.Error(), "/"+filepath.Base(torn)) {
		t.Errorf("%v\n%s", err, out)
	}
}

// Ensure that check looks at the profiles too.
func TestCheckOfProfiles(t *testing.T) {
	dir := t.TempDir()
	s := launch(t, "STORAGE_PATH="+dir)
	register(t, s, "home", "agent")
	profile := filepath.Join(dir, "executors", "exchange=home", "agent.json")
	if err := os.Rename(profile, filepath.Join(filepath.Dir(profile), "phone.json")); err != nil {
		t.Fatal(err)
	}
	out, err := checkOf(t, dir)
	if err == nil || err.Error() != "1 findings in 1 exchanges, the first in executors/exchange=home/phone.json" || !strings.Contains(out, "home: FINDING: executors/exchange=home/phone.json names another executor") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Ensure that check makes no directory where there is none.
func TestCheckOfNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := checkOf(t, dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
}

// Ensure that oddities which the original server left behind are named and are no failure: every
// server reads past them, and none may mend them.
func TestCheckOfOriginalData(t *testing.T) {
	dir := t.TempDir()
	original := filepath.Join("..", "..", "internal", "engine", "testdata", "original")
	if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
		t.Fatal(err)
	}
	s := launch(t, "STORAGE_PATH="+dir)
	if status, answer := call(t, "GET", s.url+"/api/v1/exchanges/attic/executors", "mess_attic_11112222333344445555666677778888", ""); status != 200 {
		t.Fatal(status, answer)
	}
	for _, key := range []string{"mess_home_9f2c4b7a1d3e5f60718293a4b5c6d7e8", "mess_my home_lab_c0ffee00c0ffee00c0ffee00c0ffee00"} {
		exchange := strings.Split(key, "_")[1]
		if exchange != "home" {
			exchange = "my%20home_lab"
		}
		if status, answer := call(t, "GET", s.url+"/api/v1/exchanges/"+exchange+"/requests", key, ""); status != 200 {
			t.Fatal(status, answer)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	out, err := checkOf(t, dir)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	err = fs.WalkDir(os.DirFS(original), "events", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".jsonl") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(original, path))
		if len(data) > 0 && !bytes.HasPrefix(data, []byte(`{"event_id":"`)) && !strings.Contains(out, filepath.Base(path)) {
			t.Errorf("%s is not named: %s", path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.Log(out)
	}
}
