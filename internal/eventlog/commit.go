package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// errLost: another commit stands at the position; the commands must be decided again.
var errLost = errors.New("the position was won by another commit")

// decision is what a batch came to on the state of one moment: the commit to write, if any, and the
// commands whose answers leave with it.
type decision struct {
	object  object // at the next position; no events: nothing to write
	decided []*pending
	rest    []*pending // did not fit; their turn comes after this commit
	closing bool       // the commit only closes the day; decided must be decided again after it
	err     error      // decided can't be committed at all
}

// decide decides as many commands of the batch as one commit holds, each on the state that those before
// it will have made. It runs under the log's lock, so that no commit is applied meanwhile; it does not
// wait for anything. Commands that are too large are answered here.
func (l *Log) decide(batch []*pending) decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	d := decision{object: object{place: l.head.place(l.exchange)}, decided: make([]*pending, 0, len(batch))}
	d.object.events = make([]Event, 0, usualEvents*len(batch))
	d.object.data = make([]byte, 0, min(usualBytes*len(batch), maxBatch))
	state := l.machine.Fork()
	for i, p := range batch {
		events, data, err := l.encode(p.cmd.Decide(state, now), d, now)
		if err != nil {
			p.result <- err
			continue
		}
		if len(events) > 0 && len(d.object.events) > 0 && len(d.object.data)+len(data) > maxBatch {
			d.rest = batch[i:]
			break
		}
		for _, e := range events {
			state.Apply(e)
		}
		d.object.events = append(d.object.events, events...)
		d.object.data = append(d.object.data, data...)
		d.decided = append(d.decided, p)
	}
	if len(d.object.events) == 0 {
		return d
	}
	if l.head.next+int64(len(d.object.events)) > maxSeq {
		d.err = fmt.Errorf("%w: no positions are left", ErrFormat)
	} else if next := l.dueDay(now); next != "" {
		d.close(l, next, now)
	}
	return d
}

// close turns the decision into one that commits day_closed alone, at the position that the batch wanted.
// The position after it lives in the day next.
func (d *decision) close(l *Log, next day, now time.Time) {
	d.object.events, d.object.data, d.closing = nil, nil, true
	payload := fmt.Appendf(nil, `{"next":%q}`, next)
	d.object.events, d.object.data, d.err = l.encode([]Draft{{Type: typeDayClosed, Actor: logActor, Payload: payload}}, *d, now)
}

// encode gives drafts their places behind those already in d. Their ids are new at each decision, so
// that a commit found in the store can be told from one decided on another state.
func (l *Log) encode(drafts []Draft, d decision, now time.Time) ([]Event, []byte, error) {
	size := 0
	for _, f := range drafts {
		size += len(f.Payload) + aroundPayload
	}
	// A buffer of its own: whoever keeps a payload must not keep the whole commit in memory.
	data := make([]byte, 0, size)
	events := make([]Event, 0, len(drafts))
	seq := d.object.seq + int64(len(d.object.events))
	for _, f := range drafts {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, nil, fmt.Errorf("make an event id: %w", err)
		}
		e := Event{ID: id.String(), Seq: seq, TS: now, Thread: f.Thread, Type: f.Type, Actor: f.Actor, Payload: f.Payload}
		start := len(data)
		if data, e, err = appendLine(data, l.exchange, e); err != nil {
			return nil, nil, err
		}
		e.At = lineAt(d.object.seq, len(d.object.data)+start, data[start:])
		if len(data) > maxCommand {
			return nil, nil, fmt.Errorf("%w: its events take %d bytes or more, at most %d fit", ErrTooLarge, len(data), maxCommand)
		}
		events = append(events, e)
		seq++
	}
	return events, data, nil
}

