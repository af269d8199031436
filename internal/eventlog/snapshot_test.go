package eventlog

import (
	"bytes"
	"context"
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

// Rule 19: a log that was restored from an older backup is what it is, whatever the snapshots say. They are
// passed over, not deleted, and the log's own are kept beside them.
func TestRule19OlderLog(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	for i := range 5 {
		r.do(t, say(fmt.Sprint(i)))
		must(t, r.Snapshot(t.Context()), nil)
	}
	ahead := b.Keys(SnapshotsPrefix("home")) // 4 and 5
	r.stop()
	b.Remove(positionKey("home", r.today(), 5))
	b.Remove(positionKey("home", r.today(), 4))
	old := start(t, b.Store(false))
	equal(t, "events", actors(old.desk.own()), []string{"0", "1", "2"})
	must(t, old.Snapshot(t.Context()), nil)
	equal(t, "snapshots", b.Keys(SnapshotsPrefix("home")), append([]string{snapshotKey("home", 3, "desk 1")}, ahead...))
	read, said := restarted(t, b, old)
	if read != 0 || strings.Count(said, "\n") != 2 || !strings.Contains(said, "restored from a backup") {
		t.Errorf("%d events were read: %s", read, said)
	}
	report, err := Check(t.Context(), b.Store(false), "home", deskOptions)
	if err != nil || len(report.Findings) > 0 || len(report.Notes) != 2 || !strings.Contains(report.Notes[0], "and the log at 3") {
		t.Errorf("check: %+v, %v", report, err)
	}
	for i := range 2 { // the log comes to the same seq by another way
		old.do(t, say(fmt.Sprint("new", i)))
	}
	if read, said := restarted(t, b, old); read != 2 || strings.Count(said, "\n") != 2 {
		t.Errorf("%d events were read: %s", read, said)
	}
	must(t, old.Snapshot(t.Context()), nil)
	if read, said := restarted(t, b, old); read != 0 || said != "" {
		t.Errorf("%d events were read: %s", read, said)
	}
	equal(t, "snapshots", b.Keys(SnapshotsPrefix("home")), ahead) // by name: the newest was replaced
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
