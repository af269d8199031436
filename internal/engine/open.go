package engine

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// openers is how many exchanges the background opens at once. Each open reads with parallelism of
	// its own; visitors' opens come on top.
	openers = 4
	// openRetry and openRetryMax bound the pauses between the background's passes over exchanges that
	// could not be opened.
	openRetry    = time.Second
	openRetryMax = time.Minute
	// lookupSlots is how many ids nobody knows are looked up in the store at once, so that a flood of
	// invented ones costs the store little. lookupPatience is how long a call waits for a slot.
	lookupSlots    = 8
	lookupPatience = 5 * time.Second
	// openPatience is how long a visitor waits for an exchange that is being opened. On a store that hangs
	// that may take a minute for each object, and everyone is answered within ten seconds; the open goes on.
	openPatience = 4 * time.Second
	forever      = time.Duration(math.MaxInt64)
)

// opening is an exchange that is open, or that someone opens right now.
type opening struct {
	number uint64        // counts up; tells whether it began after a call did
	create bool          // whether the exchange is created where there is none
	done   chan struct{} // closed when x or err is set
	x      *running
	err    error // as eventlog.Open returned it

	residence
}

// find returns the exchange with that id, opening it if need be; leave must be called when it is not used
// any more. The error is eventlog.ErrNotFound where there is none, else an *exchange.Error.
func (e *Engine) find(ctx context.Context, id string, patience time.Duration) (x *running, leave func(), err error) {
	e.mu.Lock()
	o, known, begun := e.openings[id], e.isKnown(id), e.started
	if o != nil && o.x != nil && !o.leaving() {
		leave = e.use(o)
		e.mu.Unlock()
		return o.x, leave, nil
	}
	e.mu.Unlock()
	if o == nil && !known && (!e.store.Shared() || !exchange.ValidExchangeID(id)) {
		// Nobody else can have created it: this process lists at its start and registers by itself, and
		// where others register, they take ids of the new pattern only.
		return nil, nil, eventlog.ErrNotFound
	}
	for {
		x, leave, number, err := e.open(ctx, id, false, patience)
		// An open that began before this call may have looked before the exchange was created.
		if !errors.Is(err, eventlog.ErrNotFound) || number > begun {
			return x, leave, err
		}
	}
}

// open joins the opening of an exchange, or begins it. It returns the opening's number.
func (e *Engine) open(ctx context.Context, id string, create bool, patience time.Duration) (x *running, leave func(), number uint64, err error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		o, err := e.join(ctx, id, create)
		if err != nil {
			return nil, nil, 0, err
		}
		if err := e.waitFor(ctx, o.done, late); err != nil {
			return nil, nil, 0, err
		}
		switch {
		case errors.Is(o.err, eventlog.ErrNotFound):
			return nil, nil, o.number, o.err
		case o.err != nil && e.life.Err() != nil:
			return nil, nil, 0, errClosing()
		case o.err != nil:
			return nil, nil, 0, e.unreadable(ctx, o.err)
		}
		e.mu.Lock()
		gone := o.gone
		if gone == nil {
			leave = e.use(o)
		}
		e.mu.Unlock()
		if gone == nil {
			return o.x, leave, o.number, nil
		}
		// It is being put away. A log is not opened again before it is closed.
		if err := e.waitFor(ctx, gone, late); err != nil {
			return nil, nil, 0, err
		}
	}
}

// waitFor waits until an exchange was opened, or put away.
func (e *Engine) waitFor(ctx context.Context, done chan struct{}, late *time.Timer) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return e.unreadable(ctx, ctx.Err())
	case <-late.C:
		return refuse(exchange.CodeUnavailable, "The exchange is still being opened; try again shortly")
	}
}