// append writes a commit and finds out which of three things became of it (storage rule 4): done (nil),
// lost (errLost), or unknown. While that is unknown the same bytes go to the same key again, never
// others: a command is not decided anew while an attempt of it may still land. ErrOutcomeUnknown gives
// up; ErrUnavailable is only for a store that certainly took nothing.
func (l *Log) append(d decision) error {
	l.mu.Lock()
	l.own[d.object.events[0].ID] = struct{}{}
	l.mu.Unlock()
	start := time.Now()
	unknown := false
	for wait := time.Duration(0); ; {
		if done, err := l.landed(d); done {
			return err // a head check found what stands there
		}
		date, err := put(l.ctx, l.store, d.object.key, d.object.data)
		switch {
		case err == nil:
			l.took = time.Since(start)
			d.object.date = date
			var settled bool
			if settled, err = l.created(d); settled {
				return err
			}
		case l.store.Fatal(err):
			l.fail(err)
			return ErrClosed
		case l.store.Definite(err) && !unknown:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		// "Exists" is no more than that: the object may be this commit, put there by an attempt of the
		// SDK's own. Until it has been read a later refusal says nothing.
		unknown = true
		if settled, rerr := l.readBack(d); settled {
			return rerr
		}
		wait = backoff(wait)
		if time.Since(start)+wait > giveUp || pause(l.ctx, wait) != nil {
			return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		}
	}
}

// put writes one attempt. It returns the store's time of the answer.
func put(ctx context.Context, store Store, key string, data []byte) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	ctx, date := store.Dated(ctx)
	if err := store.Bucket().WriteAll(ctx, key, data, createOnly()); err != nil {
		return time.Time{}, fmt.Errorf("write %s: %w", key, err)
	}
	return date(), nil
}

// created settles an attempt that the store says was the one to create the object. In a day that was
// merged before, that object is an orphan and counts for nothing: what became of d is what the merged day
// says, which may hold an earlier attempt of it. Not settled: err says why it is unknown.
func (l *Log) created(d decision) (settled bool, err error) {
	if settled, err := l.fenced(d, d.object); settled || err != nil {
		return settled, err
	}
	l.mu.Lock()
	l.provedOpen(d.object.date)
	l.mu.Unlock()
	return true, l.takePlace(d, d.object)
}

// readBack settles an attempt by what stands at its position. Not settled: that is nothing, or could not
// be found out.
func (l *Log) readBack(d decision) (settled bool, err error) {
	o, err := read(l.ctx, l.store, l.exchange, d.object.place, readTimeout)
	switch {
	case errors.Is(err, errCorrupt):
		l.fail(err)
		return true, ErrClosed
	case err != nil:
		return false, err
	}
	if settled, err := l.fenced(d, o); settled || err != nil {
		return settled, err
	}
	return true, l.takePlace(d, o)
}

// fenced shows the fence an answer that o stands at d's position. It settles what became of d where the
// answer does not count; false and no error: it counts.
func (l *Log) fenced(d decision, o object) (settled bool, err error) {
	err = l.fence(l.ctx, o.place, o.date)
	switch {
	case errors.Is(err, errVoid):
		if o.events[0].ID == d.object.events[0].ID {
			l.clearOrphan(o.place)
		}
		return l.landed(d)
	case errors.Is(err, errPassed):
		return l.landed(d)
	case errors.Is(err, ErrClosed):
		return true, ErrClosed
	}
	return false, err
}

// verdict tells what became of d once its position has been passed. l.mu must be held.
func (l *Log) verdict(d decision) error {
	if l.won == d.object.events[0].ID {
		return nil
	}
	return errLost
}

// landed reports whether the position has been passed meanwhile, and then what became of d.
func (l *Log) landed(d decision) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return true, ErrClosed
	}
	if l.head.next == d.object.seq {
		return false, nil
	}
	return true, l.verdict(d)
}

// takePlace applies what stands at d's position, o, and tells whether it is d. Only the ids of its events
// decide that: an SDK that retried by itself meets its own object as "exists".
func (l *Log) takePlace(d decision, o object) error {
	l.mu.Lock()
	before := l.head.next
	mine, err := l.apply(o)
	if err == nil {
		err = l.verdict(d)
	}
	foreign := l.head.next > before && !mine
	if l.head.next > before && mine {
		l.checked = time.Now()
	}
	ts := l.head.ts
	l.mu.Unlock()
	if foreign {
		l.tellMet(ts)
	}
	if err != nil && !errors.Is(err, errLost) {
		l.fail(err)
		return ErrClosed
	}
	if errors.Is(err, errLost) && !mine && !l.store.Shared() {
		l.fail(fmt.Errorf("another process writes to this directory: a foreign commit stands at %s", d.object.place))
		return ErrClosed
	}
	return err
}
