//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// errand is work that the program does behind its answers, and in whose middle it may be killed.
type errand struct {
	name string
	// begin starts the process that does the work on a place, which ends by itself when it is done.
	begin func(t *testing.T, place storage) *server
	// works tells whether a change of a file, with its path in the folder, is a step of the work.
	works func(path string) bool
	// stage says how far the work has come in a folder, "" where it has not begun or is done.
	stage func(t *testing.T, h *history, data string) string
	// done fails the test where the work is not done in a folder.
	done func(t *testing.T, h *history, data string)
}

var (
	compaction = errand{name: "compaction", begin: beginCompaction, works: worksOnCompaction, stage: compactionStage, done: compactionDone}
	snapshots  = errand{name: "snapshot", begin: beginSnapshot, works: worksOnSnapshot, stage: snapshotStage, done: snapshotDone}
)

var errandRounds = flag.Int("errands.rounds", 8, "how often TestKillErrands kills the program in the middle of each errand")

// TestKillErrands: the program is killed in the middle of each errand, at moments spread over all its steps; on a
// bucket, where a merge takes many requests and a snapshot one, a quarter as often and in a merge. After each
// the check passes and a server serves what it did before; and when the errand was done again, DuckDB's query
// gives each event once.
func TestKillErrands(t *testing.T) {
	t.Parallel()
	t.Run("filesystem", func(t *testing.T) {
		h := newHistory(t, 6, 14, 3)
		for _, e := range []errand{compaction, snapshots} {
			t.Run(e.name, func(t *testing.T) { e.killOften(t, h, *errandRounds, func() storage { return folder(t) }) })
		}
	})
	t.Run("s3", func(t *testing.T) {
		h, store := newHistory(t, 2, 14, 0), s3test.Start(t)
		compaction.killOften(t, h, max(2, *errandRounds/4), func() storage { return bucketOf(t, store) })
	})
}

// killOften has the errand done once without a disturbance, to learn its steps, and then begun and killed
// in each round, each time on a fresh copy of the history and a bit later. A kill that comes too late, which
// the machine decides, is no round.
func (e errand) killOften(t *testing.T, h *history, rounds int, fresh func() storage) {
	place := fresh()
	h.copyTo(t, place)
	steps := e.killAt(t, place, 0)
	e.done(t, h, place.data)
	h.verify(t, place)

	hits, hit, kills := map[string]int{}, 0, 0
	for ; hit < rounds && kills < 3*rounds; kills++ {
		place := fresh()
		h.copyTo(t, place)
		e.killAt(t, place, 1+int64(hit)*(steps-1)/int64(rounds))
		stage := e.stage(t, h, place.data)
		checkPasses(t, place.settings)
		if stage == "" {
			continue
		}
		hits[stage]++
		if hit++; hit%4 == 0 {
			if said := h.serve(t, place, func(agent client) { agent.create(t, intent("after the kill")) }); said != h.said {
				t.Errorf("a server after the kill says\n%s\nwant\n%s", said, h.said)
			}
		}
		e.killAt(t, place, 0)
		e.done(t, h, place.data)
		h.verify(t, place)
		if t.Failed() {
			t.Fatalf("in round %d of %d, killed %s", hit, rounds, stage)
		}
	}
	t.Logf("of %d kills at %d steps, %d hit it in the middle: %v", kills, steps, hit, hits)
	if hit < rounds*3/4 {
		t.Errorf("only %d of %d kills hit it in the middle", hit, kills)
	}
}

// killAt does the errand and kills the process at one of its steps; 0 lets it finish. It returns the number of
// steps that were seen.
func (e errand) killAt(t *testing.T, place storage, step int64) (steps int64) {
	t.Helper()
	var seen atomic.Int64
	now := make(chan struct{})
	stop := watch(t, place.data, func(path string) {
		if e.works(path) && seen.Add(1) == step {
			close(now)
		}
	})
	s := e.begin(t, place)
	select {
	case <-now:
		s.kill()
	case <-s.exited:
	case <-time.After(time.Minute):
		s.kill()
		t.Fatalf("%s did not end within a minute:\n%s", e.name, s.log.tail(20))
	}
	stop()
	if step == 0 && !s.state.Success() {
		t.Fatalf("%s ended with %v:\n%s", e.name, s.state, s.log.tail(20))
	}
	return seen.Load()
}

