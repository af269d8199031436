package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// The keys of testdata/original, as its README lists them.
const (
	agentKey  = "mess_home_9f2c4b7a1d3e5f60718293a4b5c6d7e8"
	phoneKey  = "mess_home_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	tabletKey = "mess_home_V1StGXR8-Z5jdHi6B-myT"
	boxKey    = "mess_home_77aa77aa77aa77aa77aa77aa77aa77aa"
	robotKey  = "mess_my home_lab_c0ffee00c0ffee00c0ffee00c0ffee00"
	lampKey   = "mess_attic_11112222333344445555666677778888"
	copyKey   = "mess_home_an0therkey" // of copied profiles, never valid
	olderKey  = "mess_home_0lderkey"
)

// site is a place where the original server has left its data.
type site struct {
	open    func() Store
	objects func() map[string][]byte
}

// originalIn is that data in memory.
func originalIn(t *testing.T, bucket *faultblob.Bucket) site {
	files := readTree(t, filepath.Join("testdata", "original"))
	for key, data := range files {
		bucket.Put(key, data)
	}
	return site{
		open: func() Store { return bucket.Store(false) },
		objects: func() map[string][]byte {
			all := map[string][]byte{}
			for _, key := range bucket.Keys("") {
				all[key], _ = bucket.Get(key)
			}
			return all
		},
	}
}

// originalOnDisk is that data in a directory.
func originalOnDisk(t *testing.T) site {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "original"))); err != nil {
		t.Fatal(err)
	}
	var before *bucket.Store
	return site{
		open: func() Store {
			if before != nil {
				before.Close()
			}
			store, err := bucket.Open(t.Context(), bucket.Config{Type: "filesystem", Path: dir})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			before = store
			return store
		},
		objects: func() map[string][]byte { return readTree(t, dir) },
	}
}

// readTree reads the files in the folders of a directory.
func readTree(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if key, _ := filepath.Rel(root, path); strings.Contains(key, "/") {
			files[key] = data
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What is in testdata/original, as this server shows it. Two events of one call share a ts and come in
// their order; strange values are shown as their JSON; strange lines are not there.
const originalHome = `2026-02-02-NUM1 pending by : 42, asap of claude-agent, 02-02T08:00:00.000 to 02-03T07:07:00.000
  02-02T08:00:00.000 claude-agent [{"request":{"intent":42,"priority":"asap"}}]
2026-02-03-LOST pending by : , normal of , 02-03T00:00:00.000 to 02-03T07:00:00.000
  02-03T00:00:00.000 my-phone [{"ack":{}}]
  02-03T07:00:00.000 claude-agent [{"request":{"intent":"Water the plants"}}]
2026-02-02-OPEN in_progress by claude-agent: Feed the cat, urgent of my-phone, 02-02T09:00:00.000 to 02-02T09:20:00.000
  02-02T09:00:00.000 my-phone [{"request":{"intent":"Feed the cat","priority":"urgent"}}]
2026-02-02-OBJ1 napping by : {"what":"water","amount":2.5}, normal of claude-agent, 02-02T08:10:00.000 to 02-02T08:11:00.000
  02-02T08:10:00.000 claude-agent [{"request":{"intent":{"what":"water","amount":2.5}}}]
2026-02-01-003-check-fridge pending by : Check the fridge, background of claude-agent, 02-01T23:30:00.000 to 02-01T23:32:00.000
  02-01T23:30:00.000 claude-agent [{"request":{"intent":"Check the fridge"}}]
  02-01T23:31:00.000 my-phone ["it hums"]
  02-01T23:32:00.000 my-phone []
2026-02-01-XY1Z completed by my-phone: Check if the garage door is closed, normal of claude-agent, 02-01T22:00:00.000 to 02-01T22:05:00.000
  02-01T22:00:00.000 claude-agent [{"request":{"intent":"Check if the garage door is closed","context":["Getting ready for bed"],"priority":"normal","response_hint":["image"]}}]
  02-01T22:05:00.000 my-phone [{"status":{"re":"2026-02-01-XY1Z","code":"completed"}},{"response":{"content":["Garage is closed"]}}]
claude-agent "Claude" [] since 02-01T20:00:00.000
my-phone "Teague Phone" ["photo:capture" "location:indoor"] since 02-01T20:00:05.120
ghost "Ghost" [] since 02-01T20:00:06.000
torn "Torn" ["x"] since 02-01T20:00:07.000
gone "Gone" [] since 02-01T20:00:08.000
box "box" [] since 03-01T12:00:00.000
old-tablet "Old Tablet" ["screen"] since 01-15T10:00:00.000
`

// takeOver runs f in a bubble whose clock shows a day after the fixture's last event.
func takeOver(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
		f(t)
	})
}

