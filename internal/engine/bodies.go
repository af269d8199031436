package engine

import (
	"container/list"
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// maxBodies bounds the bytes of messages that are kept for the next reader, of all exchanges together;
	// maxThreadBodies those of one thread, so that a long one does not push out everything else. What is
	// not kept costs a reader one ranged read of the log.
	maxBodies       = 64 << 20
	maxThreadBodies = 4 << 20
	// freeReading is up to where a call does not count for maxReading (memory.go): connections are bounded.
	freeReading = 16 << 10
	// messageOverhead, attachmentOverhead and threadOverhead are about what one takes in memory besides its text.
	messageOverhead    = 120
	attachmentOverhead = 96
	threadOverhead     = 256
)

// bodies keeps the messages of the threads that were written or read last. The state holds summaries
// only (storage rule 15), and the log all of it, so anything may be dropped at any time.
//
// Messages are only ever added to a thread. So what is kept of one is a beginning of its messages, never
// out of date, and it belongs to the thread's name, whether or not its exchange is open.
type bodies struct {
	max int

	mu      sync.Mutex
	size    int
	threads map[threadName]*list.Element // of *kept
	recent  list.List                    // the last used in front
}

type threadName struct{ exchange, ref string }

// kept is the beginning of a thread's messages. Readers hold parts of the list, so nothing in it is
// changed; it only grows behind them.
type kept struct {
	name     threadName
	messages []exchange.Message
	size     int
}

// bodiesLimit is maxBodies, or an eighth of the memory that GOMEMLIMIT leaves the process: a cache must not
// be what makes the garbage collector work without end.
func bodiesLimit() int { return int(min(maxBodies, debug.SetMemoryLimit(-1)/8)) }

func newBodies(limit int) *bodies {
	return &bodies{max: limit, threads: map[threadName]*list.Element{}}
}

// beginning returns at most n of a thread's messages, from the first on.
func (b *bodies) beginning(name threadName, n int) []exchange.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.threads[name]
	if !ok {
		return nil
	}
	b.recent.MoveToFront(at)
	known := at.Value.(*kept).messages
	n = min(n, len(known))
	return known[:n:n]
}

// keep takes a thread's messages from the first on.
func (b *bodies) keep(name threadName, messages []exchange.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.threads[name]; ok && len(at.Value.(*kept).messages) >= len(messages) {
		return // someone else has read it too, or written to it
	}
	size := threadOverhead
	for _, m := range messages {
		size += sizeOf(m)
	}
	b.put(name, messages, size)
}

// sizeOf is about what a message takes: with what was taken out of it only named, which is how it is kept.
func sizeOf(m exchange.Message) int {
	size := messageOverhead + len(m.From) + len(m.Mess)
	for _, a := range m.Attachments {
		size += attachmentOverhead + len(a.At) + len(a.Key) + len(a.Type) + len(a.Name) + len(a.SHA256)
	}
	return size
}

// add takes message number n (from 1) of a thread, if all before it are there.
func (b *bodies) add(name threadName, n int, m exchange.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := &kept{size: threadOverhead}
	if at, ok := b.threads[name]; ok {
		before = at.Value.(*kept)
	}
	if len(before.messages) == n-1 && len(m.Mess) <= maxThreadBodies {
		m.Mess = slices.Clone(m.Mess) // what it is a part of is the whole commit
		b.put(name, append(before.messages, m), before.size+sizeOf(m))
	}
}

// put replaces what is kept of a thread, and drops what was not used for longest. The size comes with it, for
// a message that is added must not cost a look at all before it. b.mu must be held.
func (b *bodies) put(name threadName, messages []exchange.Message, size int) {
	k := &kept{name: name, messages: messages, size: size}
	if at, ok := b.threads[name]; ok {
		b.drop(at)
	}
	if k.size > min(maxThreadBodies, b.max) {
		return
	}
	b.threads[name] = b.recent.PushFront(k)
	b.size += k.size
	for b.size > b.max {
		b.drop(b.recent.Back())
	}
}

func (b *bodies) drop(at *list.Element) {
	k := b.recent.Remove(at).(*kept)
	delete(b.threads, k.name)
	b.size -= k.size
}

// messageOf returns what a message_added event of the log says.
func messageOf(e eventlog.Event) exchange.Message { return exchange.MessageOf(exchange.Event(e)) }

// makeRoom takes room for messages that are read from the log, until ctx ends; it waits for it until soon does.
func (e *Engine) makeRoom(ctx, soon context.Context, size int64) error {
	if size <= freeReading {
		return nil
	}
	size = min(size, maxReading)
	if err := e.acquire(ctx, soon, size); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { e.reading.Release(size) })
	return nil
}

func (e *Engine) acquire(ctx, soon context.Context, size int64) error {
	switch {
	case e.reading.Acquire(soon, size) == nil:
		return nil
	case ctx.Err() != nil:
		return e.unreadable(ctx, ctx.Err())
	}
	return refuse(exchange.CodeOverloaded, "Too many long threads are being read; try again shortly")
}

// fetch adds to the beginning of a thread's messages those that are only in the log. It needs no check of
// the head: where a message stands is known from having applied it.
func (x *running) fetch(ctx context.Context, ref string, beginning []exchange.Message, cold []exchange.At) ([]exchange.Message, error) {
	events, err := x.fetchEvents(ctx, slices.Compact(cold)) // the messages of an import have one place
	if err != nil {
		return nil, err
	}
	messages := beginning
	for _, ev := range events {
		messages = append(messages, exchange.MessagesOf(exchange.Event(ev))...)
	}
	x.engine.bodies.keep(threadName{x.id, ref}, messages)
	return messages, nil
}

// fetchEvents reads single events of the log; the room for them is taken until ctx ends.
func (x *running) fetchEvents(ctx context.Context, at []exchange.At) ([]eventlog.Event, error) {
	e, size := x.engine, eventlog.Size(at)
	soon := ctx
	if e.store.Shared() || size > freeReading { // else there is nothing to wait for that heeds it
		var cancel context.CancelFunc
		soon, cancel = context.WithTimeout(ctx, answerTime)
		defer cancel()
	}
	if err := e.makeRoom(ctx, soon, size); err != nil {
		return nil, err
	}
	events, err := x.log.Fetch(soon, at)
	if errors.Is(err, eventlog.ErrDamaged) {
		return nil, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
	}
	if err != nil {
		return nil, e.unreadable(ctx, err)
	}
	return events, nil
}