// verify holds a place in which an errand is done to the history: the check passes, what the original server
// wrote is untouched, and DuckDB gives each event of a thread once.
func (h *history) verify(t *testing.T, place storage) {
	t.Helper()
	checkPasses(t, place.settings)
	for path, want := range h.old {
		if got, err := os.ReadFile(filepath.Join(place.data, path)); err != nil || string(got) != want {
			t.Errorf("%s, of the original server: %v, %q became %q", path, err, want, got)
		}
	}
	_, rows := query(t, place.data, contractQuery)
	found := map[string]int{}
	for _, r := range rows {
		found[orNull(r["event_id"])]++
	}
	for _, id := range h.events {
		if found[id] == 0 {
			t.Errorf("event %s is lost", id)
		}
	}
	for id, n := range found {
		if n > 1 {
			t.Errorf("event %s is there %d times", id, n)
		}
	}
}

// beginCompaction merges days from outside.
func beginCompaction(t *testing.T, place storage) *server {
	t.Helper()
	s, err := spawn(place.settings, nil, "compact")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// worksOnCompaction: a step is a day being written beside its place, the day's first object overwritten with it,
// or another object of it deleted.
func worksOnCompaction(path string) bool {
	_, commit := commitOf(path)
	return commit || unfinished.MatchString(path)
}

// unfinished are the files that a directory's server has not given their names yet.
var unfinished = regexp.MustCompile(`^\.tmp/\d`)

// compactionStage looks which days are one object, and of which the first object holds the day beside others.
func compactionStage(t *testing.T, h *history, data string) string {
	t.Helper()
	merged := 0
	for _, day := range h.closed {
		files := commitsOf(t, data, day)
		content, err := os.ReadFile(files[0])
		switch {
		case err != nil:
			t.Fatal(err)
		case len(files) == 1:
			merged++
		case strings.Contains(string(content), `"event_type":"day_closed"`):
			return "while the rest of a day is deleted"
		}
	}
	if left, err := filepath.Glob(filepath.Join(data, ".tmp", "*")); err != nil || len(left) > 0 {
		return "while a day is written"
	}
	if merged > 0 && merged < len(h.closed) {
		return "between two days"
	}
	return ""
}

// compactionDone: each closed day is one object.
func compactionDone(t *testing.T, h *history, data string) {
	t.Helper()
	for _, day := range h.closed {
		if files := commitsOf(t, data, day); len(files) != 1 {
			t.Errorf("%s is %d objects, want 1: %v", day, len(files), files)
		}
	}
}

// beginSnapshot tells a server to end, which it does after writing a snapshot of what is in none.
func beginSnapshot(t *testing.T, place storage) *server {
	t.Helper()
	s := start(t, place.settings...)
	at(s, "home").as(oldAgent).threads(t, "") // it knows what there is to write down
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return s
}

// worksOnSnapshot: a step is a snapshot being written beside its place, put there, or an older one deleted.
func worksOnSnapshot(path string) bool {
	return strings.HasPrefix(path, "snapshots/exchange=") || unfinished.MatchString(path)
}

// snapshotStage looks whether there is an unfinished one, or one more than is kept.
func snapshotStage(t *testing.T, h *history, data string) string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(data, ".tmp", "*"))
	switch {
	case err != nil:
		t.Fatal(err)
	case len(left) > 0:
		return "while a snapshot is written"
	case len(snapshotsIn(t, data)) > 2:
		return "before an older snapshot is deleted"
	}
	return ""
}

// snapshotDone: the newest snapshot holds the last event, and at most one more is left of a kill.
func snapshotDone(t *testing.T, h *history, data string) {
	t.Helper()
	files, last := snapshotsIn(t, data), int64(0)
	for _, e := range storedEvents(t, data) {
		if e.Exchange == "home" && e.Seq != nil {
			last = max(last, *e.Seq)
		}
	}
	var newest int64
	if len(files) > 0 {
		if _, err := fmt.Sscanf(filepath.Base(files[len(files)-1]), "%d-", &newest); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 2 || len(files) > 3 || last-newest > 16 { // which a server need not write down
		t.Errorf("snapshots: got %v, the log ends at %d", files, last)
	}
}

// snapshotsIn lists the snapshots of home, the oldest first.
func snapshotsIn(t *testing.T, data string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "snapshots", "exchange=home", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