// Ensure that this server shows what the original left behind, lets in everyone whose key it holds and
// nobody else, goes on the same way after a restart and with new writes on top, and rewrites nothing.
func TestOriginalData(t *testing.T) {
	for name, make := range map[string]func(*testing.T) site{
		"memory":     func(t *testing.T) site { return originalIn(t, faultblob.New()) },
		"filesystem": originalOnDisk,
	} {
		t.Run(name, func(t *testing.T) {
			takeOver(t, func(t *testing.T) { testOriginalData(t, make(t)) })
		})
	}
}

func testOriginalData(t *testing.T, s site) {
	files := s.objects()
	for range 2 { // the second start finds a genesis
		e := launch(t, s.open())
		for _, key := range []string{phoneKey, tabletKey, boxKey, agentKey} {
			if got := describe(t, e, letIn(t, e, "home", key)); got != originalHome {
				t.Fatalf("got\n%swant\n%s", got, originalHome)
			}
		}
		for _, key := range []string{copyKey, olderKey, agentKey + "0", "mess_home_00112233445566778899aabbccddeeff"} {
			_, err := e.Authenticate(t.Context(), "home", key)
			wantCode(t, err, exchange.CodeUnauthorized)
		}
		robot := letIn(t, e, "my home_lab", robotKey)
		if thread, err := e.Thread(t.Context(), robot, "2026-02-02-R0B0"); err != nil || thread.Intent != "Charge me" {
			t.Fatal(thread, err)
		}
		if c := letIn(t, e, "attic", lampKey); c.Executor != "lamp" {
			t.Fatal(c)
		}
		shut(t, e)
	}
	added := checkNothingRewritten(t, files, s.objects())
	for _, key := range added {
		if !strings.Contains(key, "/1970/01/01/") {
			t.Errorf("%s is neither genesis nor the schema object", key)
		}
	}
	if len(added) != 4 {
		t.Errorf("added: %q", added)
	}

	e := launch(t, s.open())
	phone, robot := letIn(t, e, "home", phoneKey), letIn(t, e, "my home_lab", robotKey)
	if err := e.Update(t.Context(), phone, &exchange.Update{Ref: "2026-02-02-NUM1", Status: "claimed"}); err != nil {
		t.Fatal(err)
	}
	post(t, e, robot, "again")
	enroll(t, e, "home", "new-phone")
	enroll(t, e, "my home_lab", "new-robot")
	_, err := e.Register(t.Context(), "home", Registration{ExecutorID: "gone"})
	wantCode(t, err, exchange.CodeAlreadyRegistered)
	want := describe(t, e, phone)
	if !strings.HasPrefix(want, "2026-02-02-NUM1 claimed by my-phone: 42, asap") || !strings.Contains(want, "new-phone") {
		t.Fatal(want)
	}
	shut(t, e)
	e = launch(t, s.open())
	if got := describe(t, e, letIn(t, e, "home", phoneKey)); got != want {
		t.Fatalf("after a restart\n%swant\n%s", got, want)
	}
	checkNothingRewritten(t, files, s.objects())
}

// checkNothingRewritten fails where an object of before is not the same now. It returns what was added.
func checkNothingRewritten(t *testing.T, before, now map[string][]byte) (added []string) {
	t.Helper()
	for key, data := range before {
		if !bytes.Equal(now[key], data) {
			t.Errorf("%s was %q and is %q", key, data, now[key])
		}
	}
	for key := range now {
		if _, old := before[key]; !old {
			added = append(added, key)
		}
	}
	return added
}

