package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errVoid: an answer was given when its day had been merged already. It says nothing of the log, which has
// been brought past that position instead.
var errVoid = errors.New("the day was merged before the store answered")

// errPassed: the log was brought into a later day while the answer was on its way, by another goroutine that
// asked for itself. The answer is of no use any more.
var errPassed = errors.New("the log is past that day")

// fence tells whether an answer about position p, given by the store at date, may be used (storage rule
// 17). It is asked when an answer is in and before anything is done with it. nil: the answer is about the
// log as it is. errVoid: it is about what a merge left behind, and nothing but the merged object counts.
// errPassed: the log does not need it. Any other error: that could not be found out, and the answer must
// not be used.
//
// A merge deletes the keys of a day, so a process that slept for a day finds a free position where
// there is a commit, and can even write one there. What keeps this from forking the log must stay true:
//
//   - A day is merged a day or more after it was closed, both by the store's clock. So where the log's day
//     was proved open a short time before the answer (l.open), it was not merged then. That is what
//     makes the fence cost nothing, and no clock but the store's is in it.
//   - A merge overwrites the day's first object before it deletes any other, and never deletes that one. So
//     where the first object, read after the answer, does not hold position p, nothing of the day had been
//     deleted when the answer was made. That is what makes the fence exact, without any clock.
//   - Contents are compared. A version or an age would be that of the merged object as well.
//
// The answer about a day's first position is always genuine: no merge deletes that object.
func (l *Log) fence(ctx context.Context, p place, date time.Time) error {
	if !l.store.Shared() {
		return nil // this process is the only one, and knows what it merged
	}
	l.mu.Lock()
	first := l.head.firstPlace(l.exchange)
	sameDay := l.head.day == p.day
	fresh := !l.open.IsZero() && !date.IsZero() && date.Sub(l.open) <= fenceAfter
	l.mu.Unlock()
	switch {
	case !sameDay:
		return errPassed
	case fresh || p.seq == first.seq:
		return nil
	}
	o, err := read(ctx, l.store, l.exchange, first, readTimeout)
	switch {
	case errors.Is(err, errAbsent):
		err = fmt.Errorf("%w: %s, the first of its day, is gone: was the bucket replaced by another?", errCorrupt, first.key)
		l.fail(err)
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, errCorrupt):
		l.fail(err)
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case err != nil:
		return err
	case o.last() < p.seq:
		return nil
	}
	if err := l.meet(o); err != nil {
		return err
	}
	return errVoid
}

// provedOpen notes that the log's day was open at date, by the store's time. Only two answers prove it,
// once the fence has let them pass: "no such key" at the next position, and a commit of ours that this
// very answer says was created. Finding an object proves nothing: it is there after the day's end as well.
// l.mu must be held.
func (l *Log) provedOpen(date time.Time) {
	if date.After(l.open) {
		l.open = date
	}
}

// clearOrphan deletes a commit of ours that was created in a day after its merge, where it is no part of
// the log. Only queries on the folder would see it; what can't be deleted now goes with the next merge.
func (l *Log) clearOrphan(p place) {
	ctx, cancel := context.WithTimeout(l.ctx, putTimeout)
	defer cancel()
	l.log.Warn("woke up after a day was merged; what was written there is taken back", "key", p.key)
	if err := l.store.Bucket().Delete(ctx, p.key); err != nil {
		l.log.Warn("the next merge takes it back", "key", p.key, "error", err)
	}
}
