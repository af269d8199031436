//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// event is one line of the stored log, with the file it stands in.
type event struct {
	ID       string          `json:"event_id"`
	Seq      *int64          `json:"seq"`
	TS       string          `json:"ts"`
	Exchange string          `json:"exchange_id"`
	Thread   *string         `json:"thread_ref"`
	Type     string          `json:"event_type"`
	Actor    string          `json:"actor_id"`
	Payload  json.RawMessage `json:"payload"`
	file     string
}

// eventFiles lists the objects of the log in a data folder, in the order of their keys.
func eventFiles(tb testing.TB, data string) []string {
	tb.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(data, "events"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".jsonl") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		tb.Fatalf("reading the log: %v", err)
	}
	slices.Sort(files)
	return files
}

// storedEvents reads every event of every exchange, straight from the files.
func storedEvents(tb testing.TB, data string) []event {
	tb.Helper()
	var events []event
	for _, file := range eventFiles(tb, data) {
		content, err := os.ReadFile(file)
		if err != nil {
			tb.Fatalf("reading the log: %v", err)
		}
		for _, line := range bytes.SplitAfter(content, []byte("\n")) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				tb.Fatalf("%s: %v: %.200q", file, err, line)
			}
			if e.Type == "-schema" {
				continue // the lines that give every column its type
			}
			e.file = file
			events = append(events, e)
		}
	}
	return events
}

// checkLog holds the log of one exchange, one without old data, against what docs/storage.md
// promises of it: whole lines of exactly eight fields, numbers without a gap, time that never goes
// back, ids used once.
func checkLog(tb testing.TB, data, exchange string) []event {
	tb.Helper()
	var last time.Time
	ids := map[string]bool{}
	var events []event
	for _, e := range storedEvents(tb, data) {
		if e.Exchange != exchange {
			continue
		}
		if want := int64(len(events)); e.Seq == nil || *e.Seq != want {
			tb.Fatalf("%s: event %s has seq %s, want %d", e.file, e.ID, number(e.Seq), want)
		}
		ts, err := time.Parse("2006-01-02T15:04:05.000Z", e.TS)
		if err != nil || ts.Before(last) {
			tb.Fatalf("%s: event %d has time %q after %v", e.file, *e.Seq, e.TS, last)
		}
		if ids[e.ID] {
			tb.Fatalf("%s: event id %s stands twice", e.file, e.ID)
		}
		last, ids[e.ID] = ts, true
		events = append(events, e)
	}
	for _, file := range eventFiles(tb, data) {
		checkLines(tb, file)
	}
	return events
}

// checkLines fails the test where a file is not made of whole lines with the eight fields.
func checkLines(tb testing.TB, file string) {
	tb.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		tb.Fatalf("reading the log: %v", err)
	}
	if !bytes.HasSuffix(content, []byte("\n")) {
		tb.Fatalf("%s does not end with a line feed", file)
	}
	for line := range bytes.Lines(content) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		want := "actor_id event_id event_type exchange_id payload seq thread_ref ts"
		if got := keys(fields); got != want {
			tb.Fatalf("%s: fields of an event: got %s, want %s", file, got, want)
		}
	}
}

// checkPasses runs the program's own check of a folder that no server has open.
func checkPasses(tb testing.TB, settings []string) {
	tb.Helper()
	if o := run(tb, time.Minute, settings, "check"); o.code != 0 {
		tb.Fatalf("mess-exchange check: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// keys returns the names of a JSON object, sorted.
func keys[V any](m map[string]V) string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func number(n *int64) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}

// wantNowhere fails the test where a text stands in a file of a folder or in a file's name.
func wantNowhere(tb testing.TB, data fs.FS, text string) {
	tb.Helper()
	err := fs.WalkDir(data, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.Contains(path, text) {
			tb.Errorf("there is a file called %s", path)
		}
		if d.IsDir() {
			return nil
		}
		content, err := fs.ReadFile(data, path)
		if bytes.Contains(content, []byte(text)) {
			tb.Errorf("%s holds %q", path, text)
		}
		return err
	})
	if err != nil {
		tb.Fatalf("reading the folder: %v", err)
	}
}
