package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// RunDue does what is due, in all exchanges: it moves the threads whose needed_by has come, tells executors what they are
// to be told, and without a timer of the engine's writes the snapshots that are worth it. It returns when nothing of this
// is under way, or ctx ends. What becomes due meanwhile or in a moment (deadlineSlack) it does too: so nothing waits for a
// receiver that hangs, and what is found to be overdue needs no further call.
//
// next is when there is something to do again; ok is false where nothing is known to come. Where ctx has ended, what is
// under way goes on, and should be waited for by another call: it is lost with the process, until somebody looks into
// the log again.
//
// It is the one way in which anything becomes due where somebody else keeps the time (Options.Wake). It may be called at
// any time and any number of times.
func (e *Engine) RunDue(ctx context.Context) (next time.Time, ok bool) {
	for {
		e.beginDue()
		idle, news := e.errands.look()
		next, ok = e.nextDue()
		if idle && (!ok || time.Until(next) > deadlineSlack) {
			return next, ok
		}
		in := forever
		if ok {
			in = max(0, time.Until(next))
		}
		ring := time.NewTimer(in)
		select {
		case <-news:
		case <-ring.C:
		case <-ctx.Done():
			ring.Stop()
			return e.nextDue()
		}
		ring.Stop()
	}
}

// beginDue begins what is due, and does not wait for it. What it comes to sets the next alarm.
func (e *Engine) beginDue() {
	begin := func(a *alarms, do func(exchangeID string)) {
		for _, id := range a.take(time.Now()) {
			e.errands.begin()
			if !e.spawn(func() { defer e.errands.end(); do(id) }) {
				e.errands.end()
			}
		}
	}
	begin(&e.alarms, e.expireDue)
	begin(&e.saves, e.saveDue)
	if e.tellers != nil {
		begin(&e.tellers.alarms, e.tellDue)
	}
}

// nextDue is when the earliest alarm rings.
func (e *Engine) nextDue() (next time.Time, ok bool) {
	all := []*alarms{&e.alarms, &e.saves}
	if e.tellers != nil {
		all = append(all, &e.tellers.alarms)
	}
	for _, a := range all {
		if at, some := a.next(); some && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	return next, ok
}

// wakes is Options.Wake, which RunDue hears too while it waits.
func (e *Engine) wakes(wake func(at time.Time)) func(at time.Time) {
	return func(at time.Time) {
		wake(at)
		e.errands.tell()
	}
}

// errands counts what was due and is under way.
type errands struct {
	mu   sync.Mutex
	some int
	news chan struct{} // closed when there are none any more, or an alarm was set; nil where nobody looks
}

func (u *errands) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.some++
}

func (u *errands) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.some--; u.some == 0 {
		u.spread()
	}
}

// tell says that an alarm was set.
func (u *errands) tell() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.spread()
}

func (u *errands) spread() {
	if u.news != nil {
		close(u.news)
		u.news = nil
	}
}

// look reports whether nothing is under way. What changes afterwards is news.
func (u *errands) look() (idle bool, news <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.news == nil {
		u.news = make(chan struct{})
	}
	return u.some == 0, u.news
}

// newClock returns a timer that has begun what is due when it rings.
func (e *Engine) newClock() *timekeeper {
	return &timekeeper{ring: e.beginDue}
}

// Opened waits until each exchange that was found at the start was tried to open once: from then on the engine knows
// of everything that is due.
func (e *Engine) Opened(ctx context.Context) error {
	select {
	case <-e.tried:
		return nil
	case <-e.closing:
		return errClosing()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// alarms keep when the next deadline of each exchange comes that has a thread which expires, whether it is open or
// was put away. Nothing looks through threads or exchanges for what is due: the earliest is on top of a heap, and
// setting one costs the logarithm of the number of such exchanges.
type alarms struct {
	wake func(at time.Time) // told when the earliest one changes; called with mu held, must not wait

	mu     sync.Mutex
	closed bool
	set    map[string]*alarm
	order  alarmOrder
}

type alarm struct {
	exchangeID string
	at         time.Time // by the store
	rings      time.Time // by this machine
	place      int       // in the order
}

// put sets the exchange's alarm to a time that is in so long, in the place of the one it has.
func (a *alarms) put(exchangeID string, at time.Time, in time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.set[exchangeID]
	if a.closed || ok && one.at.Equal(at) {
		return
	}
	rings := time.Now().Add(max(in, 0) + deadlineSlack)
	if ok {
		one.at, one.rings = at, rings
		heap.Fix(&a.order, one.place)
	} else {
		one = &alarm{exchangeID: exchangeID, at: at, rings: rings}
		a.set[exchangeID] = one
		heap.Push(&a.order, one)
	}
	a.tell()
}

// rest takes the exchange's alarm away.
func (a *alarms) rest(exchangeID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one, ok := a.set[exchangeID]; ok {
		heap.Remove(&a.order, one.place)
		delete(a.set, exchangeID)
		a.tell()
	}
}

// take returns the exchanges whose alarms have rung, which is the end of these.
func (a *alarms) take(now time.Time) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var rung []string
	for len(a.order) > 0 && !a.order[0].rings.After(now) {
		one := heap.Pop(&a.order).(*alarm)
		delete(a.set, one.exchangeID)
		rung = append(rung, one.exchangeID)
	}
	a.tell()
	return rung
}

// next is when the earliest alarm rings.
func (a *alarms) next() (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.order) == 0 {
		return time.Time{}, false
	}
	return a.order[0].rings, true
}

// tell has whoever keeps the time know of the earliest alarm. One that is told of too often, or of an alarm that was
// taken away since, looks and finds nothing to do.
func (a *alarms) tell() {
	if len(a.order) > 0 && !a.closed {
		a.wake(a.order[0].rings)
	}
}

// close ends all alarms.
func (a *alarms) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	clear(a.set)
	a.order = nil
}

// alarmOrder is a heap by the time at which they ring.
type alarmOrder []*alarm

func (o alarmOrder) Len() int           { return len(o) }
func (o alarmOrder) Less(i, j int) bool { return o[i].rings.Before(o[j].rings) }
func (o alarmOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = i, j
}

// Push implements heap.Interface.
func (o *alarmOrder) Push(x any) {
	one := x.(*alarm)
	one.place = len(*o)
	*o = append(*o, one)
}

// Pop implements heap.Interface.
func (o *alarmOrder) Pop() any {
	last := len(*o) - 1
	one := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return one
}

// timekeeper is the engine's own way to keep the time: one timer, set to the earliest alarm.
type timekeeper struct {
	ring func() // in a goroutine of the timer's

	mu    sync.Mutex
	at    time.Time
	timer *time.Timer
}

// wake sets the timer, whatever it was set to before.
func (c *timekeeper) wake(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(at), func() {
			c.mu.Lock()
			c.at = time.Time{} // to be set again, to the same time too
			c.mu.Unlock()
			c.ring()
		})
	case !c.at.Equal(at):
		c.timer.Reset(time.Until(at))
	}
	c.at = at
}

// stop ends it.
func (c *timekeeper) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}
