package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// today is the day of the log's next position.
func (r *replica) today() day {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head.day
}

// merge merges a day as a stranger would, at once and whatever its age.
func merge(b *faultblob.Bucket, d day) {
	keys := b.Keys(Prefix("home") + string(d) + "/")
	var all []byte
	for _, k := range keys {
		data, _ := b.Get(k)
		all = append(all, data...)
	}
	b.Put(keys[0], all)
	for _, k := range keys[1:] {
		b.Remove(k)
	}
}

// once runs f at the first of a replica's calls of that kind for a commit.
func once(kind faultblob.Kind, f func()) func(context.Context, faultblob.Op) {
	done := false
	return func(_ context.Context, op faultblob.Op) {
		if op.Kind == kind && isCommit(op) && !done {
			done = true
			f()
		}
	}
}

// before is once as a hook for calls, of which it leaves each as it is.
func before(kind faultblob.Kind, f func()) func(context.Context, faultblob.Op) faultblob.Fault {
	hook := once(kind, f)
	return func(ctx context.Context, op faultblob.Op) faultblob.Fault {
		hook(ctx, op)
		return faultblob.None
	}
}

// asleep is a replica that knows commit "0" of a day, and another one. While it sleeps the other goes on in
// that day, closes it, goes on in the next, and the day is merged.
func asleep(t *testing.T) (b *faultblob.Bucket, r *replica, sleep func()) {
	b = faultblob.New()
	var other *replica
	r, other = start(t, b.Store(true)), start(t, b.Store(true))
	other.do(t, say("0"))
	must(t, r.Sync(t.Context()), nil)
	return b, r, func() {
		d := other.today()
		other.do(t, take("thing", "1"))
		time.Sleep(25 * time.Hour)
		other.do(t, say("2"))
		time.Sleep(25 * time.Hour)
		merge(b, d)
	}
}

// Rule 17: a replica sleeps between deciding to ask for a key and the store's answer, longer than it takes
// for the day to be merged. The key is free then, and is no free position: the replica reads what it missed.
func TestRule17SleepingReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, sleep := asleep(t)
		r.store.OnCall(before(faultblob.Get, sleep))
		must(t, r.Sync(t.Context()), nil)
		equal(t, "events", actors(r.desk.own()), []string{"0", "1", "2"})
		equal(t, "log", actors(checked(t, b)), []string{"0", "1", "2"})
	})
}

// Rule 17: the same for a write. It succeeds, in a day that is over, and counts for nothing: it is taken
// back, and the command decided again on what was missed.
func TestRule17SleepingWriter(t *testing.T) {
	for _, when := range []string{"before the request", "before the answer"} {
		synctest.Test(t, func(t *testing.T) {
			b, r, sleep := asleep(t)
			b.AllowMerges()
			d := r.today()
			if when == "before the request" {
				r.store.OnCall(before(faultblob.Put, sleep))
			} else {
				r.store.OnAnswer(once(faultblob.Put, sleep))
			}
			claim := take("thing", "r")
			r.do(t, claim)
			r.do(t, say("later"))
			want := []string{"0", "1", "2", "later"}
			if when == "before the answer" { // it was there first
				want = []string{"0", "r", "2", "later"}
			}
			if claim.refused != (when == "before the request") {
				t.Errorf("%s: refused: %v", when, claim.refused)
			}
			equal(t, when, actors(checked(t, b)), want)
			equal(t, "keys of the merged day", b.Keys(Prefix("home")+string(d)), []string{positionKey("home", d, 1)})
		})
	}
}

// Rule 17: what a commit of one's own stands at may be an orphan too: the answer was lost, and the same
// replica reads it back.
func TestRule17SleepingWriterReadsBack(t *testing.T) {
	for _, fault := range []faultblob.Fault{faultblob.Lose, faultblob.Repeat} {
		synctest.Test(t, func(t *testing.T) {
			b, r, sleep := asleep(t)
			b.AllowMerges()
			slept := false
			r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind != faultblob.Put || slept {
					return faultblob.None
				}
				slept = true
				sleep()
				return fault
			})
			claim := take("thing", "r")
			r.do(t, claim)
			if !claim.refused {
				t.Error("a commit counted that was written behind a merge")
			}
			equal(t, "log", actors(checked(t, b)), []string{"0", "1", "2"})
		})
	}
}

