package engine

import (
	"context"
	"time"
)

const (
	// maxOpen is how many exchanges are open at once. An exchange costs some 100 KB and its threads; one more
	// takes the place of the one that was not used for longest, and where all are in use it is a 503.
	maxOpen = 4096
	// idleAfter is how long an exchange stays open after its last use. Opening it again costs reading its
	// snapshot, so this is rather long.
	idleAfter = 30 * time.Minute
	// closeTime bounds closing the log of one. Nothing is queued by then but what nobody waits for.
	closeTime = 15 * time.Second
)

// residence is an exchange's stay in memory. Engine.mu guards it.
type residence struct {
	users int           // calls that use the exchange now
	used  time.Time     // when it was opened, or the last of them ended
	gone  chan struct{} // nil until it is being put away; closed when that is done
}

func (r *residence) leaving() bool { return r.gone != nil }

// use counts a call in. An exchange in use is not put away. e.mu must be held.
func (e *Engine) use(o *opening) (leave func()) {
	o.users++
	return func() {
		now := time.Now()
		e.mu.Lock()
		defer e.mu.Unlock()
		o.users--
		o.used = now
	}
}

// visit counts in one who must not keep the exchange open; false where it is not, or not any more.
func (e *Engine) visit(o *opening) (leave func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.x == nil || o.leaving() {
		return nil, false
	}
	o.users++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		o.users--
	}, true
}

// resident returns the exchanges that are open.
func (e *Engine) resident() []*opening {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*opening
	for _, o := range e.openings {
		if o.x != nil && !o.leaving() {
			all = append(all, o)
		}
	}
	return all
}

// evict begins to put away the exchange that was not used for longest, and reports whether there is one
// that nobody uses. e.mu must be held.
func (e *Engine) evict() bool {
	var oldest *opening
	for _, o := range e.openings {
		if o.x != nil && o.users == 0 && !o.leaving() && (oldest == nil || o.used.Before(oldest.used)) {
			oldest = o
		}
	}
	if oldest == nil || e.ended {
		return false
	}
	e.depart(oldest)
	return true
}

// putAway closes an exchange that was not used since then, and reports whether it begins to.
func (e *Engine) putAway(o *opening, since time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || o.x == nil || o.users > 0 || o.leaving() || o.used.After(since) {
		return false
	}
	e.depart(o)
	return true
}

// depart closes an exchange that nobody uses, in a goroutine that Close waits for. Who comes meanwhile waits
// for its end, then opens it again. What stays is when its executors were last seen. e.mu must be held.
func (e *Engine) depart(o *opening) {
	o.gone = make(chan struct{})
	e.departures++
	e.goroutines.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := o.x.log.Close(ctx); err != nil {
			o.x.logger.Warn("an exchange was not put away in order", "error", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.openings, o.x.id)
		e.departures--
		e.seen[o.x.id] = o.x.requests // nobody uses x any more
		close(o.gone)
	})
}
