package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Store is what the engine keeps things in: the log's store, and profile objects that are replaced
// only where nobody else changed them.
type Store interface {
	eventlog.Store

	// Load returns an object and its version, an opaque word that changes with the content.
	// NoSuchKey(err) where there is none.
	Load(ctx context.Context, key string) (data []byte, version string, err error)
	// Replace overwrites the object where it still has that version; Changed(err) where it has
	// another, NoSuchKey(err) or Changed(err) where it is gone. With version "" it creates the object;
	// Exists(err) where there is one. Durable when it returns nil.
	Replace(ctx context.Context, key, version string, data []byte) error
	// Changed reports that a Replace met another version.
	Changed(err error) bool
	// Spelling returns the name under which folder (ending in "/", or "") already holds an entry that
	// differs from name in upper and lower case only, or "". name is a single path element. Stores that
	// tell cases apart, and whose data never moves to one that does not, return "".
	Spelling(ctx context.Context, folder, name string) (string, error)
}

// Options of an Engine.
type Options struct {
	Logger *slog.Logger
	// Fatal is called once when nothing may be answered any more and the process should exit. It may
	// be called from any goroutine and should return soon.
	Fatal func(error)
	// Applied is told each commit of an exchange when it has become part of the state, in order and from the
	// first one behind the snapshot that the exchange was opened with. It must not block, nor call the engine.
	Applied func(exchangeID string, events []eventlog.Event)
	// Observer is told what becomes of the logs' work; nil is nobody.
	Observer eventlog.Observer
	// SnapshotAfter is how many events make a snapshot worth its write. 0 is the usual, which fits all but
	// tests.
	SnapshotAfter int64
	// Wake is for who runs the engine where a timer must not: it is told when there is something to do, and has
	// RunDue called then. The engine then has no timer of its own but while RunDue runs, and looks for nothing by itself:
	// Upkeep every now and then, and once a day Tidy or TidySome, are to be called. It must not wait, nor call the
	// engine. nil: the engine keeps the time.
	Wake func(at time.Time)
	// Notify is what telling executors of changes needs.
	Notify Notify
}

// Engine runs all exchanges of one store. Its methods may be called from any goroutine once Start
// has returned. Every error of a call made for a client is an *exchange.Error; where the call's own
// context has ended, it wraps that context's error too (errors.Is(err, ctx.Err())), and no other
// error wraps context.Canceled or context.DeadlineExceeded. Start and Close return plain errors.
type Engine struct {
	store Store
	log   *slog.Logger

	life     context.Context // of opens, followers and writes that outlive their request
	stop     context.CancelFunc
	closing  chan struct{} // closed when Close begins
	release  func()        // closes released
	released chan struct{} // closed when nobody is to wait any more
	die      func(error)   // calls Options.Fatal, once
	applied  func(exchangeID string, events []eventlog.Event)
	observer eventlog.Observer
	notify   Notify
	tellers  *tellers // nil where nothing is delivered

	lookups  chan struct{} // one token per unknown exchange id that is being looked up or created
	profiles profileTurns

	calls      sync.WaitGroup // calls in progress; none is added once closed is set
	leave      func()         // ends one of them
	goroutines sync.WaitGroup // none is added once ended is set

	mu       sync.Mutex
	closed   bool
	ended    bool
	openings map[string]*opening // open exchanges, those being opened and those being put away
	known    map[string]struct{} // ids of exchanges that exist: listed at the start, or opened since
	started  uint64              // openings so far
	listed   bool                // the listing of the start is done
	found    int                 // exchanges in it
	untried  map[string]struct{} // those of them that the background has not yet tried to open

	maxOpen    int                             // maxOpen, but in tests
	snapshots  int64                           // snapshotAfter, but in tests
	departures int                             // openings that are being put away
	seen       map[string]map[string]time.Time // of exchanges that were put away: running.requests

	feeds     atomic.Int64 // exchanges that somebody follows
	streams   atomic.Int64 // calls of Follow that wait for events
	reads     atomic.Int64 // calls of AwaitThread that wait for a change
	alarms    alarms
	saves     alarms // for snapshots; only with Options.Wake
	errands   errands
	clock     *timekeeper // nil with Options.Wake, as is tellClock, which is that of the tellers' alarms
	tellClock *timekeeper
	tried     chan struct{} // closed when each exchange of the start was tried to open once
	bodies    *bodies
	reading   *semaphore.Weighted // bytes of bodies that are read from the log for calls in progress
	tidied    string              // the exchange that TidySome did last; "" before the first. Guarded by mu
	uploads   uploads
	storage   storage
	links     linkSecrets
}

