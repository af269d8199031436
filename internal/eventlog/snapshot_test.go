package eventlog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// newest returns the key of the newest snapshot.
func newest(t *testing.T, b *faultblob.Bucket) string {
	t.Helper()
	keys := b.Keys(SnapshotsPrefix("home"))
	if len(keys) == 0 {
		t.Fatal("there is no snapshot")
	}
	return keys[len(keys)-1]
}

// restarted opens the log again, as it stands, and makes sure that it comes to the same state as r. It
// returns how many events were read beside the snapshot, and what the log said about it.
func restarted(t *testing.T, b *faultblob.Bucket, r *replica) (read int64, said string) {
	t.Helper()
	var out bytes.Buffer
	d := newDesk()
	l, err := Open(t.Context(), b.Store(false), "home", d, Options{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(context.Background())
	if diff := difference(d.events, r.desk.events); diff != "" {
		t.Errorf("after a start: %s", diff)
	}
	if l.Head() != r.Head() {
		t.Errorf("the head is %d, want %d", l.Head(), r.Head())
	}
	return l.Unsaved(), out.String()
}

// Rule 19: a start from a snapshot comes to the same state as one that reads the whole log, positions
// included, and goes on from there: on the same day, after the day was closed, and after it was merged.
func TestRule19SnapshotIsReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		b.AllowMerges()
		r := start(t, b.Store(true))
		must(t, r.Snapshot(t.Context()), nil)
		equal(t, "snapshots of an empty log", b.Keys(SnapshotsPrefix("home")), nil)
		total := int64(0)
		for round := range 4 {
			for i := range 3 {
				r.do(t, say(fmt.Sprintf("%d.%d", round, i)))
			}
			total += r.Unsaved()
			must(t, r.Snapshot(t.Context()), nil)
			if r.Unsaved() != 0 || total != r.Head() {
				t.Errorf("%d are unsaved, and %d of %d were", r.Unsaved(), total, r.Head())
			}
			if read, said := restarted(t, b, r); read != 0 || said != "" {
				t.Errorf("%d events were read after a snapshot: %s", read, said)
			}
			r.do(t, say("tail"))
			if read, said := restarted(t, b, r); read != 1 || said != "" {
				t.Errorf("%d events were read after a snapshot, want 1: %s", read, said)
			}
			total++
			must(t, r.Snapshot(t.Context()), nil)
			time.Sleep(24 * time.Hour)
			r.do(t, say("closes"))
			time.Sleep(mergeAfter + time.Second)
			compacted(t, b.Store(true)) // the snapshot's last commit is no object of its own any more
			if read, said := restarted(t, b, r); read != 2 || said != "" {
				t.Errorf("%d events were read after a merge, want 2: %s", read, said)
			}
			checked(t, b)
		}
		again := start(t, b.Store(true))
		again.do(t, say("last"))
		must(t, r.Sync(t.Context()), nil)
		equal(t, "events", actors(r.desk.own()), actors(checked(t, b)))
	})
}

// Rule 19: a start costs the same however long the log is: genesis, the snapshots' listing and the newest, the
// last commit, the free position and the fence. Nothing of the log is listed.
func TestRule19CostOfAStart(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(true))
	for i := range 20 {
		r.do(t, say(fmt.Sprint(i)))
	}
	must(t, r.Snapshot(t.Context()), nil)
	today := r.today()
	s := b.Store(true)
	var ops []string
	s.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		ops = append(ops, string(op.Kind)+" "+op.Key)
		return faultblob.None
	})
	l, err := Open(t.Context(), s, "home", newDesk(), Options{})
	must(t, err, nil)
	defer l.Close(context.Background())
	equal(t, "calls", ops, []string{
		"get " + genesisKey("home"), "list " + SnapshotsPrefix("home"), "get " + newest(t, b),
		"get " + positionKey("home", today, 20), "get " + positionKey("home", today, 21), "get " + positionKey("home", today, 1),
		"settle " + positionKey("home", today, 20),
	})
}

