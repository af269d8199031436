package engine

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// roundTime is how long a round waits for its attempts. Those that take longer are recorded as to be made again,
	// so that they are after a crash, and have their outcome in a later round.
	roundTime = time.Second
	// underWay is when an attempt that is recorded so would be made again by another process. This one knows better.
	underWay = 20 * time.Second
	// recorders is how many rounds are stored at once. The log makes one commit of those that come together.
	recorders = 16
	// lastRecord bounds recording what has come in while the engine closes.
	lastRecord = 3 * time.Second
)

// address is where a delivery of an event goes: an executor, and the name of a way.
type address struct{ executor, way string }

// telling is an event with attempts under way, or with something that is not recorded yet.
type telling struct {
	event int64
	content

	told     int                // of how many executors the first attempts were begun
	advanced bool               // told is not recorded yet
	outcomes []exchange.Outcome // not recorded yet
	gone     []*job             // of outcomes not recorded yet: the receiver wants no more
	under    map[address]*job
	first    time.Time // when the oldest of what is not recorded was there

	round *exchange.Deliver // being stored, or of an outcome that is not known
	rest  time.Time         // nothing of it is to be begun before
}

// unrecorded reports whether something would be lost with this process.
func (tl *telling) unrecorded() bool {
	return tl.advanced || len(tl.outcomes) > 0 || tl.round != nil
}

// add notes an outcome for the next round.
func (tl *telling) add(j *job, o exchange.Outcome) {
	if !tl.unrecorded() {
		tl.first = time.Now()
	}
	o.Executor, o.Way = j.executor, j.way.String()
	tl.outcomes = append(tl.outcomes, o)
}

// answer is what came of an attempt, or why it was not made.
type answer struct {
	telling *telling
	job     *job
	sent
}

// answered is called by the sender.
func (t *teller) answered(a answer) {
	t.mu.Lock()
	t.answers = append(t.answers, a)
	t.mu.Unlock()
	t.poke()
}

// collect takes what has come in from the sender.
func (t *teller) collect() {
	t.mu.Lock()
	answers := t.answers
	t.answers = nil
	t.mu.Unlock()
	for _, a := range answers {
		t.under--
		t.x.engine.tellers.room.give(1)
		if tl := a.telling; tl.under[a.job.address()] == a.job {
			delete(tl.under, a.job.address())
			t.judge(tl, a.job, a.sent)
			if len(tl.under) == 0 && !tl.unrecorded() {
				delete(t.tellings, tl.event)
			}
		}
	}
}

// untilRecord is when the next round is to be stored.
func (t *teller) untilRecord(now time.Time) time.Duration {
	next := forever
	for _, tl := range t.tellings {
		switch {
		case !tl.unrecorded():
		case len(tl.under) == 0 || tl.round != nil:
			return 0
		default:
			next = min(next, tl.first.Add(roundTime).Sub(now))
		}
	}
	return max(next, 0)
}

// record stores the rounds that are ready, or all. What can't be stored stays, and is tried again as it is: it may have
// been stored.
func (t *teller) record(all bool) {
	now, ctx := time.Now(), t.x.engine.life
	if now.Before(t.rest) && !all {
		return
	}
	if all {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastRecord)
		defer cancel()
	}
	var ready []*telling
	for _, tl := range t.tellings {
		if tl.unrecorded() && (all || tl.round != nil || len(tl.under) == 0 || now.Sub(tl.first) >= roundTime) && t.makeRound(tl) {
			ready = append(ready, tl)
		}
	}
	if len(ready) == 0 {
		return
	}
	errs := make([]error, len(ready))
	var stores errgroup.Group
	stores.SetLimit(recorders)
	for i, tl := range ready {
		stores.Go(func() error {
			errs[i] = t.x.submit(ctx, tl.round)
			return nil
		})
	}
	_ = stores.Wait() // its functions return nil
	var failure error
	var gone []*job
	for i, tl := range ready {
		switch {
		case errs[i] != nil && codeIs(errs[i], exchange.CodeReadOnly):
			delete(t.tellings, tl.event) // a newer version of the server goes on
		case errs[i] != nil:
			failure = errs[i]
		case tl.round.Result.Stale:
			delete(t.tellings, tl.event) // the state says what is left of it
		default:
			gone = append(gone, t.recorded(tl)...)
		}
	}
	if failure != nil {
		t.failed("what came of notifications could not be stored", failure)
	} else {
		t.wait = 0
	}
	t.turnOff(gone)
}

// makeRound puts together the next round of an event, where it has none that is in doubt. False: nobody is to be told
// of the event any more.
func (t *teller) makeRound(tl *telling) bool {
	if tl.round != nil {
		return true
	}
	m := t.x.machine
	m.mu.RLock()
	u, open := m.state.Undelivered(tl.event)
	m.mu.RUnlock()
	if !open {
		delete(t.tellings, tl.event)
		return false
	}
	now := t.x.engine.store.Now()
	tl.round = &exchange.Deliver{Event: tl.event, Round: u.Round + 1, Told: tl.told}
	tl.round.Outcomes = append(tl.round.Outcomes, tl.outcomes[:min(len(tl.outcomes), exchange.MaxOutcomes-len(tl.under))]...)
	tl.outcomes = tl.outcomes[len(tl.round.Outcomes):]
	for _, j := range tl.under {
		if !j.recorded {
			tl.round.Outcomes = append(tl.round.Outcomes, underWayAt(j, now))
			j.recorded = true // with the round, which is tried until it is
		}
	}
	tl.advanced = false
	return true
}

// underWayAt says of an attempt that it is to be made again, should this process not live to say what came of it.
func underWayAt(j *job, now time.Time) exchange.Outcome {
	return exchange.Outcome{
		Executor: j.executor, Way: j.way.String(), Attempt: j.attempts, Outcome: exchange.OutcomeRetry, Reason: isUnderWay, Next: now.Add(underWay),
	}
}

// recorded follows up a round that was stored, and returns whose receivers want no more.
func (t *teller) recorded(tl *telling) (gone []*job) {
	for _, o := range tl.round.Outcomes {
		log := t.x.logger.Debug
		if o.Outcome == exchange.OutcomeFailed {
			log = t.x.logger.Info
		}
		if told := t.x.engine.notify.Delivered; told != nil && o.Reason != isUnderWay {
			told(o.Way[strings.LastIndexByte(o.Way, ' ')+1:], o.Outcome)
		}
		log("a notification", "ref", tl.ref, "executor", o.Executor, "channel", o.Way, "outcome", o.Outcome, "attempt", o.Attempt, "reason", o.Reason)
	}
	tl.round = nil
	if len(tl.outcomes) > 0 {
		tl.first = time.Now()
	}
	gone, tl.gone = tl.gone, nil
	if len(tl.under) == 0 && !tl.unrecorded() {
		delete(t.tellings, tl.event)
	}
	return gone
}
