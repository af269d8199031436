package engine

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// leastRoom is below which nothing is begun: an executor has 40 ways at the most to be told of one event.
	leastRoom = 64
	// noRoomPause is how long an exchange waits where others have all the room.
	noRoomPause = time.Second
	// lookAgain is how long an event that is due rests while what is due of it is under way.
	lookAgain = 5 * time.Second
	// tellRetry and tellRetryMax bound the pauses while the storage takes or gives nothing.
	tellRetry    = time.Second
	tellRetryMax = 15 * time.Second
)

// teller tells the executors of an open exchange what happened, as its outbox says. While it has something to do
// one goroutine of its own does it, and owns what is not under mu.
type teller struct {
	x *running

	mu      sync.Mutex
	on      bool // its goroutine runs
	alarm   time.Time
	alarmed bool           // the alarm is set to that time
	lease   exchange.Lease // the last one that was seen
	since   time.Time      // when it was seen first; nothing but differences of it is used
	answers []answer       // of the sender, not yet looked at

	news chan struct{} // has one where there may be something to do

	until    time.Time          // the lease is this process's until then
	tellings map[int64]*telling // by the event, those with something under way or not yet recorded
	under    int                // attempts under way
	wait     time.Duration      // the last pause after a failure; 0 after none
	rest     time.Time          // nothing is begun before, after a failure
	deaf     bool               // the sender is closed
}

func newTeller(x *running) *teller {
	return &teller{x: x, news: make(chan struct{}, 1), tellings: map[int64]*telling{}}
}

// tellers are what the tellers of all exchanges share.
type tellers struct {
	name   string // of this process among the holders of leases, never used again
	alarms alarms // that wake exchanges when something is due
	cache  settingsCache
	tokens tokens
	room   room
}

func newTellers(wake func(at time.Time)) *tellers {
	return &tellers{
		name:   rand.Text(),
		alarms: alarms{set: map[string]*alarm{}, wake: wake},
		cache:  settingsCache{of: map[executorName]*cachedSettings{}},
		tokens: tokens{of: map[string]token{}},
	}
}

// room is what is left of maxTellingAll.
type room struct {
	mu   sync.Mutex
	used int
}

// take takes as much as there is, up to n.
func (r *room) take(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = max(0, min(n, maxTellingAll-r.used))
	r.used += n
	return n
}

func (r *room) give(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
}

// noted is told the state after each commit, and at first. It is called under the machine's lock and the log's, and
// does not wait.
func (t *teller) noted(s *exchange.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := s.Lease(); l.Seq != t.lease.Seq {
		t.lease, t.since = l, time.Now()
	}
	if t.on {
		t.poke()
		return
	}
	t.setAlarm(s)
}

// setAlarm sets the alarm to when something is to be done. t.mu and the machine's lock must be held.
func (t *teller) setAlarm(s *exchange.State) {
	at, ok := nextTelling(s, t.x.engine.store.Now())
	if ok == t.alarmed && at.Equal(t.alarm) {
		return
	}
	t.alarm, t.alarmed = at, ok
	if alarms := &t.x.engine.tellers.alarms; ok {
		alarms.put(t.x.id, at, at.Sub(t.x.engine.store.Now()))
	} else {
		alarms.rest(t.x.id)
	}
}

// nextTelling returns when the outbox has something to do. Executors of whom nothing is known wait for the first
// lease, which is taken at once.
func nextTelling(s *exchange.State, now time.Time) (at time.Time, ok bool) {
	if s.AwaitsLease() || len(dueNow(s, now, 1, func(int64) bool { return false })) > 0 {
		return time.Time{}, true
	}
	u, ok := s.NextUndelivered()
	if !ok {
		return time.Time{}, false
	}
	return u.Due, true
}

// dueNow returns what is due, the first of it. An event of which somebody is still to be told a first time is due
// whatever the clock of its server said, which may be ahead of this one's. Of retries it makes the pauses longer.
func dueNow(s *exchange.State, now time.Time, most int, skip func(event int64) bool) []*exchange.Undelivered {
	by := now
	if last := s.LastUpdate(); last.After(by) {
		by = last
	}
	return s.UndeliveredDue(by, most, func(event int64) bool {
		u, _ := s.Undelivered(event)
		return u.Due.After(now) && u.Told == u.Executors || skip(event)
	})
}