// Behind a snapshot the tail is listed from there on, to be read ahead; and a hole in it is found.
func TestRule19Tail(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(true))
	r.do(t, say("0"))
	must(t, r.Snapshot(t.Context()), nil)
	for i := range 10 {
		r.do(t, say(fmt.Sprint(i)))
	}
	if read, _ := restarted(t, b, r); read != 10 {
		t.Errorf("%d events were read", read)
	}
	b.Remove(positionKey("home", r.today(), 5))
	_, err := Open(t.Context(), b.Store(true), "home", newDesk(), Options{})
	must(t, err, errCorrupt)
}

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
	{"of the future", replaced(`"snapshot":1`, `"snapshot":2`), "its format is 2"},
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

// Rule 19: a log that was restored from an older backup is what it is, whatever the snapshots say. They are
// passed over, not deleted, and the log's own are kept beside them.
func TestRule19OlderLog(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	for i := range 5 {
		r.do(t, say(fmt.Sprint(i)))
	}
	must(t, r.Snapshot(t.Context()), nil)
	ahead := newest(t, b)
	r.stop()
	b.Remove(positionKey("home", r.today(), 5))
	b.Remove(positionKey("home", r.today(), 4))
	old := start(t, b.Store(false))
	equal(t, "events", actors(old.desk.own()), []string{"0", "1", "2"})
	must(t, old.Snapshot(t.Context()), nil)
	equal(t, "newest", []string{newest(t, b)}, []string{ahead})
	read, said := restarted(t, b, old)
	if read != 0 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "restored from a backup") {
		t.Errorf("%d events were read: %s", read, said)
	}
	report, err := Check(t.Context(), b.Store(false), "home", deskOptions)
	if err != nil || len(report.Findings) > 0 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "and the log at 3") {
		t.Errorf("check: %+v, %v", report, err)
	}
	for i := range 2 { // the log comes to the same seq by another way
		old.do(t, say(fmt.Sprint("new", i)))
	}
	if read, said := restarted(t, b, old); read != 2 || strings.Count(said, "\n") != 1 {
		t.Errorf("%d events were read: %s", read, said)
	}
	must(t, old.Snapshot(t.Context()), nil)
	if read, said := restarted(t, b, old); read != 0 || said != "" {
		t.Errorf("%d events were read: %s", read, said)
	}
	checked(t, b)
}