// Rule 17: an attempt that landed in time is in the merged day, whatever becomes of those after it.
func TestRule17EarlierAttemptIsInTheMergedDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, other := start(t, b.Store(true)), start(t, b.Store(true))
		b.AllowMerges()
		r.do(t, say("0"))
		d := r.today()
		attempts := 0
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			switch {
			case op.Kind == faultblob.Get && attempts == 1:
				return faultblob.Drop
			case op.Kind != faultblob.Put:
				return faultblob.None
			}
			if attempts++; attempts == 1 {
				return faultblob.Lose
			}
			if attempts == 2 {
				time.Sleep(25 * time.Hour)
				other.do(t, say("2"))
				merge(b, d)
			}
			return faultblob.None
		})
		r.do(t, say("1"))
		equal(t, "log", actors(checked(t, b)), []string{"0", "1", "2"})
	})
}

// Rule 17: an object found proves nothing of its day, which may be long closed: the answer after it is held
// against the day's first object again.
func TestRule17FindingProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, other := start(t, b.Store(true)), start(t, b.Store(true))
		other.do(t, say("0"))
		must(t, r.Sync(t.Context()), nil)
		d := r.today()
		for _, who := range []string{"1", "2"} {
			other.do(t, say(who))
		}
		time.Sleep(49 * time.Hour)
		other.do(t, say("3"))
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key == positionKey("home", d, 3) { // 2 was found, and let pass
				r.store.OnCall(nil)
				merge(b, d)
			}
			return faultblob.None
		})
		must(t, r.Sync(t.Context()), nil)
		equal(t, "events", actors(r.desk.own()), []string{"0", "1", "2", "3"})
	})
}

// Rule 17: a commit of one's own found by reading it back proves nothing either: others may have closed the
// day behind it.
func TestRule17ReadingBackProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, other := start(t, b.Store(true)), start(t, b.Store(true))
		r.do(t, say("0"))
		d := r.today()
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				return faultblob.Lose
			}
			if op.Key == positionKey("home", d, 2) { // it asks what became of its commit
				time.Sleep(25 * time.Hour)
				other.do(t, say("2"))
				r.store.OnCall(nil)
			}
			return faultblob.None
		})
		r.do(t, say("1"))
		time.Sleep(time.Hour)
		merge(b, d)
		must(t, r.Sync(t.Context()), nil)
		equal(t, "events", actors(r.desk.own()), []string{"0", "1", "2"})
	})
}

// Rule 17: an orphan of another writer is not applied, neither by who follows nor by who starts.
func TestRule17OrphansAreNotApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r, sleep := asleep(t)
		d := r.today()
		data, _ := b.Get(positionKey("home", d, 1))
		r.store.OnCall(before(faultblob.Get, func() {
			sleep()
			orphan := slices.Concat(data)
			b.Put(positionKey("home", d, 2), []byte(fmt.Sprintf(`{"event_id":"x","seq":2%s`, orphan[slices.Index(orphan, ',')+len(`,"seq":1`):])))
		}))
		must(t, r.Sync(t.Context()), nil)
		equal(t, "events", actors(r.desk.own()), []string{"0", "1", "2"})
		equal(t, "a start's events", actors(start(t, b.Store(true)).desk.own()), []string{"0", "1", "2"})
		report, err := Check(t.Context(), b.Store(true), "home", CheckOptions{})
		if err != nil || len(report.Findings) != 0 || len(report.Notes) != 1 {
			t.Errorf("%v, %+v", err, report)
		}
	})
}

// Rule 17: the first object of a day is never deleted. Where it is gone, so is this log.
func TestRule17ReplacedBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(true))
		r.do(t, say("0"))
		time.Sleep(7 * time.Hour)
		b.Remove(positionKey("home", r.today(), 1))
		must(t, r.Sync(t.Context()), errCorrupt)
		must(t, <-r.fatal, errCorrupt)
	})
}

