package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Machine is the state that a log drives. The log calls Apply and Fork one at a time, and decides the
// commands of a batch before it calls either again. One that is a Projection, too, need not be fed the whole
// log at every start.
type Machine interface {
	// Apply folds the events of one durable commit, in order. Events of the original server come
	// first (Seq 0), then exchange_opened, then the log's own. A payload is a part of the bytes of its
	// whole object: a machine that keeps one, or a piece of it, must copy it.
	Apply(events []Event)
	// Fork returns a tentative state on top of the durable one, for the decisions of one batch.
	// It is dropped when the batch has been decided; Apply is not called before that.
	Fork() Tentative
}

// Tentative is the state that the commands of one batch are decided on, one after the other.
type Tentative interface {
	// Apply folds one event decided in this batch.
	Apply(e Event)
}

// Command is something that may append to the log.
type Command interface {
	// Decide returns the events that the command appends to the state on, which is the Tentative
	// of the machine's last Fork. No events: a refusal, or nothing to change. It may be called
	// again after a lost race, on a newer state and with a later now; only what the last call left
	// behind counts, and only once Submit returned nil. It must not block.
	Decide(on Tentative, now time.Time) []Draft
}

var (
	// ErrNotFound: there is no such log, and no data of the original server either.
	ErrNotFound = errors.New("no such log")
	// ErrOverloaded: too many commands wait, or other writers won every race; nothing was stored.
	ErrOverloaded = errors.New("too many commands are waiting")
	// ErrUnavailable: the store refused or could not be reached; nothing was stored.
	ErrUnavailable = errors.New("the store is not available")
	// ErrOutcomeUnknown: the commit was sent and whether it was stored could not be found out in time.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrTooLarge: the command's events do not fit into one commit; nothing was stored.
	ErrTooLarge = errors.New("too large for one commit")
	// ErrFormat: the log is in a format this version does not write; it can be read.
	ErrFormat = errors.New("log format not supported for writing")
	// ErrClosed: the log was closed, or stopped after a fatal error.
	ErrClosed = errors.New("the log is closed")
)

// Options of a Log. The zero value is usable.
type Options struct {
	Logger *slog.Logger
	// Create opens the log where there is none. Without it Open returns ErrNotFound.
	Create bool
	// Adopt returns the "executors" object of the genesis event for data of the original server:
	// {id: {display_name, capabilities, api_key_hash}}. It is called only where there is such data
	// and no genesis yet.
	Adopt func(ctx context.Context) (json.RawMessage, error)
	// Fatal is called once, in a goroutine of its own, when the log can't go on without risking a
	// lie: a failed fsync, a second writer on a directory, a damaged log. What was submitted is not
	// answered any more; the process should exit.
	Fatal func(error)
	// Observer is told what becomes of the log's work; nil is nobody.
	Observer Observer
}

// Log is one exchange's event log, opened and caught up. Its methods may be called from any
// goroutine. It owns two: the committer, from Open to Close, and a head check while someone waits
// for one.
type Log struct {
	store     Store
	exchange  string
	names     names
	machine   Machine
	fatal     func(error)
	log       *slog.Logger
	observer  Observer
	readOnly  error    // ErrFormat, or nil; fixed at Open
	originals []string // keys of the original server's objects, sorted; fixed at Open
	restored  bool     // Open began with a snapshot

	ctx    context.Context // the committer's and the head checks'; never a request's
	cancel context.CancelFunc
	ended  chan struct{} // closed when the committer has returned
	wake   chan struct{} // one token: the queue or closed changed

	mu      sync.Mutex
	head    head
	days    []chapter // genesis's not among them
	marks   []mark    // in log order; who reads by seq has the slice as it was (marks.go)
	queue   []*pending
	closed  bool
	failed  error               // set once; nothing is decided or proved any more
	own     map[string]struct{} // first event ids of every attempt of ours at the next position
	won     string              // the one of them that was last found in the log
	open    time.Time           // when, by the store, the log's day was last proved open (fence.go)
	met     time.Time           // when a commit of another writer was last met
	checked time.Time           // when the state was last proved to be the head
	running *headCheck
	waiting *headCheck
	unsaved int64 // events applied since the last snapshot

	saving chan struct{} // holds a token while a snapshot is written

	took   time.Duration  // how long the last commit took; the committer's own
	checks sync.WaitGroup // the goroutine that runs head checks
}

// head is the next position and what must be known to write there. The zero seq is genesis.
type head struct {
	next     int64     // the seq that the next event gets
	day      day       // the day that holds it
	dayFirst int64     // the first position of that day
	ts       time.Time // of the last event; no later one may be before it
	key      string    // of the last commit
	last     string    // event_id of the last event
	closing  string    // key of the last commit of the day before, "" for none
	size     int64     // bytes of the day's commits so far
}

func (h head) place(exchange string) place {
	return place{day: h.day, seq: h.next, key: positionKey(exchange, h.day, h.next)}
}

// firstPlace is where the day of the next position begins.
func (h head) firstPlace(exchange string) place {
	return place{day: h.day, seq: h.dayFirst, key: positionKey(exchange, h.day, h.dayFirst)}
}

