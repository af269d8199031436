package engine

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// NoSeq is the seq of AwaitThread and Follow that means: as it is now.
const NoSeq = -1

// waits are those who wait for a thread of one exchange to change. A change wakes those of its thread and
// nobody else, so it costs what they are.
type waits struct {
	mu      sync.Mutex
	threads map[string]map[*wait]struct{} // by ref
}

// wait is one who waits. woken has a token once there may be something to see.
type wait struct {
	executor string
	woken    chan struct{}
}

func (w *waits) add(ref, executor string) *wait {
	one := &wait{executor: executor, woken: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.threads == nil {
		w.threads = map[string]map[*wait]struct{}{}
	}
	if w.threads[ref] == nil {
		w.threads[ref] = map[*wait]struct{}{}
	}
	w.threads[ref][one] = struct{}{}
	return one
}

func (w *waits) remove(ref string, one *wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.threads[ref], one)
	if len(w.threads[ref]) == 0 {
		delete(w.threads, ref)
	}
}

// wake wakes those whom the events of a commit concern: those who wait for one of their threads, and those
// whose key may have ceased to open the exchange. Notes concern nobody.
func (w *waits) wake(events []eventlog.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.threads) == 0 {
		return
	}
	for _, ev := range events {
		switch {
		case strings.HasPrefix(ev.Type, exchange.NotePrefix):
		case ev.Thread != "":
			for one := range w.threads[ev.Thread] {
				one.wake()
			}
		case changesKey(ev):
			w.wakeExecutor(ev.Actor)
		}
	}
}

// wakeExecutor wakes all of one executor. It looks at everybody, and is for what happens rarely.
func (w *waits) wakeExecutor(id string) {
	for _, waiting := range w.threads {
		for one := range waiting {
			if one.executor == id {
				one.wake()
			}
		}
	}
}

func (o *wait) wake() {
	select {
	case o.woken <- struct{}{}:
	default:
	}
}

// AwaitThread returns when a thread has an event behind the one with seq since (NoSeq: the thread's last), or
// has had none for d. Notes are no such events. It returns at once where there is one already, and early when
// the server stops. A waiter costs its caller's goroutine, and one more look at the thread for each event of it.
func (e *Engine) AwaitThread(ctx context.Context, c Caller, ref string, since int64, d time.Duration) error {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	late := time.NewTimer(d)
	defer late.Stop()
	defer x.follow()()
	if err := x.sync(ctx); err != nil {
		return err
	}
	one := x.machine.waits.add(ref, c.Executor)
	defer x.machine.waits.remove(ref, one)
	e.reads.Add(1)
	defer e.reads.Add(-1)
	for {
		seq, err := x.lastOf(c, ref)
		switch {
		case err != nil:
			return err
		case since == NoSeq:
			since = seq
		case seq > since:
			return nil
		}
		select {
		case <-one.woken:
		case <-late.C:
			return nil
		case <-e.released:
			return nil
		case <-e.closing:
			return errClosing()
		case <-ctx.Done():
			return e.unreadable(ctx, ctx.Err())
		}
	}
}

// lastOf returns the seq of a thread's last event, as far as this replica knows, to one whose key holds.
func (x *running) lastOf(c Caller, ref string) (int64, error) {
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	if !holds(x.machine.state, c.Caller) {
		return 0, errUnauthorized()
	}
	t, ok := x.machine.state.Thread(ref)
	if !ok {
		return 0, refuse(exchange.CodeThreadNotFound, "Thread not found")
	}
	return t.Seq, nil
}

// ReleaseWaiters ends all waiting, now and from now on: AwaitThread returns as if its time were over, Follow
// as if its caller had seen enough. It is for a server that stops, whose calls must end.
func (e *Engine) ReleaseWaiters() { e.release() }
