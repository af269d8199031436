package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// deskClock is a single alarm as a Durable Object has it: it is only ever set earlier, rings once, and does not ring again
// before what it rang for has returned.
type deskClock struct {
	patience time.Duration // for what it rings for

	mu    sync.Mutex
	at    time.Time
	moved chan struct{}
	rings int
}

func newDeskClock() *deskClock {
	return &deskClock{patience: time.Minute, moved: make(chan struct{}, 1)}
}

func (c *deskClock) wake(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && !at.Before(c.at) {
		return
	}
	c.at = at
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// rung is how often it has rung.
func (c *deskClock) rung() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rings
}

// keep runs what the engine has due until ctx ends.
func (c *deskClock) keep(ctx context.Context, e *Engine) {
	for ctx.Err() == nil {
		c.mu.Lock()
		in := forever
		if !c.at.IsZero() {
			in = max(0, time.Until(c.at))
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-c.moved:
		case <-time.After(in):
			c.mu.Lock()
			c.at = time.Time{}
			c.rings++
			c.mu.Unlock()
			patient, cancel := context.WithTimeout(ctx, c.patience)
			next, ok := e.RunDue(patient)
			if patient.Err() != nil {
				c.wake(time.Now())
			}
			cancel()
			if ok {
				c.wake(next)
			}
		}
	}
}

// countCalls has the calls of a store counted.
func countCalls(store *faultblob.Store) *atomic.Int64 {
	var calls atomic.Int64
	store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault {
		calls.Add(1)
		return faultblob.None
	})
	return &calls
}

// Ensure that beside Wake nothing of the engine runs: with something to do of every kind, it makes no call to the store
// for days and sends nothing, and then does all of it when it is called.
func TestNothingRunsBesideWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		store, s := bucket.Store(true), &recorder{}
		var told wakes
		e := launchWith(t, store, Options{Wake: told.wake, SnapshotAfter: 4, Notify: Notify{Sender: s}})
		_, c := join(t, e, "agent", `{}`)
		join(t, e, "phone", webhookOf("phone"))
		folder := eventlog.Prefix("home") + time.Now().UTC().Format("2006/01/02/")
		soon := postUntil(t, e, c, time.Now().Add(time.Hour))
		time.Sleep(24 * time.Hour)
		post(t, e, c, "on another day")
		time.Sleep(time.Second)

		calls, commits := countCalls(store), len(bucket.Keys(folder))
		time.Sleep(4 * 24 * time.Hour)
		if n := calls.Load(); n != 0 {
			t.Errorf("%d calls to the store by itself", n)
		}
		if n := len(s.to("")); n != 0 {
			t.Errorf("%d notifications by itself", n)
		}
		if commits < 3 || len(bucket.Keys(folder)) != commits || len(bucket.Keys(eventlog.SnapshotsPrefix("home"))) != 0 {
			t.Errorf("of %d commits there are %d; snapshots: %v", commits, len(bucket.Keys(folder)), bucket.Keys(eventlog.SnapshotsPrefix("home")))
		}
		if at := told.earliest(); at.IsZero() || at.After(time.Now()) {
			t.Errorf("it was told of %v at %v", at, time.Now())
		}
		e.RunDue(t.Context())
		if len(expired(t, bucket)[soon]) != 1 || len(s.to("phone.example")) == 0 || len(bucket.Keys(eventlog.SnapshotsPrefix("home"))) == 0 {
			t.Errorf("when it was called: expired %v, %d notifications, snapshots %v",
				expired(t, bucket), len(s.to("phone.example")), bucket.Keys(eventlog.SnapshotsPrefix("home")))
		}
		if !e.TidySome(t.Context()) || len(bucket.Keys(folder)) != 1 {
			t.Errorf("%d objects of a closed day", len(bucket.Keys(folder)))
		}
	})
}

// Ensure that each time the alarm is set to what is due next, a retry of a delivery above all, so that whoever has but one
// alarm makes every attempt in its time, and does not ring in vain all the while.
func TestWakesForRetries(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket, s, clock := faultblob.New(), &recorder{answer: again}, newDeskClock()
			e := launchWith(t, bucket.Store(shared), Options{Wake: clock.wake, Notify: Notify{Sender: s}})
			_, agent := join(t, e, "agent", `{}`)
			join(t, e, "phone", webhookOf("phone"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go clock.keep(ctx, e)
			time.Sleep(time.Minute)
			ref, begun, before := postAs(t, e, agent, "normal", time.Time{}), time.Now(), clock.rung()
			for i, pause := range []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour} {
				if i > 0 {
					synctest.Wait()
					due, ok := outboxDue(t, e)
					if at, told := e.nextDue(); ok && (!told || at.Sub(due) < 0 || at.Sub(due) > 10*time.Millisecond) && !shared {
						t.Errorf("attempt %d is due at %v, and the alarm is told %v, %v", i+1, due, at, told)
					}
					time.Sleep(pause + pause/4)
				} else {
					time.Sleep(100 * time.Millisecond)
				}
				all := s.to(ref)
				if len(all) != i+1 {
					t.Fatalf("%v after the create there were %d attempts, want %d", time.Since(begun), len(all), i+1)
				}
				if i > 0 {
					if after := all[i].at.Sub(all[i-1].at); after < pause*8/10 || after > pause*12/10+time.Second {
						t.Errorf("attempt %d was %v after the one before, want about %v", i+1, after, pause)
					}
				}
			}
			if n := clock.rung() - before; n > 20 {
				t.Errorf("%d rings for 5 attempts", n)
			}
		})
	}
}