// A snapshot copied from another exchange, and what is no snapshot at all, are passed over.
func TestRule19Strangers(t *testing.T) {
	b := faultblob.New()
	s := b.Store(false)
	must(t, WriteSchema(t.Context(), s), nil)
	away, err := Open(t.Context(), s, "away", newDesk(), Options{Create: true})
	must(t, err, nil)
	defer away.Close(context.Background())
	must(t, away.Submit(t.Context(), say("x")), nil)
	must(t, away.Snapshot(t.Context()), nil)
	data, _ := b.Get(b.Keys(SnapshotsPrefix("away"))[0])
	r := start(t, b.Store(false))
	r.do(t, say("a"))
	b.Put(snapshotKey("home", 1, "desk 1"), data)
	b.Put(SnapshotsPrefix("home")+"notes.txt", nil)
	b.Put(snapshotKey("home", 9, "desk 2"), data)
	if read, said := restarted(t, b, r); read != 1 || strings.Count(said, "\n") != 3 {
		t.Errorf("%d events were read: %s", read, said)
	}
	report, err := Check(t.Context(), b.Store(false), "home", deskOptions)
	if err != nil || len(report.Findings) > 0 || len(report.Notes) != 3 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// Rule 19: whatever befalls a snapshot at any of its calls, and wherever it is killed, a start finds the whole
// log, and the next snapshot is used. Two stay.
func TestRule19FaultsAtEveryCall(t *testing.T) {
	for _, fault := range []faultblob.Fault{faultblob.Refuse, faultblob.Drop, faultblob.Lose, faultblob.Late, faultblob.Repeat, faultblob.Die, faultblob.Cut} {
		for _, kill := range []bool{false, true} {
			for n := 1; ; n++ {
				name := fmt.Sprintf("fault %d at call %d, killed: %v", fault, n, kill)
				b := faultblob.New()
				r := start(t, b.Store(false))
				for i := range 3 {
					r.do(t, say(fmt.Sprint(i)))
					must(t, r.Snapshot(t.Context()), nil)
				}
				equal(t, name, b.Keys(SnapshotsPrefix("home")), []string{snapshotKey("home", 2, "desk 1"), snapshotKey("home", 3, "desk 1")})
				r.do(t, say("3"))
				calls := 0
				r.store.OnCall(func(_ context.Context, _ faultblob.Op) faultblob.Fault {
					if calls++; calls == n {
						return fault
					} else if calls > n && kill {
						return faultblob.Drop
					}
					return faultblob.None
				})
				err := r.Snapshot(t.Context())
				r.store.OnCall(nil)
				if fatal := errors.Is(err, ErrClosed); fatal != (fault == faultblob.Die && calls >= n && strings.Contains(fmt.Sprint(err), "fsync")) {
					t.Errorf("%s: %v", name, err)
				}
				r.store.Release()
				if read, said := restarted(t, b, r); read > 1 || said != "" {
					t.Errorf("%s: %d events were read: %s", name, read, said)
				}
				next := start(t, b.Store(false))
				next.do(t, say("4"))
				must(t, next.Snapshot(t.Context()), nil)
				if read, said := restarted(t, b, next); read != 0 || said != "" {
					t.Errorf("%s: the next is not used: %d, %s", name, read, said)
				}
				if kept := b.Keys(SnapshotsPrefix("home")); len(kept) != 2 {
					t.Errorf("%s: %q stay", name, kept)
				}
				equal(t, name, actors(checked(t, b)), []string{"0", "1", "2", "3", "4"})
				if calls < n {
					break
				}
			}
		}
	}
}

// What can't be written down is not: by a machine that is no Projection, in a log of a newer format, of a
// state without the effect of unknown events, or while the log is closed.
func TestRule19NotWritten(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	r.do(t, &act{kind: "unheard-of", who: "a"})
	must(t, r.Snapshot(t.Context()), ErrFormat)
	l, err := Open(t.Context(), b.Store(false), "home", fed{newDesk()}, Options{})
	must(t, err, nil)
	if l.Snapshot(t.Context()) == nil {
		t.Error("a machine that is no Projection")
	}
	must(t, l.Close(t.Context()), nil)
	must(t, r.Close(t.Context()), nil)
	must(t, r.Snapshot(t.Context()), ErrClosed)
	must(t, r.Close(t.Context()), nil)
	equal(t, "snapshots", b.Keys("snapshots/"), nil)

	b = faultblob.New()
	data, err := encodeGenesis("home", genesis{Format: 2, Next: "2026/02/01"}, time.Now())
	must(t, err, nil)
	b.Put(genesisKey("home"), data)
	newer := start(t, b.Store(false))
	must(t, newer.Snapshot(t.Context()), ErrFormat)
	equal(t, "snapshots", b.Keys("snapshots/"), nil)
}

// slowDesk holds Encode until it is let go.
type slowDesk struct {
	*desk
	began, gate chan struct{}
}

func (d *slowDesk) Freeze() (Image, bool) {
	image, ok := d.desk.Freeze()
	return slowImage{image, d}, ok
}

type slowImage struct {
	Image
	d *slowDesk
}

func (i slowImage) Encode(w io.Writer) error {
	i.d.began <- struct{}{}
	<-i.d.gate
	return i.Image.Encode(w)
}

// While a snapshot is written commands go on, and are no part of it; another one waits; and Close waits for
// it, which it ends.
func TestRule19InTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		s := b.Store(false)
		must(t, WriteSchema(t.Context(), s), nil)
		d := &slowDesk{newDesk(), make(chan struct{}), make(chan struct{})}
		l, err := Open(t.Context(), s, "home", d, Options{Create: true})
		must(t, err, nil)
		must(t, l.Submit(t.Context(), say("a")), nil)
		var running sync.WaitGroup
		running.Go(func() { must(t, l.Snapshot(t.Context()), nil) })
		<-d.began
		must(t, l.Submit(t.Context(), say("b")), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		must(t, l.Snapshot(ctx), context.DeadlineExceeded)
		close(d.gate)
		running.Wait()
		if l.Unsaved() != 1 {
			t.Errorf("%d are unsaved", l.Unsaved())
		}
		equal(t, "snapshots", b.Keys(SnapshotsPrefix("home")), []string{snapshotKey("home", 1, "desk 1")})

		d.gate = make(chan struct{})
		running.Go(func() {
			if l.Snapshot(t.Context()) == nil {
				t.Error("written after the log was closed")
			}
		})
		<-d.began
		closed := false
		running.Go(func() {
			must(t, l.Close(t.Context()), nil)
			closed = true
		})
		synctest.Wait()
		if closed {
			t.Error("Close did not wait")
		}
		close(d.gate)
		running.Wait()
		equal(t, "snapshots", b.Keys(SnapshotsPrefix("home")), []string{snapshotKey("home", 1, "desk 1")})
		equal(t, "events", actors(checked(t, b)), []string{"a", "b"})
	})
}