// New returns an engine. It reads nothing yet.
func New(store Store, o Options) *Engine {
	e := &Engine{
		store:     store,
		log:       o.Logger,
		applied:   o.Applied,
		observer:  o.Observer,
		notify:    o.Notify,
		closing:   make(chan struct{}),
		released:  make(chan struct{}),
		tried:     make(chan struct{}),
		lookups:   make(chan struct{}, lookupSlots),
		profiles:  newProfileTurns(),
		openings:  map[string]*opening{},
		known:     map[string]struct{}{},
		untried:   map[string]struct{}{},
		maxOpen:   maxOpen,
		snapshots: cmp.Or(o.SnapshotAfter, snapshotAfter),
		seen:      map[string]map[string]time.Time{},
		bodies:    newBodies(bodiesLimit()),
		reading:   semaphore.NewWeighted(maxReading),
		uploads:   uploads{by: map[executorName]int{}},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.leave = e.calls.Done
	e.release = sync.OnceFunc(func() { close(e.released) })
	wake := e.wakes(o.Wake)
	e.alarms = alarms{set: map[string]*alarm{}, wake: wake}
	e.saves = alarms{set: map[string]*alarm{}, wake: wake}
	if o.Notify.Sender != nil {
		e.tellers = newTellers(wake)
	}
	if o.Wake == nil {
		e.clock, e.tellClock = e.newClock(), e.newClock()
		e.alarms.wake = e.clock.wake
		if e.tellers != nil {
			e.tellers.alarms.wake = e.tellClock.wake
		}
	}
	e.life, e.stop = context.WithCancel(context.Background())
	var once sync.Once
	e.die = func(err error) {
		once.Do(func() {
			e.log.Error("nothing may be answered any more", "error", err)
			if o.Fatal != nil {
				o.Fatal(err)
			}
		})
	}
	return e
}

// Start writes the schema object, finds the exchanges of the store and opens them in the background.
// It returns when the listing is done; an exchange asked for before its turn is opened at once.
func (e *Engine) Start(ctx context.Context) error {
	if err := eventlog.WriteSchema(ctx, e.store); err != nil {
		return err
	}
	ids, err := Exchanges(ctx, e.store, func(key string) {
		e.log.Warn("something that is no exchange is left alone", "key", key)
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	for _, id := range ids {
		e.known[id], e.untried[id] = struct{}{}, struct{}{}
	}
	e.listed, e.found = true, len(ids)
	e.mu.Unlock()
	e.log.Debug("exchanges found", "count", len(ids))
	background := []func(){func() { e.openAll(ids) }}
	if e.clock != nil {
		background = append(background, e.compactLoop, e.upkeepLoop)
		if e.store.Shared() {
			background = append(background, e.watchLoop)
		}
	}
	for _, f := range background {
		if !e.spawn(f) {
			return errClosing()
		}
	}
	return nil
}

// Close stops taking commands, finishes those that are queued and ends all goroutines; at most until
// ctx ends.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	close(e.closing)
	e.alarms.close()
	e.saves.close()
	if e.tellers != nil {
		e.tellers.alarms.close()
	}
	if e.clock != nil {
		e.clock.stop()
		e.tellClock.stop()
	}

	// Calls before logs: a call may still have something to submit. Life ends between them: what is
	// being opened in the background now has no one to serve.
	unfinished := await(ctx, &e.calls)
	e.stop()
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	unfinished = errors.Join(unfinished, await(ctx, &e.goroutines), e.closeLogs(ctx))
	if unfinished != nil {
		return fmt.Errorf("close the engine: %w", unfinished)
	}
	return nil
}

// closeLogs ends every log, with a snapshot for the next start. They do so beside each other.
func (e *Engine) closeLogs(ctx context.Context) error {
	var (
		logs sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, o := range e.resident() {
		logs.Go(func() {
			o.x.snapshot(ctx, closeAfter)
			if err := o.x.log.Close(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	logs.Wait()
	return errors.Join(errs...)
}

// await waits for g until ctx ends.
func await(ctx context.Context, g *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		g.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter begins a call, so that Close waits for it; leave ends it. CodeUnavailable once Close has begun.
func (e *Engine) enter() (leave func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosing()
	}
	e.calls.Add(1)
	return e.leave, nil
}

// spawn runs f in a goroutine that Close waits for; false once Close no longer does.
func (e *Engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return false
	}
	e.goroutines.Go(f)
	return true
}

// detached returns a context for work that must not stop halfway because a client went away: it
// ends with the engine, or after d.
func (e *Engine) detached(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	release := context.AfterFunc(e.life, cancel)
	return ctx, func() {
		release()
		cancel()
	}
}

// Caller is who is behind a request: an executor of an exchange, and the hash of the key shown.
type Caller struct {
	Exchange string
	exchange.Caller
}
