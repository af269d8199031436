package engine

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

const (
	// compactAfter is how long after its start an engine first looks for days to merge, compactEvery how
	// long after that it looks again. Up to compactSpread is added by chance to each, so that replicas that
	// started together do not do the same work together. That would cost requests and break nothing.
	compactAfter  = 5 * time.Minute
	compactEvery  = 24 * time.Hour
	compactSpread = 30 * time.Minute
)

// compactLoop merges closed days of every exchange, one exchange after the other, each at most once a
// day, until the engine closes. The engine owns its goroutine: Start begins it, and Close ends it in the
// middle of a merge if need be, which the next one finishes.
//
// An exchange that is not open is opened for it and put away again: the log of one that is being opened on
// a directory is read without regard to merges by the same process.
func (e *Engine) compactLoop() {
	// Drawn from the moment of the start, which no two replicas share, so that simulated time draws the same again.
	dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for wait := compactAfter; ; wait = compactEvery {
		select {
		case <-e.closing:
			return
		case <-time.After(wait + time.Duration(dice.Int64N(int64(compactSpread)))):
		}
		e.Tidy()
	}
}

// Tidy merges closed days of every exchange and deletes what no event names, one exchange after the other. An engine
// that keeps the time does so by itself, once a day.
func (e *Engine) Tidy() { e.TidySome(e.life) }

// TidySome is Tidy in slices, for who can't take the time for all: it goes on behind the exchange that was the last one
// in the call before, does one at least, and stops between two of them when ctx has ended. True: all have been done, and
// the next call begins anew.
func (e *Engine) TidySome(ctx context.Context) (through bool) {
	e.mu.Lock()
	ids := slices.Sorted(maps.Keys(e.known))
	last := e.tidied
	e.mu.Unlock()
	next, done := slices.BinarySearch(ids, last)
	if done {
		next++
	}
	for i, id := range ids[next:] {
		if i > 0 && ctx.Err() != nil {
			return false
		}
		select {
		case <-e.closing:
			return false
		default:
			e.compact(id)
		}
		e.mu.Lock()
		e.tidied = id
		e.mu.Unlock()
	}
	e.mu.Lock()
	e.tidied = ""
	e.mu.Unlock()
	return true
}

func (e *Engine) compact(id string) {
	e.mu.Lock()
	o := e.openings[id]
	e.mu.Unlock()
	if o != nil {
		if leave, ok := e.visit(o); ok {
			o.x.tidy()
			leave()
			return
		}
	}
	x, leave, err := e.find(e.life, id, forever)
	if err != nil {
		if e.life.Err() == nil {
			e.log.Warn("closed days could not be merged; trying again tomorrow", "exchange", id, "error", err)
		}
		return
	}
	x.tidy()
	leave()
	e.mu.Lock()
	o = e.openings[id]
	e.mu.Unlock()
	if o != nil {
		e.putAway(o, time.Now())
	}
}

// tidy is what is done once a day for each exchange.
func (x *running) tidy() {
	x.compact()
	x.deleteLeftovers(x.engine.life)
	x.collect()
}

// compact merges what can be merged of one exchange. Nobody waits for it, so what fails is only said.
func (x *running) compact() {
	e := x.engine
	began := time.Now()
	c, err := eventlog.Compact(e.life, e.store, x.id)
	for _, d := range c.Days {
		x.logger.Info("a day was merged into one object", "day", d.Day, "bytes", d.Bytes, "deleted", d.Deleted, "took", time.Since(began).Round(time.Millisecond).String())
	}
	for _, kept := range c.Kept {
		x.logger.Warn("a closed day can't be merged", "reason", kept)
	}
	switch {
	case err == nil, e.life.Err() != nil:
	case e.store.Fatal(err):
		e.die(err)
	default:
		x.logger.Warn("closed days could not be merged; trying again tomorrow", "error", err)
	}
}
