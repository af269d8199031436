package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func compactOf(t *testing.T, dir string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"compact"}, env("STORAGE_PATH="+dir), &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Error(stderr.String())
	}
	return stdout.String(), err
}

// backdate makes the log of an exchange two days older than it is: its day, and the age of its files.
func backdate(t *testing.T, dir, exchange string, today, then time.Time) {
	t.Helper()
	root := filepath.Join(dir, "events", "exchange="+exchange)
	from, to := filepath.Join(root, today.Format("2006/01/02")), filepath.Join(root, then.Format("2006/01/02"))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "*", "*", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, layout := range []string{"2006/01/02", "2006-01-02"} {
			data = bytes.ReplaceAll(data, []byte(today.Format(layout)), []byte(then.Format(layout)))
		}
		if err := os.WriteFile(f, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Ensure that compact merges a closed day of a directory, that the result passes the check and serves, and that
// it does not run beside a server.
func TestCompact(t *testing.T) {
	dir := t.TempDir()
	if left := time.Until(time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)); left < 20*time.Second {
		time.Sleep(left) // what is written below must be of one day
	}
	today := time.Now().UTC()
	s := launch(t, "STORAGE_PATH="+dir)
	key := register(t, s, "home", "agent")
	for range 3 {
		call(t, "POST", s.url+"/api/v1/exchanges/home/requests", key, `{"intent":"x"}`)
	}
	if out, err := compactOf(t, dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("beside a server: %v\n%s", err, out)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	backdate(t, dir, "home", today, today.AddDate(0, 0, -3))
	if out, err := compactOf(t, dir); err != nil || out != "ok: 0 days merged in 1 exchanges\n" {
		t.Errorf("an open day: %v\n%s", err, out)
	}
	s = launch(t, "STORAGE_PATH="+dir)
	call(t, "POST", s.url+"/api/v1/exchanges/home/requests", key, `{"intent":"x"}`) // closes the day
	_, before := call(t, "GET", s.url+"/api/v1/exchanges/home/requests", key, "")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := compactOf(t, dir); err != nil || out != "ok: 0 days merged in 1 exchanges\n" {
		t.Errorf("a day closed just now: %v\n%s", err, out)
	}
	files := commits(t, dir, "home")
	for _, f := range files {
		old := today.AddDate(0, 0, -2)
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	out, err := compactOf(t, dir)
	if err != nil || !strings.Contains(out, "home: merged "+today.AddDate(0, 0, -3).Format("2006/01/02")+": ") || !strings.HasSuffix(out, "4 objects deleted\nok: 1 days merged in 1 exchanges\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := commits(t, dir, "home"); len(got) != 2 || got[0] != files[0] {
		t.Errorf("%d files, of %d", len(got), len(files))
	}
	if out, err := checkOf(t, dir); err != nil || !strings.Contains(out, "home: 2 commits, 10 events") {
		t.Errorf("%v\n%s", err, out)
	}
	s = launch(t, "STORAGE_PATH="+dir)
	if _, after := call(t, "GET", s.url+"/api/v1/exchanges/home/requests", key, ""); !reflect.DeepEqual(after, before) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
}
