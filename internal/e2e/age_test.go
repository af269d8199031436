//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// history is a folder with a log that has grown for some days, old data before it. All its days but the last
// ones are closed so long ago that they are due to be merged, and there may be snapshots. No server has it open.
type history struct {
	data   string
	closed []string          // its days that are to be merged, as in their paths: "2026/11/20"
	events []string          // ids of all events about threads of home, those of the original server included
	old    map[string]string // the files of the original server's events, by their paths in the folder
	said   string            // what a server on the folder answers
}

// newHistory has a server write so many commits on each of so many days, which is to make the folder a day
// older after each, and one more day. The last one of the snapshots, if there are to be any, is only due.
func newHistory(t *testing.T, days, commits, snapshots int) *history {
	t.Helper()
	place, _ := oldData(t, true)
	h := &history{data: place.data, old: map[string]string{}}
	for path, content := range contents(t, place.data) {
		if strings.HasSuffix(path, ".jsonl") {
			h.old[strings.TrimPrefix(path, place.data)] = content
		}
	}
	for day := range days + 1 {
		s := start(t, place.settings...)
		agent, phone := at(s, "home").as(oldAgent), at(s, "home").as(oldPhone)
		at(s, "home").register(t, fmt.Sprintf("robot-%d", day))
		for i := 1; i < commits; i += 2 {
			ref := agent.create(t, intent(fmt.Sprintf("request %d of day %d", i, day)))
			phone.want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"status": "completed", "mess": [{"response": {"content": ["done"]}}]}`)
		}
		s.terminate(t)
		age(t, place.data, 1)
	}
	age(t, place.data, 2) // by now the last day that was closed is over for more than 24 hours
	own := ownDays(t, place.data)
	if h.closed = own[:len(own)-1]; len(h.closed) < days {
		t.Fatalf("closed days: got %v, want %d", h.closed, days)
	}
	for i := range snapshots {
		s := start(t, place.settings...)
		h.snapshotDue(t, s)
		if i < snapshots-1 {
			s.terminate(t) // which writes it
		} else {
			nobodyToTell(t, s) // or whoever begins there would write of that, in the middle of what a test has it do
			s.kill()
		}
	}
	for _, e := range storedEvents(t, place.data) {
		if e.Exchange == "home" && e.Thread != nil {
			h.events = append(h.events, e.ID)
		}
	}
	duplicate := folder(t)
	h.copyTo(t, duplicate)
	h.said = h.serve(t, duplicate, func(client) {})
	return h
}

// snapshotDue has a server write so many events that it writes a snapshot when it ends in good order, and no more
// objects than need be.
func (h *history) snapshotDue(t *testing.T, s *server) {
	const writers, each = 13, 7
	agent, phone := at(s, "home").as(oldAgent), at(s, "home").as(oldPhone)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each { // of two events and three
				a, err := agent.try("POST", "/requests", intent("one of many"))
				if err == nil {
					a, err = phone.try("PATCH", "/requests/"+a.text("ref"), `{"status": "completed", "mess": [{"response": {"content": []}}]}`)
				}
				if err != nil || a.status != http.StatusOK {
					t.Errorf("one of many: %v, %v", a, err)
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// nobodyToTell waits until a server has told everybody of everything.
func nobodyToTell(t *testing.T, s *server) {
	t.Helper()
	public := client{base: s.url, http: http.DefaultClient}
	waitUntil(t, "nobody to be told of anything", func() (bool, string) {
		open := regexp.MustCompile(`(?m)^mess_outbox_events .*$`).FindString(string(public.want(t, http.StatusOK, "GET", "/metrics", nil).body))
		return open == "mess_outbox_events 0", open
	})
}

// serve starts a server on a copy of the history, lets a client use it, ends it, and returns what it had
// answered about every thread and executor before.
func (h *history) serve(t *testing.T, place storage, use func(agent client)) string {
	t.Helper()
	s := start(t, place.settings...)
	agent := at(s, "home").as(oldAgent)
	var all strings.Builder
	for _, path := range []string{"/requests", "/requests?status=pending", "/executors"} {
		all.WriteString(lastSeen.ReplaceAllString(compact(t, agent.want(t, http.StatusOK, "GET", path, nil).body), "") + "\n")
	}
	for _, thread := range agent.threads(t, "") {
		all.WriteString(compact(t, agent.want(t, http.StatusOK, "GET", "/requests/"+thread.Ref, nil).body) + "\n")
	}
	use(agent)
	if code := s.terminate(t); code != 0 {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	return all.String()
}

// copyTo copies the history to another place, the ages of its objects included.
func (h *history) copyTo(t *testing.T, place storage) {
	t.Helper()
	err := filepath.WalkDir(h.data, func(path string, d fs.DirEntry, err error) error {
		key := filepath.ToSlash(strings.TrimPrefix(path, h.data+string(filepath.Separator)))
		switch {
		case err != nil || path == h.data:
			return err
		case d.IsDir() && strings.HasPrefix(key, "."): // of unfinished files
			return fs.SkipDir
		case d.IsDir() || strings.HasPrefix(key, "."): // the lock
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		place.put(t, key, content)
		return os.Chtimes(filepath.Join(place.data, filepath.FromSlash(key)), info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatalf("copying the history: %v", err)
	}
}

// ownDays lists the days in which a server has written commits, the original server's left out.
func ownDays(t *testing.T, data string) []string {
	t.Helper()
	days := map[string]struct{}{}
	for _, file := range eventFiles(t, data) {
		if day, ok := commitOf(file); ok && day != "1970/01/01" {
			days[day] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(days))
}

var commitName = regexp.MustCompile(`(\d{4}/\d{2}/\d{2})/[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.jsonl$`)

// commitOf returns the day of a commit's file; false for any other file.
func commitOf(file string) (day string, ok bool) {
	found := commitName.FindStringSubmatch(file)
	if found == nil {
		return "", false
	}
	return found[1], true
}

// commitsOf lists the commits of home on a day.
func commitsOf(t *testing.T, data, day string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "events", "exchange=home", filepath.FromSlash(day), "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { _, commit := commitOf(file); return !commit })
	if len(files) == 0 {
		t.Fatalf("no commits of %s", day)
	}
	return files
}

var date = regexp.MustCompile(`\b(\d{4})([-/])(\d{2})[-/](\d{2})\b`)

// age makes all that servers have written to a folder so many days older, as if it had lain there for that
// long: the folders of the days, the dates in the texts, and the files' own times. Snapshots name days as
// well, and are deleted, as they may be at any time. What the original server wrote stays as it is.
func age(t *testing.T, data string, days int) {
	t.Helper()
	own := ownDays(t, data)
	older := func(text string) string {
		return date.ReplaceAllStringFunc(text, func(found string) string {
			layout := "2006" + found[4:5] + "01" + found[4:5] + "02"
			then, err := time.Parse(layout, found)
			if err != nil || !slices.Contains(own, then.Format("2006/01/02")) {
				return found
			}
			return then.AddDate(0, 0, -days).Format(layout)
		})
	}
	for _, file := range append(eventFiles(t, data), profileFiles(t, data)...) { // older days first, which makes room for later ones
		_, commit := commitOf(file)
		if !commit && strings.HasSuffix(file, ".jsonl") {
			continue
		}
		ageFile(t, file, older, days)
	}
	if err := os.RemoveAll(filepath.Join(data, "snapshots")); err != nil {
		t.Fatal(err)
	}
}

func ageFile(t *testing.T, file string, older func(string) string, days int) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	aged := older(string(content))
	if commit, _ := commitOf(file); commit == "" && aged == string(content) {
		return // a profile of the original server
	}
	if err := os.WriteFile(file, []byte(aged), 0o644); err != nil {
		t.Fatal(err)
	}
	then := info.ModTime().AddDate(0, 0, -days)
	if err := os.Chtimes(file, then, then); err != nil {
		t.Fatal(err)
	}
	to := older(file)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, to); err != nil {
		t.Fatal(err)
	}
}

// profileFiles lists the profiles of a data folder.
func profileFiles(t *testing.T, data string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "executors", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
