package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// watchEvery is how often a replica looks what others did in the exchanges that nobody uses here, so that
	// it knows their deadlines when the others die. It costs one read for an absent key each.
	watchEvery = 10 * time.Second
	// lookEvery is how often it looks for exchanges that others have opened: two short listings.
	lookEvery = time.Minute
	// maxWatched is how many exchanges stay open on a shared store though nobody uses them, those used last.
	// watchers is how many are looked at at once.
	maxWatched = 256
	watchers   = 8
)

// watchLoop keeps this replica informed of what others do, until the engine closes. Without it, a deadline would
// be missed whose exchange was open only at a replica that died.
func (e *Engine) watchLoop() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	looked := time.Now()
	for {
		select {
		case <-e.closing:
			return
		case <-tick.C:
		}
		if time.Since(looked) >= lookEvery {
			looked = time.Now()
			e.lookForOthers()
		}
		e.watch()
	}
}

// watch brings open exchanges to the head of their logs. Where that fails, whoever asks is told; here the
// next round tries again.
func (e *Engine) watch() {
	var round errgroup.Group
	round.SetLimit(watchers)
	for _, o := range e.resident() {
		leave, ok := e.visit(o)
		if !ok {
			continue
		}
		if o.x.followed() {
			leave()
			continue
		}
		round.Go(func() error {
			defer leave()
			ctx, cancel := context.WithTimeout(e.life, answerTime)
			defer cancel()
			if err := o.x.log.Sync(ctx); err != nil && e.life.Err() == nil {
				o.x.logger.Debug("could not look what other replicas did", "error", err)
			}
			return nil
		})
	}
	_ = round.Wait() // its functions return nil
}

// lookForOthers opens exchanges that other replicas have opened since the start.
func (e *Engine) lookForOthers() {
	ctx, cancel := context.WithTimeout(e.life, lookEvery)
	defer cancel()
	ids, err := Exchanges(ctx, e.store, nil)
	if err != nil {
		e.log.Debug("could not look for exchanges of other replicas", "error", err)
		return
	}
	e.mu.Lock()
	fresh := slices.DeleteFunc(ids, e.isKnown)
	e.mu.Unlock()
	if len(fresh) > 0 {
		e.openPass(fresh) // what fails is found by the next look
	}
}

// spare returns the exchanges that may be put away: all on a store of this process alone, those above
// maxWatched that were used least lately on a shared one.
func (e *Engine) spare(all []*opening) []*opening {
	if !e.store.Shared() {
		return all
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.SortFunc(all, func(a, b *opening) int {
		return cmp.Or(-a.used.Compare(b.used), cmp.Compare(a.x.id, b.x.id))
	})
	return all[min(maxWatched, len(all)):]
}