// join returns the opening that is there, or a new one. Ids that may not exist wait for a slot first,
// in their caller's time: until then they leave nothing in memory.
func (e *Engine) join(ctx context.Context, id string, create bool) (*opening, error) {
	release := func() {}
	e.mu.Lock()
	o, known := e.openings[id], e.isKnown(id)
	e.mu.Unlock()
	if o != nil {
		return o, nil
	}
	if !known {
		var err error
		if release, err = e.lookupSlot(ctx); err != nil {
			return nil, err
		}
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.openings[id]; o != nil {
		release()
		return o, nil
	}
	if create && !e.isKnown(id) {
		if other := e.otherExchange(id); other != "" {
			release()
			return nil, errNameTaken("An exchange", other)
		}
	}
	if e.ended {
		release()
		return nil, errClosing()
	}
	if len(e.openings)-e.departures >= e.maxOpen && !e.evict() {
		release()
		return nil, refuse(exchange.CodeOverloaded, "Too many exchanges are in use; try again shortly")
	}
	e.started++
	o = &opening{number: e.started, create: create, done: make(chan struct{})}
	e.openings[id] = o
	e.goroutines.Go(func() {
		defer release()
		e.run(id, o)
	})
	return o, nil
}

// lookupSlot waits for one of the slots for ids that may not exist.
func (e *Engine) lookupSlot(ctx context.Context) (release func(), err error) {
	patience := time.NewTimer(lookupPatience)
	defer patience.Stop()
	select {
	case e.lookups <- struct{}{}:
		return func() { <-e.lookups }, nil
	case <-ctx.Done():
		return nil, e.unreadable(ctx, ctx.Err())
	case <-patience.C:
		return nil, refuse(exchange.CodeOverloaded, "Too many unknown exchanges are being asked for; try again shortly")
	}
}

// run opens an exchange, in the engine's time. Only what could be opened stays in memory.
func (e *Engine) run(id string, o *opening) {
	x, err := e.load(e.life, id, o.create)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		delete(e.openings, id)
		if errors.Is(err, eventlog.ErrNotFound) {
			delete(e.known, id)
		}
	} else {
		e.known[id] = struct{}{}
		o.used = time.Now()
		if seen, ok := e.seen[id]; ok {
			x.requests = seen
			delete(e.seen, id)
		}
	}
	o.x, o.err = x, err
	close(o.done)
}

func (e *Engine) load(ctx context.Context, id string, create bool) (*running, error) {
	x := &running{
		id:       id,
		engine:   e,
		machine:  newMachine(id, e.bodies),
		logger:   e.log.With("exchange", id),
		requests: map[string]time.Time{},
		original: map[string]originalDate{},
	}
	x.machine.deadline = x.deadline
	if e.tellers != nil {
		x.teller = newTeller(x)
		x.machine.outbox = x.teller.noted
	}
	x.machine.feed.feeds = &e.feeds
	if e.applied != nil {
		x.machine.applied = func(events []eventlog.Event) { e.applied(id, events) }
	}
	log, err := eventlog.Open(ctx, e.store, id, x.machine, eventlog.Options{
		Logger: e.log,
		Create: create,
		Adopt:  x.adopt,
		Fatal:  e.die,

		Observer: e.observer,
	})
	if err != nil {
		return nil, err
	}
	x.log = log
	x.machine.goLive()
	x.saveSoon()
	return x, nil
}

// isKnown reports whether the exchange exists. e.mu must be held.
func (e *Engine) isKnown(id string) bool {
	_, ok := e.known[id]
	return ok
}

// otherExchange returns an exchange that exists or is being created and whose id differs from id in
// case only, or "". e.mu must be held.
func (e *Engine) otherExchange(id string) string {
	for other := range e.known {
		if other != id && strings.EqualFold(other, id) {
			return other
		}
	}
	for other, o := range e.openings {
		if o.create && other != id && strings.EqualFold(other, id) {
			return other
		}
	}
	return ""
}

// openAll opens exchanges in the background, trying again those that could not be opened.
func (e *Engine) openAll(ids []string) {
	tried := sync.OnceFunc(func() { close(e.tried) })
	for wait := openRetry; ; wait = min(2*wait, openRetryMax) {
		ids = e.openPass(ids)
		if tried(); len(ids) == 0 {
			return
		}
		select {
		case <-e.closing:
			return
		case <-time.After(wait):
		}
	}
}

// openPass tries each exchange once and returns those that failed.
func (e *Engine) openPass(ids []string) []string {
	failed := make([]bool, len(ids))
	var pass errgroup.Group
	pass.SetLimit(openers)
	for i, id := range ids {
		pass.Go(func() error {
			select {
			case <-e.closing:
				return nil
			default:
			}
			_, leave, err := e.find(e.life, id, forever)
			if err == nil {
				leave()
			}
			e.mu.Lock()
			delete(e.untried, id)
			e.mu.Unlock()
			failed[i] = err != nil && !errors.Is(err, eventlog.ErrNotFound) && e.life.Err() == nil
			if failed[i] {
				e.log.Warn("an exchange can't be opened; trying again later", "exchange", id, "error", err)
			}
			return nil
		})
	}
	_ = pass.Wait() // its functions return nil
	var again []string
	for i, id := range ids {
		if failed[i] {
			again = append(again, id)
		}
	}
	return again
}