// Ensure that an edit of an old profile keeps what the original wrote there, and that the dates of old
// files count until there is something later.
func TestOriginalProfiles(t *testing.T) {
	takeOver(t, func(t *testing.T) {
		bucket := faultblob.New()
		originalIn(t, bucket)
		e := launch(t, bucket.Store(true))
		c := letIn(t, e, "home", phoneKey)
		all, err := e.Executors(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"claude-agent": "02-03T08:00:00.000", // its file; its last event is older
			"my-phone":     "03-01T12:00:00.000", // this request
			"ghost":        "02-01T20:00:06.000", // its registration
			"old-tablet":   "01-20T11:00:00.000", // its file; it has no event
			"box":          "03-01T12:00:00.000", // its adoption; its file says nothing
		}
		for _, x := range all {
			if w, ok := want[x.ID]; ok && clock(x.LastSeen) != w {
				t.Errorf("%s was last seen at %s, want %s", x.ID, clock(x.LastSeen), w)
			}
		}
		name := "Phone"
		if err := e.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{DisplayName: &name, Settings: settings(`{"preferences":null}`)}); err != nil {
			t.Fatal(err)
		}
		m := members(t, bucket, phoneProfile)
		if m["display_name"] != `"Phone"` || m["created_at"] != `"2026-02-01T20:00:05.120Z"` || m["preferences"] != "" || !strings.Contains(m["notifications"], "mess-home") {
			t.Fatal(m)
		}
	})
}

// Ensure that each odd profile is named in the log once, at the adoption.
func TestOriginalOdditiesAreLogged(t *testing.T) {
	takeOver(t, func(t *testing.T) {
		bucket := faultblob.New()
		originalIn(t, bucket)
		for start, want := range []int{1, 0} {
			log := &logBuffer{}
			e := launchWith(t, bucket.Store(false), Options{Logger: log.logger()})
			letIn(t, e, "home", phoneKey)
			for _, oddity := range []string{
				"home/torn.json", "home/ghost.json", "home/my-phone copy.json", "adopted by its file name\" exchange=home file=\"executors/exchange=home/box.json", "exchange=home/index.txt",
			} {
				if got := countLines(log.String(), oddity); got < want || want == 0 && got > 0 {
					t.Errorf("start %d: %d lines about %s in\n%s", start, got, oddity, log)
				}
			}
			shut(t, e)
		}
	})
}

// Ensure that an adoption which can't read every profile does not happen: what genesis says is said for
// good.
func TestAdoptionReadsAllOrNothing(t *testing.T) {
	takeOver(t, func(t *testing.T) {
		bucket := faultblob.New()
		files := originalIn(t, bucket).objects()
		e := launch(t, failing{bucket.Store(false), phoneProfile})
		_, err := e.Authenticate(t.Context(), "home", agentKey)
		wantCode(t, err, exchange.CodeUnavailable)
		for _, key := range bucket.Keys("events/exchange=home/") {
			if _, old := files[key]; !old {
				t.Fatal("written:", key)
			}
		}
	})
}

// Ensure what is taken from profiles of any shape.
func TestParseOriginal(t *testing.T) {
	for _, c := range []struct {
		data, id, adopted string
		oddities          int
	}{
		{`{"id":"a","display_name":"A","capabilities":["x"],"api_key_hash":"h"}`, "a", `{"display_name":"A","capabilities":["x"],"api_key_hash":"h"}`, 0},
		{`{"id":"b","api_key_hash":"h","capabilities":[]}`, "b", `{"capabilities":[],"api_key_hash":"h"}`, 0},
		{`{"id":"a","capabilities":"x","api_key_hash":"h"}`, "a", `{"api_key_hash":"h"}`, 0},
		{`{"id":"","api_key_hash":""}`, "file", `{}`, 2},
		{`{"id":7,"display_name":{},"capabilities":[1,"x",null],"api_key_hash":[]}`, "file", `{"capabilities":["x"]}`, 4},
		{`{}`, "file", `{}`, 2},
		{``, "file", `{}`, 1},
		{`null`, "file", `{}`, 1},
		{`[]`, "file", `{}`, 1},
		{`{"id":"a"`, "file", `{}`, 1},
		{"\xff\xfe{}", "file", `{}`, 1},
	} {
		p := parseOriginal("file", []byte(c.data))
		if got, err := json.Marshal(p.adopted); err != nil || p.id != c.id || string(got) != c.adopted || len(p.oddities) != c.oddities {
			t.Errorf("%s: got %s %s %q", c.data, p.id, got, p.oddities)
		}
	}
}

// failing is a store that does not give one object away.
type failing struct {
	*faultblob.Store
	key string
}

func (f failing) Load(ctx context.Context, key string) ([]byte, string, error) {
	if key == f.key {
		return nil, "", errors.New("the connection was cut")
	}
	return f.Store.Load(ctx, key)
}
