package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// running is one exchange, opened and caught up. Its log is closed when nobody uses it any more.
type running struct {
	id      string
	engine  *Engine
	log     *eventlog.Log
	machine *machine
	logger  *slog.Logger
	teller  *teller // nil where nothing is delivered

	mu       sync.Mutex
	requests map[string]time.Time    // the last authenticated request of each executor
	original map[string]originalDate // what the files of adopted executors say, as far as read
	waiters  int
	unfollow context.CancelFunc // ends the follower; nil while there is none

	snapshots      sync.Mutex  // held while a snapshot is written
	snapshotFailed time.Time   // when the last one did; guarded by snapshots
	saving         atomic.Bool // an alarm for a snapshot is set
}

// submit has a command decided and committed. Its refusal counts only where the log says so.
func (x *running) submit(ctx context.Context, c exchange.Command) error {
	d := &decision{command: c}
	return x.outcome(ctx, d, x.log.Submit(ctx, d))
}

// outcome turns what became of a submitted decision into an answer to the call with that context.
func (x *running) outcome(ctx context.Context, d *decision, err error) error {
	x.engine.storage.stored(d, err)
	if err != nil {
		return x.engine.unstored(ctx, err)
	}
	x.saveSoon()
	if d.refusal != nil {
		return d.refusal
	}
	return nil
}

// rehearse decides a command on the state at the head and throws the outcome away, so that what
// would be refused changes nothing outside the log either. It proves the caller's key like Decide.
func (x *running) rehearse(ctx context.Context, c exchange.Command) error {
	if err := x.syncWithin(ctx, profilePatience); err != nil {
		return err
	}
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	if _, refusal := c.Decide(x.machine.state.Fork(), x.engine.store.Now()); refusal != nil {
		return refusal
	}
	return nil
}

// answerTime is how long a call may take, however the storage fails: clients are told within ten seconds.
const answerTime = 9 * time.Second

// sync brings the state to the head of the log as of the call.
func (x *running) sync(ctx context.Context) error { return x.syncWithin(ctx, answerTime) }

// syncWithin is sync for who has less time. A check of the head that fails takes nearly all of it, and who
// comes during one waits for the next one too.
func (x *running) syncWithin(ctx context.Context, d time.Duration) error {
	if !x.engine.store.Shared() { // nobody else writes, so there is nothing to wait for
		if err := x.log.Sync(ctx); err != nil {
			return x.engine.unreadable(ctx, err)
		}
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if err := x.log.Sync(soon); err != nil {
		return x.engine.unreadable(ctx, err)
	}
	return nil
}

// read runs f on the state at the head, where the caller's key still holds there. f must not keep
// the state or block.
func (x *running) read(ctx context.Context, c Caller, f func(*exchange.State) error) error {
	if err := x.sync(ctx); err != nil {
		return err
	}
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	if !holds(x.machine.state, c.Caller) {
		return errUnauthorized()
	}
	return f(x.machine.state)
}

// whose returns the executor whose key has that hash, as far as this replica knows.
func (x *running) whose(hash string) (*exchange.Executor, bool) {
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	return whose(x.machine.state, hash)
}

// executor returns one that is registered, as far as this replica knows.
func (x *running) executor(id string) (*exchange.Executor, bool) {
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	return x.machine.state.Executor(id)
}

// called notes an authenticated request. The map holds executors only, so strangers can't fill it.
func (x *running) called(executor string) {
	now := x.engine.store.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.After(x.requests[executor]) {
		x.requests[executor] = now
	}
}