// Rule 17: the fence costs nothing while the log is asked at least every six hours, and one read where not.
func TestRule17CostsNothingWhileAwake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(true))
		r.do(t, say("0"))
		gets := 0
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Get {
				gets++
			}
			return faultblob.None
		})
		for _, c := range []struct {
			pause time.Duration
			want  int
		}{{fenceAfter, 1}, {fenceAfter, 1}, {fenceAfter + time.Second, 2}, {0, 1}} {
			gets = 0
			time.Sleep(c.pause)
			must(t, r.Sync(t.Context()), nil)
			if gets != c.want {
				t.Errorf("after %s a read cost %d reads of the store, want %d", c.pause, gets, c.want)
			}
		}
	})
}

// Rules 17 and 18: a day is merged while a start reads it. What was read before and after is told apart.
func TestRule17MergedWhileStarting(t *testing.T) {
	for n := int64(1); n <= 4; n++ {
		synctest.Test(t, func(t *testing.T) {
			b := faultblob.New()
			w := start(t, b.Store(true))
			for i := range 3 {
				w.do(t, say(fmt.Sprint(i)))
			}
			d := w.today()
			time.Sleep(49 * time.Hour)
			w.do(t, say("3"))
			s := b.Store(true)
			s.OnAnswer(func(_ context.Context, op faultblob.Op) {
				if op.Key == positionKey("home", d, n) {
					merge(b, d)
					s.OnAnswer(nil)
				}
			})
			equal(t, fmt.Sprint("events, merged at ", n), actors(start(t, s).desk.own()), []string{"0", "1", "2", "3"})
		})
	}
}

// orphan is what a sleeper may have written at a position of a day that had been merged: as many events from
// there on, none of them the log's.
func orphan(b *faultblob.Bucket, d day, seq int64, events int) {
	first, _ := b.Get(positionKey("home", d, 1))
	line := string(first[:slices.Index(first, '\n')+1])
	var all strings.Builder
	for i := range int64(events) {
		e := strings.Replace(line, `"seq":1,`, fmt.Sprintf(`"seq":%d,`, seq+i), 1)
		all.WriteString(`{"event_id":"` + fmt.Sprint("orphan ", i) + e[strings.Index(e, `","seq"`):])
	}
	b.Put(positionKey("home", d, seq), []byte(all.String()))
}

// Rules 17 and 19: a start behind a snapshot takes nothing from a day that was merged since but the merged day,
// whatever lies behind the snapshot: within the day, or past its end, where the day's last event is before it.
func TestRule17OrphanBehindSnapshot(t *testing.T) {
	for events := 1; events <= 4; events++ {
		synctest.Test(t, func(t *testing.T) {
			b, r, sleep := asleep(t)
			d := r.today()
			must(t, r.Snapshot(t.Context()), nil)
			sleep()
			orphan(b, d, 2, events)
			later := start(t, b.Store(true))
			equal(t, fmt.Sprint("events behind the snapshot, with an orphan of ", events), actors(later.desk.own()), []string{"0", "1", "2"})
		})
	}
}

// Rule 17: a day that is merged while a start reads it, with an orphan at the next position: the start fails
// rather than take it, also where the orphan goes past the day's end, and the next one reads the merged day.
func TestRule17OrphanWhileStarting(t *testing.T) {
	for events := 1; events <= 4; events++ {
		synctest.Test(t, func(t *testing.T) {
			b, r, sleep := asleep(t)
			d := r.today()
			s := b.Store(true)
			s.OnAnswer(func(_ context.Context, op faultblob.Op) {
				if op.Key == positionKey("home", d, 1) {
					s.OnAnswer(nil)
					sleep()
					orphan(b, d, 2, events)
				}
			})
			l, err := Open(t.Context(), s, "home", newDesk(), Options{})
			if err == nil || !strings.Contains(err.Error(), "read again") {
				t.Errorf("with an orphan of %d: %v", events, err)
			}
			if l != nil {
				must(t, l.Close(t.Context()), nil)
			}
			equal(t, "the next start's events", actors(start(t, b.Store(true)).desk.own()), []string{"0", "1", "2"})
		})
	}
}
