package engine

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// wakes collects what an engine without a timer of its own tells.
type wakes struct {
	mu  sync.Mutex
	all []time.Time
}

func (w *wakes) wake(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, at)
}

// earliest forgets what was told, too.
func (w *wakes) earliest() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		return time.Time{}
	}
	first := slices.MinFunc(w.all, time.Time.Compare)
	w.all = nil
	return first
}

// Ensure that an engine without a timer does nothing by itself, however long nobody calls, tells when something is
// due, and does it when it is called: no sooner, and in another engine that only finds it in the log.
func TestRunDueWithoutTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		var told wakes
		e := launchWith(t, bucket.Store(true), Options{Wake: told.wake})
		_, c := enroll(t, e, "home", "agent")
		due := time.Now().Add(time.Minute).Truncate(time.Millisecond)
		soon, late := postUntil(t, e, c, due), postUntil(t, e, c, due.Add(time.Hour))
		if at := told.earliest(); at.Sub(due) < 0 || at.Sub(due) > time.Second {
			t.Errorf("told of %v, due at %v", at, due)
		}
		if next, ok := e.RunDue(t.Context()); !ok || next.Sub(due) < 0 || len(expired(t, bucket)) != 0 {
			t.Errorf("a minute too early: next %v, %v; expired %v", next, ok, expired(t, bucket))
		}
		time.Sleep(48 * time.Hour)
		if n := len(expired(t, bucket)); n != 0 {
			t.Fatalf("%d expired by themselves", n)
		}
		shut(t, e)

		told.earliest()
		e = launchWith(t, bucket.Store(true), Options{Wake: told.wake})
		if err := e.Opened(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at := told.earliest(); at.IsZero() || at.After(time.Now().Add(time.Second)) {
			t.Errorf("overdue, and told of %v at %v", at, time.Now())
		}
		if next, ok := e.RunDue(t.Context()); ok {
			t.Errorf("there is nothing more to do at %v", next)
		}
		found := expired(t, bucket)
		if len(found[soon]) != 1 || len(found[late]) != 1 || len(found) != 2 {
			t.Errorf("expired: %v", found)
		}
	})
}

// Ensure that the alarms of many exchanges ring in their order, however they were set, moved and taken away.
func TestAlarmsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told wakes
		a := alarms{set: map[string]*alarm{}, wake: told.wake}
		now := time.Now()
		for i, id := range []string{"d", "a", "c", "gone", "b"} {
			in := time.Duration(10+i) * time.Hour
			a.put(id, now.Add(in), in)
		}
		for id, in := range map[string]time.Duration{"a": 1 * time.Hour, "b": 2 * time.Hour, "c": 3 * time.Hour, "d": 4 * time.Hour} {
			a.put(id, now.Add(in), in)
		}
		a.rest("gone")
		a.rest("unknown")
		var rung []string
		for {
			next, ok := a.next()
			if !ok {
				break
			}
			if early := a.take(next.Add(-time.Nanosecond)); len(early) > 0 {
				t.Errorf("%q before %v", early, next)
			}
			rung = append(rung, a.take(next)...)
		}
		if !slices.Equal(rung, []string{"a", "b", "c", "d"}) {
			t.Errorf("rang %q", rung)
		}
	})
}

// Ensure that the deadline of one exchange is not lost behind that of another, which has no further one.
func TestDeadlinesOfTwoExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, home := enroll(t, e, "home", "agent")
		_, office := enroll(t, e, "office", "agent")
		begin := time.Now().Truncate(time.Millisecond)
		postUntil(t, e, office, begin.Add(time.Minute))
		behind := postUntil(t, e, home, begin.Add(2*time.Minute))
		time.Sleep(time.Hour)
		wantExpired(t, bucket, behind, begin.Add(2*time.Minute), time.Second)
	})
}
