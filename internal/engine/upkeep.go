package engine

import (
	"context"
	"errors"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

const (
	// upkeepEvery is how often open exchanges are looked at.
	upkeepEvery = 10 * time.Second
	// A snapshot is due when the events after the last one are as many as an eighth of the threads, and
	// snapshotAfter at least: so writing them costs each event a part of a thread or so, and a start reads
	// an eighth more than it must. closeAfter is from when on one is worth its write where an exchange is
	// closed: fewer events are read again as fast.
	snapshotAfter = 4096
	snapshotPart  = 8
	closeAfter    = 256
	// snapshotRetry is how long after a failure the next one is tried.
	snapshotRetry = 5 * time.Minute
)

// upkeepLoop writes the snapshots that are due and puts away exchanges that nobody uses, one after the
// other, until the engine closes. No call waits for it.
func (e *Engine) upkeepLoop() {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.closing:
			return
		case <-tick.C:
		}
		e.Upkeep()
	}
}

// Upkeep writes the snapshots that are due and puts away exchanges that nobody uses. An engine that keeps the time
// does so by itself.
func (e *Engine) Upkeep() {
	all := e.resident()
	spare := map[*opening]bool{}
	for _, o := range e.spare(all) {
		spare[o] = true
	}
	for _, o := range all {
		select {
		case <-e.closing:
			return
		default:
			e.upkeep(o, spare[o])
		}
	}
}

func (e *Engine) upkeep(o *opening, spare bool) {
	leave, ok := e.visit(o)
	if !ok {
		return
	}
	idleSince := time.Now().Add(-idleAfter)
	e.mu.Lock()
	idle := spare && o.users == 1 && o.used.Before(idleSince)
	e.mu.Unlock()
	if idle {
		o.x.snapshot(e.life, closeAfter)
	} else {
		o.x.snapshot(e.life, o.x.snapshotDue())
	}
	leave()
	if idle && e.putAway(o, idleSince) {
		o.x.logger.Debug("an exchange that nobody uses was put away")
	}
}

// snapshotDue is how many events make a snapshot worth its write.
func (x *running) snapshotDue() int64 {
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	return max(x.engine.snapshots, int64(x.machine.state.Len()/snapshotPart))
}

// snapshot writes one if at least that many events are not in any. Nobody waits for it, so what fails is
// only said, and tried again later.
func (x *running) snapshot(ctx context.Context, unsaved int64) {
	x.snapshots.Lock()
	defer x.snapshots.Unlock()
	if x.log.Unsaved() < unsaved || time.Since(x.snapshotFailed) < snapshotRetry {
		return
	}
	began := time.Now()
	err := x.log.Snapshot(ctx)
	switch {
	case err == nil:
		x.logger.Debug("a snapshot was written", "took", time.Since(began).Round(time.Millisecond).String())
		return
	case x.engine.store.Fatal(err):
		x.engine.die(err)
		return
	case errors.Is(err, eventlog.ErrFormat), ctx.Err() != nil && x.engine.life.Err() != nil:
		return
	}
	x.snapshotFailed = time.Now()
	x.logger.Warn("a snapshot could not be written; trying again later", "error", err)
}

// saveSoon sets an alarm for a snapshot where one has become worth its write and no loop looks for that. So what a start
// has to read is bounded though the process ends without a word at any time. It costs a look at two numbers.
func (x *running) saveSoon() {
	if x.engine.clock != nil || x.log.Unsaved() < x.snapshotDue() || !x.saving.CompareAndSwap(false, true) {
		return
	}
	x.engine.saves.put(x.id, x.engine.store.Now().Add(upkeepEvery), upkeepEvery)
}

// saveDue writes the snapshot of an exchange for which saveSoon has set the alarm. One that was put away since has
// written it, or has nothing to write.
func (e *Engine) saveDue(exchangeID string) {
	e.mu.Lock()
	o := e.openings[exchangeID]
	e.mu.Unlock()
	if o == nil {
		return
	}
	leave, ok := e.visit(o)
	if !ok {
		return
	}
	defer leave()
	o.x.saving.Store(false)
	o.x.snapshot(e.life, o.x.snapshotDue())
}
