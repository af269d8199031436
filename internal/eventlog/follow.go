package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// headCheck is one walk to the head that any number of readers wait for. err is set when done closes.
type headCheck struct {
	done chan struct{}
	err  error
}

// Sync brings the machine to the head of the log as of the call: what any replica has answered before
// is in the state afterwards (storage rule 10). Where no one else can write it returns at once. Errors:
// ErrUnavailable, ErrClosed, or ctx.Err().
//
// A reader joins only a check whose first read of the store starts after the reader came. So at most one
// check runs and one waits, whatever the number of readers: a flood costs the store one read at a time.
func (l *Log) Sync(ctx context.Context) error {
	l.mu.Lock()
	if err := l.stopped(); err != nil || !l.store.Shared() {
		l.mu.Unlock()
		return err
	}
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	if l.waiting == nil {
		l.waiting = &headCheck{done: make(chan struct{})}
		if l.running == nil {
			l.running, l.waiting = l.waiting, nil
			c := l.running
			l.checks.Go(l.checkLoop)
			l.mu.Unlock()
			return await(ctx, c)
		}
	}
	c := l.waiting
	l.mu.Unlock()
	return await(ctx, c)
}

func await(ctx context.Context, c *headCheck) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkLoop runs the running check, then the one that waits, until none does.
func (l *Log) checkLoop() {
	for {
		l.mu.Lock()
		c := l.running
		l.mu.Unlock()
		c.err = l.follow(l.ctx)
		l.mu.Lock()
		l.running, l.waiting = l.waiting, nil
		last := l.running == nil
		l.mu.Unlock()
		close(c.done)
		if last {
			return
		}
	}
}

// follow applies commits until the store says that the next position is free: only that genuine answer
// ends it, not the first commit found. No answer counts before the fence has let it pass. A failing store
// is asked again for as long as a client may wait.
func (l *Log) follow(ctx context.Context) error {
	deadline := time.Now().Add(giveUp)
	for wait := time.Duration(0); ; {
		l.mu.Lock()
		p, err := l.head.place(l.exchange), l.stopped()
		l.mu.Unlock()
		if err != nil {
			return err
		}
		o, err := read(ctx, l.store, l.exchange, p, readTimeout)
		free := errors.Is(err, errAbsent)
		if err == nil || free {
			err = l.fence(ctx, p, o.date)
		}
		switch {
		case err == nil && free:
			l.mu.Lock()
			l.provedOpen(o.date)
			l.checked = time.Now()
			l.mu.Unlock()
			return nil
		case err == nil:
			if err := l.meet(o); err != nil {
				return err
			}
			wait = 0
			continue
		case errors.Is(err, errVoid), errors.Is(err, errPassed):
			wait = 0
			continue
		case errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, errCorrupt):
			l.fail(err)
			return fmt.Errorf("%w: %w", ErrClosed, err)
		}
		wait = backoff(wait)
		if time.Now().Add(wait).After(deadline) || pause(ctx, wait) != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// meet applies an object that a reader or the committer found. It may be known already.
func (l *Log) meet(o object) error {
	l.mu.Lock()
	before := l.head.next
	mine, err := l.apply(o)
	foreign := l.head.next > before && !mine
	ts := l.head.ts
	l.mu.Unlock()
	if err != nil {
		l.fail(err)
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if foreign {
		l.tellMet(ts)
	}
	return nil
}

// backoff doubles from 20 ms to 640 ms: a hiccup costs little, an outage is asked about twice a second.
func backoff(last time.Duration) time.Duration {
	return min(max(2*last, 20*time.Millisecond), 640*time.Millisecond)
}

// pause waits for d or returns why it did not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
