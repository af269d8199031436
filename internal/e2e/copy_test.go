//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// TestCopyUnderLoad: a copy made while clients write, from a folder to a bucket and from a bucket to a folder, is a
// log that a server runs on, without a gap, and nothing that was answered before the copy began is missing.
func TestCopyUnderLoad(t *testing.T) {
	t.Parallel()
	store := s3test.Start(t)
	for name, places := range map[string][2]storage{
		"folder to bucket": {folder(t), bucketOf(t, store)},
		"bucket to folder": {bucketOf(t, store), folder(t)},
		"folder to folder": {folder(t), folder(t)},
	} {
		t.Run(name, func(t *testing.T) { copyUnderLoad(t, places[0], places[1]) })
	}
}

func copyUnderLoad(t *testing.T, from, to storage) {
	s := start(t, from.settings...)
	agent := at(s, "home").register(t, "agent")
	photo := `{"intent": "Look at this", "context": ["data:image/png;base64,` + strings.Repeat("iVBORw0K", 4<<10) + `"]}`
	withPhoto := agent.create(t, photo)

	var (
		mu       sync.Mutex
		answered []string
		clients  sync.WaitGroup
	)
	end := make(chan struct{})
	enough := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				ref := agent.create(t, intent("Count"))
				mu.Lock()
				if answered = append(answered, ref); len(answered) == 200 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	for range 2 { // the second goes on with the first
		mu.Lock()
		before := len(answered)
		mu.Unlock()
		o := run(t, time.Minute, append(from.settings, copyTo(to)...), "copy")
		if o.code != 0 {
			t.Fatalf("copy: %s%s", o.stdout, o.stderr)
		}
		checkPasses(t, to.settings)
		wantRefs(t, to, answered[:before])
	}
	close(end)
	clients.Wait()

	moved := start(t, to.settings...)
	got := at(moved, "home").as(agent.key).thread(t, withPhoto)
	if want := agent.thread(t, withPhoto); string(got.Messages[0].Mess) != string(want.Messages[0].Mess) {
		t.Errorf("the photo: got %.200s, want %.200s", got.Messages[0].Mess, want.Messages[0].Mess)
	}
	at(moved, "home").as(agent.key).create(t, intent("Written to the copy"))
	moved.terminate(t)
	if o := run(t, time.Minute, append(from.settings, copyTo(to)...), "copy"); o.code != 1 || !strings.Contains(o.stderr, "another log") {
		t.Errorf("a copy onto one that went on by itself: code %d, %s", o.code, o.stderr)
	}
	if o := run(t, time.Minute, append(from.settings, copyTo(from)...), "copy"); o.code != 1 || !strings.Contains(o.stderr, "can't be where the data is") {
		t.Errorf("a copy onto itself: code %d, %s", o.code, o.stderr)
	}
}

// copyTo are the settings of a storage as the target of a copy.
func copyTo(place storage) (settings []string) {
	for _, s := range place.settings {
		settings = append(settings, "TO_"+s)
	}
	return settings
}

// wantRefs looks for threads in the log of a storage that no server has open.
func wantRefs(t *testing.T, place storage, refs []string) {
	t.Helper()
	events := storedEvents(t, place.data)
	there := map[string]bool{}
	for _, e := range events {
		if e.Thread != nil {
			there[*e.Thread] = true
		}
	}
	for _, ref := range refs {
		if !there[ref] {
			t.Errorf("%s was answered before the copy began and is not in it", ref)
			return
		}
	}
}

// TestCopyOldData: data of the original server is copied as it is, before a server has run on it.
func TestCopyOldData(t *testing.T) {
	from, _ := oldData(t, false)
	to := folder(t)
	if o := run(t, time.Minute, append(from.settings, copyTo(to)...), "copy"); o.code != 0 {
		t.Fatalf("copy: %s%s", o.stdout, o.stderr)
	}
	before, after := contents(t, from.data), contents(t, to.data)
	for path, content := range before {
		if strings.HasSuffix(path, ".jsonl") && after[strings.Replace(path, from.data, to.data, 1)] != content {
			t.Errorf("%s was not copied", strings.TrimPrefix(path, from.data))
		}
	}
	s := start(t, to.settings...)
	if got := at(s, "home").as(oldAgent).thread(t, "2026-02-01-XY1Z"); got.Status != "completed" {
		t.Errorf("got %+v", got)
	}
	at(s, "home").as(oldPhone).want(t, http.StatusOK, "GET", "/executors", nil)
}
