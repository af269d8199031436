package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// replica is a server, of which one process runs at a time.
type replica struct {
	number    int
	world     *world
	skew      atomic.Int64 // nanoseconds that its clock is off
	suspended int          // the turn before which nothing reaches its process or leaves it

	cutOff int // the turn before which nothing comes back to it

	process  int // counts up
	up       bool
	starting bool
	warm     bool // the exchange is open: calls need not wait for the same thing any more
	born     time.Time
	life     context.Context
	kill     context.CancelFunc
	view     *view
	engine   *engine.Engine

	started chan error // of one place
	merging bool
	merged  chan merge // of one place
}

// merge is what became of a compaction.
type merge struct {
	eventlog.Compaction
	err error
}

// takesCalls tells whether a client can begin a call. Until the exchange is open only one may: several that
// wait for the same thing would go on at the same time, in an order that nobody chose.
func (r *replica) takesCalls(w *world) bool {
	busy := 0
	for _, o := range w.running {
		if o.replica == r {
			busy++
		}
	}
	return r.up && (r.warm || busy == 0) && (w.turn >= r.suspended || busy < 2)
}

// answered learns from an answer that the exchange is open here.
func (r *replica) answered(o *operation) {
	switch o.code() {
	case exchange.CodeUnavailable, exchange.CodeOutcomeUnknown, exchange.CodeOverloaded:
	default:
		r.warm = r.warm || o.process == r.process
	}
}

// boot starts a process.
func (w *world) boot(r *replica) {
	r.process++
	w.tracef("r%d starts process %d", r.number, r.process)
	v := newView(w.bucket, w, r.number, func() time.Time { return w.now().Add(time.Duration(r.skew.Load())) })
	w.mu.Lock()
	r.view = v
	w.mu.Unlock()
	r.starting, r.born, r.warm, r.merging = true, time.Now(), false, false
	r.life, r.kill = context.WithCancel(context.Background())
	r.started, r.merged = make(chan error, 1), make(chan merge, 1)
	e := engine.New(v, engine.Options{
		Logger:        w.logger(r),
		SnapshotAfter: 10,
		Fatal:         func(err error) { w.fail("r%d stops for good: %v", r.number, err) },
		Applied: func(_ string, events []eventlog.Event) {
			w.mu.Lock()
			live := r.view == v
			w.mu.Unlock()
			for _, e := range events {
				if live {
					w.witness.applied(r.number, exchange.Event(e))
				}
			}
		},
	})
	r.engine = e
	go func(ctx context.Context, started chan<- error) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		started <- e.Start(ctx)
	}(r.life, r.started)
}

// logger keeps what the engine of a replica logs, for the reader of a trace.
func (w *world) logger(r *replica) *slog.Logger {
	if !*showTrace {
		return nil
	}
	return slog.New(slog.NewTextHandler(lineWriter(func(line string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.logged = append(w.logged, fmt.Sprintf("%s  r%d logs %s", w.now().Format("01-02 15:04:05.000"), r.number, line))
	}), nil))
}

type lineWriter func(string)

func (f lineWriter) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

// lookAt notes what has ended at a replica.
func (w *world) lookAt(r *replica) {
	select {
	case err := <-r.started:
		r.starting = false
		w.tracef("r%d has started: %t", r.number, err == nil)
		r.up = err == nil
		if err != nil {
			w.stop(r)
		}
	case m := <-r.merged:
		r.merging = false
		w.counts.merges += len(m.Days)
		w.tracef("r%d has merged %d days: %t", r.number, len(m.Days), m.err == nil)
		for _, kept := range m.Kept {
			w.fail("r%d does not merge %s", r.number, kept)
		}
	default:
	}
}

// compact has a process merge what can be merged, as it does once a day.
func (w *world) compact(r *replica) {
	if !r.warm || r.merging {
		return
	}
	w.tracef("r%d begins to merge", r.number)
	r.merging = true
	go func(ctx context.Context, v *view, merged chan<- merge) {
		c, err := eventlog.Compact(ctx, v, home)
		merged <- merge{c, err}
	}(r.life, r.view, r.merged)
}

// sleeper is the replica to be suspended: more often than by chance one that has a write on its way, which
// will then come to the store days later.
func (w *world) sleeper() *replica {
	for _, c := range w.parked {
		if c.kind == kindPut && c.stage == sent && w.rng.IntN(2) == 0 {
			return w.replicas[c.view.number]
		}
	}
	return w.replicas[w.rng.IntN(len(w.replicas))]
}

// asleep tells whether a process is suspended. Most of what would end its sleep early is left out then.
func (w *world) asleep() bool {
	return slices.ContainsFunc(w.replicas, func(r *replica) bool { return w.turn < r.suspended })
}

// suspend lets nothing reach a process or leave it for a while.
func (w *world) suspend(r *replica) {
	turns := w.rng.IntN(150)
	if w.rng.IntN(2) == 0 {
		turns = w.rng.IntN(2000)
	}
	r.suspended = w.turn + turns
	w.counts.suspends++
	w.tracef("r%d is suspended until %d", r.number, r.suspended)
}

// crash kills a process.
func (w *world) crash(r *replica) {
	if !r.up && !r.starting {
		return
	}
	w.counts.crashes++
	w.tracef("r%d crashes", r.number)
	w.stop(r)
}

// stop ends a process without ado. What it had sent may still come to the store.
func (w *world) stop(r *replica) {
	if r.view == nil {
		return
	}
	w.mu.Lock()
	r.view = nil // no call of it passes any more
	w.mu.Unlock()
	for _, c := range append([]*call{}, w.parked...) {
		if c.view.number != r.number {
			continue
		}
		w.unpark(c)
		if c.stage == sent && w.rng.IntN(2) == 0 {
			w.makeLate(c)
		}
		c.reply <- answer{err: callblob.ErrRefused}
	}
	r.kill()
	r.up, r.starting, r.warm, r.merging = false, false, false, false
	r.started, r.merged = nil, nil
	r.process++ // whoever waits for an answer gets none
	go func(e *engine.Engine, dead context.Context) {
		_ = e.Close(dead) // what it can't end in no time ends with its context
	}(r.engine, r.life)
}