// Two replicas may write the same snapshot at the same time.
func TestRule19TwoReplicas(t *testing.T) {
	b := faultblob.New()
	one, two := start(t, b.Store(true)), start(t, b.Store(true))
	one.do(t, say("a"))
	must(t, two.Sync(t.Context()), nil)
	var both sync.WaitGroup
	for _, r := range []*replica{one, two} {
		both.Go(func() {
			if err := r.Snapshot(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	equal(t, "snapshots", b.Keys(SnapshotsPrefix("home")), []string{snapshotKey("home", 1, "desk 1")})
	if read, said := restarted(t, b, one); read != 0 || said != "" {
		t.Errorf("%d events were read: %s", read, said)
	}
	checked(t, b)
}

// Data of the original server is in a snapshot, and is neither listed nor read at a start from it. It may be
// all there is.
func TestRule19OldData(t *testing.T) {
	b := faultblob.New()
	oldData31(b)
	r, err := tryStart(t, b.Store(false), Options{})
	must(t, err, nil)
	if r.Unsaved() != 5 {
		t.Errorf("%d are unsaved", r.Unsaved())
	}
	must(t, r.Snapshot(t.Context()), nil)
	for range 2 {
		s := b.Store(false)
		old := 0
		s.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.Contains(op.Key, "2026/01/31") || op.Kind == faultblob.List && strings.HasPrefix(op.Key, "events/") {
				old++
			}
			return faultblob.None
		})
		again := start(t, s)
		if diff := difference(again.desk.events, r.desk.events); diff != "" || old != 0 || again.Unsaved() != 0 {
			t.Errorf("%s; %d calls for old data, %d events read", diff, old, again.Unsaved())
		}
		checked(t, b)
		r.do(t, say("new"))
		must(t, r.Snapshot(t.Context()), nil)
	}
}

// Check finds a snapshot that is sound and not what the events make: one in whose state an event is missing,
// as after a mistake in the code, and one whose place in the log is another.
func TestCheckFindsWrongSnapshots(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *snapshot, image *deskImage)
		want   string
	}{
		{"the same", func(*snapshot, *deskImage) {}, ""},
		{"another state", func(_ *snapshot, image *deskImage) { (*image)[1].Actor = "nobody" }, "is not what the log's events up to seq 3 make: event 1"},
		{"another position", func(_ *snapshot, image *deskImage) { (*image)[2].At[15]++ }, "event 2"},
		{"an event less", func(_ *snapshot, image *deskImage) { *image = (*image)[:2] }, "2 events, not 4"},
		{"the day's size", func(s *snapshot, _ *deskImage) { s.head.size-- }, "the size of its day"},
		{"a later time", func(s *snapshot, _ *deskImage) { s.head.ts = s.head.ts.Add(time.Second) }, "the time of its last event"},
		{"originals", func(s *snapshot, _ *deskImage) { s.originals = []string{"x"} }, "the objects of the original server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := faultblob.New()
			r := start(t, b.Store(false))
			for i := range 4 {
				if i == 3 {
					s, image, _, err := r.freeze(r.desk)
					must(t, err, nil)
					written := image.(deskImage)
					c.change(&s, &written)
					data, err := s.encode(t.Context(), "home", written)
					must(t, err, nil)
					b.Put(snapshotKey("home", 3, "desk 1"), data)
				}
				r.do(t, say(fmt.Sprint(i)))
			}
			report, err := Check(t.Context(), b.Store(false), "home", deskOptions)
			got := strings.Join(report.Findings, "\n")
			if err != nil || len(report.Notes) > 0 || !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("%+v, %v, want %q", report, err, c.want)
			}
			if without, err := Check(t.Context(), b.Store(false), "home", CheckOptions{}); err != nil || len(without.Findings) > 0 {
				t.Errorf("without projections: %+v, %v", without, err)
			}
		})
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
		days:      []chapter{{day: "2026/02/01", first: 1, closed: time.UnixMilli(1e12)}, {day: "2026/02/02", first: 4}},
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