// outboxDue is when the next delivery of the only exchange is due.
func outboxDue(t *testing.T, e *Engine) (time.Time, bool) {
	t.Helper()
	m := resident(t, e).machine
	m.mu.RLock()
	defer m.mu.RUnlock()
	u, ok := m.state.NextUndelivered()
	if !ok {
		return time.Time{}, false
	}
	return u.Due, true
}

// Ensure that what becomes due while RunDue waits for a receiver that hangs is done in its time, that RunDue gives up with
// its caller, and that the next call waits for what is under way still.
func TestRunDueDoesWhatComesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, s := faultblob.New(), &recorder{hang: make(chan struct{})}
		var told wakes
		e := launchWith(t, bucket.Store(false), Options{Wake: told.wake, Notify: Notify{Sender: s}})
		_, agent := join(t, e, "agent", `{}`)
		join(t, e, "phone", webhookOf("phone"))
		postAs(t, e, agent, "normal", time.Time{})
		time.Sleep(deadlineSlack)

		patient, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun, ended := time.Now(), make(chan time.Duration)
		go func() {
			e.RunDue(patient)
			ended <- time.Since(begun)
		}()
		time.Sleep(time.Second)
		if n := len(s.to("phone.example")); n != 1 {
			t.Fatalf("%d attempts", n)
		}
		due := time.Now().Add(10 * time.Second).Truncate(time.Millisecond)
		ref := postUntil(t, e, agent, due)
		time.Sleep(11 * time.Second)
		wantExpired(t, bucket, ref, due, time.Second)
		if took := <-ended; took != time.Minute {
			t.Errorf("RunDue gave up after %v", took)
		}
		go func() {
			e.RunDue(t.Context())
			ended <- time.Since(begun)
		}()
		time.Sleep(time.Minute)
		close(s.hang)
		if took := <-ended; took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("the next call returned after %v", took)
		}
		wantNothingLeft(t, e)
	})
}

// Ensure that many may be told to run what is due at once, and that each returns when it is done.
func TestRunDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, s := faultblob.New(), &recorder{delay: 5 * time.Second}
		e := launchWith(t, bucket.Store(false), Options{Wake: func(time.Time) {}, Notify: Notify{Sender: s}})
		_, agent := join(t, e, "agent", `{}`)
		join(t, e, "phone", webhookOf("phone"))
		ref := postAs(t, e, agent, "normal", time.Time{})
		time.Sleep(deadlineSlack)
		begun := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { e.RunDue(t.Context()) })
		}
		all.Wait()
		if took := time.Since(begun); took < 5*time.Second || took > 7*time.Second || len(s.to(ref)) != 1 {
			t.Errorf("they returned after %v, and there were %d attempts", took, len(s.to(ref)))
		}
		wantNothingLeft(t, e)
	})
}

// Ensure that a snapshot is due soon after it has become worth its write, also where a start has read that much, and that
// it is written once.
func TestWakesForSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		var told wakes
		e := launchWith(t, bucket.Store(false), Options{Wake: told.wake, SnapshotAfter: 1000})
		key, c := enroll(t, e, "home", "agent")
		many(t, e, c, 20)
		if at := told.earliest(); !at.IsZero() {
			t.Errorf("told of %v, with little to save", at)
		}
		shut(t, e)

		e = launchWith(t, bucket.Store(false), Options{Wake: told.wake, SnapshotAfter: 16})
		c = letIn(t, e, "home", key)
		due := told.earliest()
		if in := time.Until(due); in <= 0 || in > upkeepEvery+time.Second {
			t.Fatalf("a start that read much: told of %v", due)
		}
		many(t, e, c, 20) // sets no second alarm
		time.Sleep(upkeepEvery + time.Second)
		if next, ok := e.RunDue(t.Context()); ok {
			t.Errorf("something is due at %v", next)
		}
		if keys := bucket.Keys(eventlog.SnapshotsPrefix("home")); len(keys) != 1 {
			t.Errorf("snapshots: %v", keys)
		}
	})
}

// Ensure that tidying goes on where it stopped, one exchange at least each time, and begins anew when it is through.
func TestTidySome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		e := launchWith(t, bucket.Store(false), Options{Wake: func(time.Time) {}})
		folder := func(id string) string { return eventlog.Prefix(id) + "2000/01/01/" }
		ids := []string{"a", "b", "c"}
		callers := map[string]Caller{}
		for _, id := range ids {
			_, callers[id] = enroll(t, e, id, "agent")
			post(t, e, callers[id], "first")
		}
		time.Sleep(24 * time.Hour)
		for _, id := range ids {
			post(t, e, callers[id], "second")
		}
		time.Sleep(48 * time.Hour)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		merged := func() (all string) {
			for _, id := range ids {
				if len(bucket.Keys(folder(id))) == 1 {
					all += id
				}
			}
			return all
		}
		for i, want := range []string{"a", "ab", "abc"} {
			if through := e.TidySome(over); through != (i == len(ids)-1) || merged() != want {
				t.Errorf("call %d: through %v, merged %q", i+1, through, merged())
			}
		}
		e.mu.Lock()
		e.known["aa"] = struct{}{} // of which there is nothing
		e.mu.Unlock()
		if !e.TidySome(t.Context()) || e.tidied != "" {
			t.Errorf("anew: it stopped behind %q", e.tidied)
		}
	})
}