func (t *teller) poke() {
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// tellDue opens the exchange if need be and tells what is due. It ends when nothing is, or the engine closes.
func (e *Engine) tellDue(exchangeID string) {
	for wait := tellRetry; ; wait = min(2*wait, tellRetryMax) {
		x, leave, err := e.find(e.life, exchangeID, forever)
		if err == nil {
			defer leave()
			x.teller.run()
			return
		}
		if errors.Is(err, eventlog.ErrNotFound) || e.life.Err() != nil {
			return
		}
		e.log.Warn("executors are to be told something and the exchange can't be opened; trying again", "exchange", exchangeID, "error", err)
		select {
		case <-e.closing:
			return
		case <-time.After(wait):
		}
	}
}

// run tells what is due, until nothing is, nothing is under way and no lease is held.
func (t *teller) run() {
	t.mu.Lock()
	if t.on {
		t.mu.Unlock()
		return
	}
	t.on, t.alarmed = true, false
	t.mu.Unlock()
	defer t.x.follow()()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.news:
		case <-timer.C:
		case <-t.x.engine.closing:
			t.stop()
			return
		}
		pause, idle := t.step()
		if idle && t.finish() {
			return
		}
		timer.Reset(pause)
	}
}

// finish ends the goroutine, if still nothing is to be done now, and leaves the rest to the alarm.
func (t *teller) finish() bool {
	m := t.x.machine
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := t.x.engine.store.Now()
	if at, ok := nextTelling(m.state, now); ok && !t.deaf && !at.After(now) && m.state.ReadOnly() == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on = false
	if !t.deaf && m.state.ReadOnly() == "" {
		t.setAlarm(m.state)
	}
	return true
}

// stop ends the goroutine when the engine closes. What has come in is recorded, so that it is not sent again; what
// is under way stays open.
func (t *teller) stop() {
	t.collect()
	t.record(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on = false
}

// step does what there is to do now. It returns how long there is nothing more, and whether that is for good, as far
// as is known.
func (t *teller) step() (pause time.Duration, idle bool) {
	t.collect()
	t.record(false)
	now := time.Now()
	if now.Before(t.rest) {
		return t.rest.Sub(now), false
	}
	w := t.look()
	if w.readOnly || t.deaf {
		return noRoomPause, len(t.tellings) == 0
	}
	if len(w.due) == 0 && !w.first && t.under == 0 && len(t.tellings) == 0 {
		held := t.holdsFor(now)
		return min(held, w.next), held <= 0 // a retry may be due before the lease ends
	}
	wait, held := t.hold(w, now)
	if !held {
		return wait, false
	}
	pause = w.next
	for _, u := range w.due {
		if maxTelling-t.under < leastRoom || !t.begin(u) {
			pause = noRoomPause // however much is due: an answer makes room, and is news
			break
		}
	}
	return min(pause, wait, t.untilRecord(time.Now())), false
}

// work is what a look at the outbox finds.
type work struct {
	first    bool // executors of whom nothing is known wait for the first lease
	due      []*exchange.Undelivered
	next     time.Duration // when to look again, where something is due later
	readOnly bool
}

// atOnceDue is how many events are begun between two looks.
const atOnceDue = 64

func (t *teller) look() work {
	now, clock := t.x.engine.store.Now(), time.Now()
	m := t.x.machine
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := work{readOnly: m.state.ReadOnly() != "", first: m.state.AwaitsLease(), next: lookAgain}
	w.due = dueNow(m.state, now, atOnceDue, func(event int64) bool {
		one := t.tellings[event]
		return one != nil && (one.unrecorded() || clock.Before(one.rest))
	})
	if u, ok := m.state.NextUndelivered(); ok && u.Due.After(now) {
		w.next = min(w.next, u.Due.Sub(now)+deadlineSlack)
	}
	if len(w.due) == atOnceDue {
		w.next = 0
	}
	return w
}

// failed begins a pause after the storage did not take or give something.
func (t *teller) failed(what string, err error) {
	t.wait = min(max(tellRetry, 2*t.wait), tellRetryMax)
	t.rest = time.Now().Add(t.wait)
	if t.x.engine.life.Err() == nil {
		t.x.logger.Warn(what+"; trying again", "error", err)
	}
}
