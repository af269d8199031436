package engine

import (
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// leaseTime is how long a lease lasts. Another replica takes over when it has seen one for so long and
	// leaseMargin more. It sees it up to watchEvery after it was taken, so all three together are how long a dead
	// replica can keep others waiting: less than 30 seconds.
	leaseTime = 15 * time.Second
	// leaseMargin is for clocks that run at different speeds, and for a computer that stands still at the wrong moment.
	leaseMargin = 2 * time.Second
)

// holdsFor is for how long this process may still begin attempts. Where no other can live it keeps nothing.
func (t *teller) holdsFor(now time.Time) time.Duration {
	if !t.x.engine.store.Shared() {
		return 0
	}
	return t.until.Sub(now)
}

// hold takes or renews the lease if it may and need be, and reports whether this process holds it. wait is when
// there is something more to do about it.
//
// Nobody looks at another's clock: the holder counts from before it asked, others from when they saw the answer.
func (t *teller) hold(w work, now time.Time) (wait time.Duration, held bool) {
	t.mu.Lock()
	lease, since := t.lease, t.since
	t.mu.Unlock()
	shared, mine := t.x.engine.store.Shared(), lease.Holder == t.x.engine.tellers.name
	switch {
	case mine && !shared:
		return forever, true
	case mine && now.Before(t.until.Add(-leaseTime/2)):
		return t.until.Add(-leaseTime / 2).Sub(now), true
	case !mine && shared && lease.Seq > 0:
		if left := lease.Duration + leaseMargin - now.Sub(since); left > 0 {
			return left, false
		}
	}
	if !w.first && len(w.due) == 0 && t.under == 0 {
		return forever, mine && now.Before(t.until) // nothing to hold it for; what came in is recorded without
	}
	cmd := &exchange.TakeLease{Holder: t.x.engine.tellers.name, Duration: leaseTime, Seen: lease.Seq}
	err := t.x.submit(t.x.engine.life, cmd)
	switch {
	case err != nil:
		t.failed("the lease of the outbox could not be stored", err)
		return t.wait, mine && now.Before(t.until)
	case !cmd.Result.Held:
		return noRoomPause, false // another was faster; the state says so by now
	}
	t.wait, t.until = 0, now.Add(leaseTime-leaseMargin)
	if !shared {
		return forever, true
	}
	return time.Until(t.until.Add(-leaseTime / 2)), true
}
