package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pending is a command in the queue. The committer sends exactly one result, unless a fatal error
// leaves it unanswered for ever.
type pending struct {
	ctx    context.Context // its request's
	cmd    Command
	result chan error // one place, so that the committer never waits for a request
}

// Submit decides c and, where that gives events, makes them durable together with those of other
// commands. It returns nil when the last decision stands: its events are committed and applied, or
// there were none and the state it was decided on was proved to be the head by a check begun after
// Submit was called, or is durable with the batch's own commit (storage rule 11). Otherwise the error is
// one of this package's, wrapped, or ctx.Err() where ctx ended before the command was last decided or
// while its outcome was open; then what Decide left behind must not be looked at.
func (l *Log) Submit(ctx context.Context, c Command) error {
	p := &pending{ctx: ctx, cmd: c, result: make(chan error, 1)}
	if err := l.enqueue(p); err != nil {
		return err
	}
	l.signal()
	select {
	case err := <-p.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Log) enqueue(p *pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return l.stopped()
	case l.closed:
		return ErrClosed
	case l.readOnly != nil:
		return l.readOnly
	case len(l.queue) >= maxQueue:
		return ErrOverloaded
	}
	l.queue = append(l.queue, p)
	return nil
}

// commitLoop is the committer: the one goroutine that decides and writes. While a commit is on its way
// further commands queue up and go out together in the next one; nothing waits for company (storage
// rule 3). It ends when the log is closed and the queue empty, or has failed.
func (l *Log) commitLoop() {
	defer close(l.ended)
	for {
		batch, ok := l.take()
		if !ok {
			return
		}
		if len(batch) > 0 {
			l.commit(batch)
			continue
		}
		<-l.wake
	}
}

// take empties the queue. It reports false when there will be nothing more to do.
func (l *Log) take() ([]*pending, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.queue
	l.queue = nil
	switch {
	case l.failed != nil:
		return nil, false
	case l.ctx.Err() != nil:
		answer(batch, ErrClosed)
		return nil, false
	}
	return batch, len(batch) > 0 || !l.closed
}

// live drops the commands whose request is gone: nobody would learn what became of them.
func live(batch []*pending) []*pending {
	kept := batch[:0]
	for _, p := range batch {
		if err := p.ctx.Err(); err != nil {
			p.result <- err
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

func answer(batch []*pending, err error) {
	for _, p := range batch {
		p.result <- err
	}
}

// commit brings every command of a batch to its result. A batch too big for one commit goes out in
// several; after a lost race what is left is decided again on the state that won.
func (l *Log) commit(batch []*pending) {
	began := time.Now()
	for lost := 0; ; {
		if batch = live(batch); len(batch) == 0 {
			return
		}
		d := l.decide(batch)
		err := l.carryOut(d)
		if l.gone() {
			return // nothing may be answered any more
		}
		batch = d.rest
		switch {
		case errors.Is(err, errLost):
			batch = append(d.decided, d.rest...)
			if lost++; lost >= maxLost && time.Since(began) >= loseFor {
				l.shed(batch, fmt.Errorf("%w: other writers won %d positions in a row", ErrOverloaded, lost), nil)
				return
			}
			if lost > 1 { // far behind, perhaps: reading on is cheaper than losing on
				if err := l.follow(l.ctx); err != nil {
					l.shed(batch, err, nil)
					return
				}
			}
		case err != nil:
			l.shed(d.decided, err, d.rest)
			return
		case d.closing:
			batch = append(d.decided, d.rest...)
		default:
			answer(d.decided, nil)
			began, lost = time.Now(), 0
			if len(d.object.events) > 0 {
				l.makeRoom()
			}
		}
	}
}

// carryOut makes a decision stand: committed, or proved to be made at the head.
func (l *Log) carryOut(d decision) error {
	switch {
	case d.err != nil:
		return d.err
	case len(d.object.events) == 0:
		return l.prove(d)
	}
	begun := time.Now()
	err := l.append(d)
	l.observer.Committed(len(d.object.events), len(d.object.data), time.Since(begun), err)
	return err
}

// shed answers commands with the error that befell them, and those that came while the store kept the
// committer waiting: each has had its share of that time, and must not wait for another. Who comes after the
// first answer has left gets a try of its own.
func (l *Log) shed(batch []*pending, err error, rest []*pending) {
	l.mu.Lock()
	rest = append(rest, l.queue...)
	l.queue = nil
	l.mu.Unlock()
	behind := ErrUnavailable
	if errors.Is(err, ErrOverloaded) {
		behind = ErrOverloaded
	}
	answer(batch, err)
	answer(rest, fmt.Errorf("%w: the commit before failed", behind))
}

// gone reports whether the log has failed.
func (l *Log) gone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed != nil
}

// prove lets refusals and no-ops leave: they are reads, and count only if the state they were decided on
// is the head, by a check begun after their requests came (storage rule 11). errLost asks for another
// decision on the newer state.
func (l *Log) prove(d decision) error {
	if !l.store.Shared() {
		return nil
	}
	if err := l.follow(l.ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head.next != d.object.seq {
		return errLost
	}
	return nil
}

// makeRoom waits for the time the last write took where another writer was met just now. Without it a
// replica that has won keeps winning, because it knows the next position first.
func (l *Log) makeRoom() {
	l.mu.Lock()
	met := l.met
	l.mu.Unlock()
	if l.store.Shared() && !met.IsZero() && time.Since(met) < politeness {
		_ = pause(l.ctx, min(l.took, politeness))
	}
}
