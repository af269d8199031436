package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// RunDue does what is due: it moves the threads whose needed_by has come and tells executors what they are to be told,
// in all exchanges, and returns when that is done or ctx ends. next is when there is something to do again; ok is false where nothing is known to come.
//
// It is the one way in which anything becomes due, whoever keeps the time: a timer of the engine calls it, or who
// runs the engine, where Options.Wake says so. It may be called at any time and any number of times.
func (e *Engine) RunDue(ctx context.Context) (next time.Time, ok bool) {
	var rung sync.WaitGroup
	run := func(a *alarms, do func(exchangeID string)) {
		for _, id := range a.take(time.Now()) {
			rung.Add(1)
			if !e.spawn(func() { defer rung.Done(); do(id) }) {
				rung.Done()
			}
		}
	}
	run(&e.alarms, e.expireDue)
	if e.tellers != nil {
		run(&e.tellers.alarms, e.tellDue)
	}
	_ = await(ctx, &rung) // what goes on after ctx sets the next alarm by itself
	next, ok = e.alarms.next()
	if e.tellers != nil {
		if telling, some := e.tellers.alarms.next(); some && (!ok || telling.Before(next)) {
			next, ok = telling, true
		}
	}
	return next, ok
}

// newClock returns a timer that has done what is due when it rings.
func (e *Engine) newClock() *timekeeper {
	return &timekeeper{ring: func() { e.spawn(func() { e.RunDue(e.life) }) }}
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