// Open brings m, which was fed nothing yet, to the state of the log of exchange, with the head checked at the
// end: from a snapshot where m is a Projection and there is one, else from the log's beginning. It returns
// ErrNotFound, or another error where the store can't be read; m must not be used then.
func Open(ctx context.Context, store Store, exchange string, m Machine, o Options) (*Log, error) {
	l := &Log{
		store: store, exchange: exchange, names: namesOf(exchange), machine: m, fatal: o.Fatal,
		log:   o.Logger,
		ended: make(chan struct{}), wake: make(chan struct{}, 1),
		own: map[string]struct{}{}, saving: make(chan struct{}, 1),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.observer = o.Observer; l.observer == nil {
		l.observer = unobserved{}
	}
	begun := time.Now()
	l.log = l.log.With("exchange", exchange)
	g, err := loadGenesis(ctx, store, exchange, o)
	if err != nil {
		return nil, err
	}
	if err := l.load(ctx, g); err != nil {
		return nil, fmt.Errorf("replay the log of %s: %w", exchange, err)
	}
	if err := l.settle(ctx); err != nil {
		return nil, fmt.Errorf("settle the log of %s: %w", exchange, err)
	}
	if ahead := l.head.ts.Sub(store.Now()); ahead > time.Minute {
		l.log.Warn("the last event is ahead of the clock; new events get its time until the clock is there", "ahead", ahead)
	}
	l.observer.Opened(time.Since(begun), l.restored)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.commitLoop()
	return l, nil
}

// settle makes durable what a killed predecessor may have left visible only: the last commit and the
// last two days' folders. Everything before them was durable before the next position was written. One that
// is gone, as in a snapshot older than a merge, is in a merged day now, which is durable.
func (l *Log) settle(ctx context.Context) error {
	for _, key := range []string{l.head.closing, l.head.key} {
		if key == "" {
			continue
		}
		if err := l.store.Settle(ctx, key); err != nil && !l.store.NoSuchKey(err) {
			return err
		}
	}
	return nil
}

// Head returns the seq of the last applied event; 0 for a log without events.
func (l *Log) Head() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.next - 1
}

// apply folds an object that stands at the next position, and reports whether it was there first. An
// object counts only as a whole at the next position, or as the first of its day, where a merge may
// have put commits that are known already (storage rule 18). l.mu must be held.
func (l *Log) apply(o object) (bool, error) {
	h := &l.head
	if o.last() < h.next {
		return false, nil
	}
	events := o.events
	if o.day != h.day || o.first() > h.next || (o.first() < h.next && o.first() != h.dayFirst) {
		return false, fmt.Errorf("%w: %s does not follow seq %d", errCorrupt, o.place, h.next-1)
	}
	next := *h
	if o.first() < h.next {
		next.size = 0
	}
	placeEvents(events, next.size)
	next.size += int64(len(o.data))
	events = events[h.next-o.first():]
	days, marks := l.days, markObject(l.marks, *h, o, events)
	for i, e := range events {
		if e.TS.Before(next.ts) {
			return false, fmt.Errorf("%w: event %d is older than the one before it", errCorrupt, e.Seq)
		}
		next.ts, next.next, next.key, next.last = e.TS, e.Seq+1, o.key, e.ID
		if e.Type != typeDayClosed {
			continue
		}
		d, err := nextDay(e.Payload)
		if err != nil || d <= next.day || i != len(events)-1 {
			return false, fmt.Errorf("%w: event %d closes its day wrongly", errCorrupt, e.Seq)
		}
		days = slices.Clone(days) // who reads by position has the old ones
		days[len(days)-1].closed, days[len(days)-1].size = e.TS, next.size
		days = append(days, chapter{day: d, first: e.Seq + 1})
		next.day, next.dayFirst, next.closing, next.size = d, e.Seq+1, o.key, 0
	}
	_, mine := l.own[events[0].ID]
	if mine {
		l.won = events[0].ID
	} else {
		l.met = time.Now()
	}
	clear(l.own)
	*h, l.days, l.marks = next, days, marks
	l.unsaved += int64(len(events))
	l.machine.Apply(events)
	return mine, nil
}

// fail ends the log for good: nothing is answered from it any more. l.mu must not be held.
func (l *Log) fail(err error) {
	l.mu.Lock()
	first := l.failed == nil
	if first {
		l.failed = err
	}
	l.mu.Unlock()
	if !first {
		return
	}
	l.log.Error("the log stops", "error", err)
	l.cancel()
	if l.fatal != nil {
		go l.fatal(fmt.Errorf("the log of %s: %w", l.exchange, err))
	}
}

// stopped returns the error for callers of a log that has failed, or nil. l.mu must be held.
func (l *Log) stopped() error {
	if l.failed != nil {
		return fmt.Errorf("%w: %w", ErrClosed, l.failed)
	}
	return nil
}

// Close stops taking commands (ErrClosed), lets those already queued finish, and ends the log's
// goroutines. When ctx ends first, what is still waiting is answered ErrClosed or ErrOutcomeUnknown.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
	var err error
	select {
	case <-l.ended:
	case <-ctx.Done():
		err = fmt.Errorf("close the log of %s: %w", l.exchange, ctx.Err())
	}
	l.cancel()
	<-l.ended
	l.checks.Wait()
	l.saving <- struct{}{} // none is being written, and none will be
	<-l.saving
	return err
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
