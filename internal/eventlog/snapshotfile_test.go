package eventlog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// resealed changes a snapshot and gives it a sum that is right again.
func resealed(edit func(data []byte) []byte) func([]byte) []byte {
	return func(data []byte) []byte {
		data = edit(bytes.Clone(data[:len(data)-sha256.Size]))
		sum := sha256.Sum256(data)
		return append(data, sum[:]...)
	}
}

func replaced(old, new string) func([]byte) []byte {
	return resealed(func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) })
}

var badSnapshots = []struct {
	name string
	edit func(data []byte) []byte
	why  string
}{
	{"empty", func([]byte) []byte { return nil }, "its checksum does not fit"},
	{"cut", func(d []byte) []byte { return d[:len(d)-1] }, "its checksum does not fit"},
	{"cut to its sum", func(d []byte) []byte { return d[len(d)-sha256.Size:] }, "its checksum does not fit"},
	{"longer", func(d []byte) []byte { return append(bytes.Clone(d), 0) }, "its checksum does not fit"},
	{"no line", func([]byte) []byte { s := sha256.Sum256(nil); return s[:] }, "its first line is too long"},
	{"a huge line", resealed(func(d []byte) []byte { return append(bytes.Repeat([]byte(" "), maxSnapshotHeader), d...) }), "its first line is too long"},
	{"no JSON", resealed(func(d []byte) []byte { return append([]byte("x"), d...) }), "invalid character"},
	{"of the future", replaced(`"snapshot":2`, `"snapshot":3`), "its format is 3"},
	{"of another version", replaced(`"desk 1"`, `"desk 2"`), "its projection is of version"},
	{"of another exchange", replaced(`"exchange":"home"`, `"exchange":"away"`), `it is of exchange \"away\"`},
	{"under another name", replaced(`"seq":3`, `"seq":2`), "its name says"},
	{"a key of another log", replaced(`/exchange=home/`, `/exchange=away/`), "a key is none of this log"},
	{"another event", replaced(`"event_id":"0`, `"event_id":"1`), "the log does not hold its last event"},
	{"a day that begins later", replaced(`"day_first":1`, `"day_first":9`), "no usable snapshot"},
	{"no time", replaced(`"ts":"2`, `"ts":"x`), "its numbers don't fit"},
	{"fewer days", replaced(`"days":1`, `"days":0`), "its days don't fit"},
	{"more days", replaced(`"days":1`, `"days":2`), "no usable snapshot"},
	{"many originals", replaced(`"originals":0`, `"originals":99999999`), "no usable snapshot"},
	{"no body", resealed(func(d []byte) []byte { return d[:bytes.IndexByte(d, '\n')+1] }), "no usable snapshot"},
	{"half a body", resealed(func(d []byte) []byte { return d[:len(d)-20] }), "no usable snapshot"},
	{"a body of another kind", resealed(func(d []byte) []byte { return append(d[:bytes.IndexByte(d, '\n')+1], "gzip?"...) }), "no usable snapshot"},
}

// Rule 19: a snapshot that is damaged, of another exchange, version or time is not used, which is said in one
// line, and does no harm: the one before is, or the whole log is read. Check notes it and finds nothing.
func TestRule19BadSnapshots(t *testing.T) {
	for _, c := range badSnapshots {
		t.Run(c.name, func(t *testing.T) {
			b := faultblob.New()
			r := start(t, b.Store(false))
			r.do(t, say("a"))
			r.do(t, say("b"))
			r.do(t, say("c"))
			must(t, r.Snapshot(t.Context()), nil)
			key := newest(t, b)
			good, _ := b.Get(key)
			bad := c.edit(good)
			if bytes.Equal(bad, good) {
				t.Fatal("nothing was changed")
			}
			b.Put(key, bad)
			read, said := restarted(t, b, r)
			if read != 3 || strings.Count(said, "\n") != 1 || !strings.Contains(said, c.why) {
				t.Errorf("%d events were read, and it said %q, want one line with %q", read, said, c.why)
			}
			report, err := Check(t.Context(), b.Store(false), "home", deskOptions)
			if err != nil || len(report.Findings) > 0 && !strings.Contains(report.Findings[0], "schema") || len(report.Notes) != 1 && c.name != "half a body" {
				t.Errorf("check: %+v, %v", report, err)
			}
			r.do(t, say("d"))
			must(t, r.Snapshot(t.Context()), nil)
			if read, said := restarted(t, b, r); read != 0 || said != "" {
				t.Errorf("a new one is not used: %d events, %s", read, said)
			}
			b.Put(newest(t, b), bad)
			b.Put(key, good)
			if read, said := restarted(t, b, r); read != 1 || strings.Count(said, "\n") != 1 {
				t.Errorf("the one before is not used: %d events, %s", read, said)
			}
		})
	}
}

// Whatever bit of a snapshot is flipped, it is not used.
func TestRule19FlippedBits(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	r.do(t, say("a"))
	must(t, r.Snapshot(t.Context()), nil)
	good, _ := b.Get(newest(t, b))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if _, err := parseSnapshot(bad); !errors.Is(err, errNoSnapshot) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if _, err := parseSnapshot(good); err != nil {
		t.Error(err)
	}
}

// A snapshot that is too large is not written.
func TestSnapshotCap(t *testing.T) {
	b := &cappedBuffer{ctx: t.Context()}
	if _, err := b.Write(make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	if _, err := b.Write(make([]byte, maxSnapshot-sha256.Size-999)); err == nil {
		t.Error("it took more than the cap")
	}
	if b.Len() != 1000 {
		t.Errorf("%d bytes", b.Len())
	}
}

// Whatever stands behind a right sum is read without a panic, and what comes out fits together.
func FuzzSnapshot(f *testing.F) {
	s := snapshot{
		version:   "desk 1",
		head:      head{next: 4, day: "2026/02/02", dayFirst: 4, ts: time.UnixMilli(1e12), key: positionKey("home", "2026/02/01", 2), last: "id", closing: positionKey("home", "2026/02/01", 2)},
		days:      []chapter{{day: "2026/02/01", first: 1, closed: time.UnixMilli(1e12), size: 900}, {day: "2026/02/02", first: 4}},
		marks:     []mark{{2, 300}},
		originals: []string{"events/exchange=home/a.jsonl", ""},
	}
	data, err := s.encode(f.Context(), "home", deskImage{{ID: "id", Seq: 3}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:len(data)-sha256.Size])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := sha256.Sum256(data)
		file, err := parseSnapshot(append(data, sum[:]...))
		if err != nil || file.usable("home", "desk 1") != nil {
			return
		}
		s, image, err := file.open()
		if err != nil {
			return
		}
		defer image.Close()
		if p, ok := parseKey("home", s.head.key); !ok || p.seq > 0 && chapterOf(s.days, p.seq).first > p.seq {
			t.Errorf("%+v", s)
		}
		_ = newDesk().Restore(io.LimitReader(image, 1<<20))
	})
}
