package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// load brings the machine to the head of the log.
func (l *Log) load(ctx context.Context, g opened) error {
	restored, err := l.restore(ctx, g)
	switch {
	case err != nil:
		return err
	case !restored:
		return l.replay(ctx, g)
	}
	l.restored = true
	return l.walkToHead(ctx, l.fetchBehind(ctx))
}

// replay feeds the whole log to the machine: what the original server left, genesis, then commit after
// commit, each at the key that the one before it determines. A listing only says which objects are
// worth fetching ahead, many at once; the chain of positions alone says what counts (storage rule 9).
func (l *Log) replay(ctx context.Context, g opened) error {
	found, err := list(ctx, l.store, l.exchange)
	if err != nil {
		return err
	}
	if g.Legacy != nil {
		events, keys, err := loadLegacy(ctx, l.store, l.exchange, *g.Legacy, found.others, func() {
			l.log.Warn("objects of the original server changed since this server took over; the original must not run any more",
				"recorded", g.Legacy.Objects, "found", len(found.others))
		}, func(key string, line int, err error) {
			l.log.Warn("a line of the original server can't be read", "key", key, "line", line, "error", err)
		})
		if err != nil {
			return err
		}
		l.originals, l.unsaved = keys, int64(len(events))
		l.machine.Apply(events)
	} else if n := len(found.others); n > 0 {
		l.log.Warn("objects that are no commits lie in the log's folder; they are passed over", "objects", n, "first", found.others[0].key)
	}
	l.machine.Apply(g.object.events)
	l.begin(g)
	if g.Format != format {
		l.readOnly = fmt.Errorf("%w: it is %d, this version writes %d", ErrFormat, g.Format, format)
	}
	return l.walkToHead(ctx, fetchAhead(ctx, l.store, l.exchange, found.commits()))
}

// walkToHead walks from the head on. What a listing showed behind the first position that is free says that
// the log has a hole.
func (l *Log) walkToHead(ctx context.Context, ahead *readAhead) error {
	if err := l.walk(ctx, ahead, func(object) {}); err != nil {
		return err
	}
	if ahead.last >= l.head.next {
		return fmt.Errorf("%w: position %d in %s is missing, and %d exists", errCorrupt, l.head.next, l.head.day, ahead.last)
	}
	return nil
}

// begin puts the log at its first position.
func (l *Log) begin(g opened) {
	l.head = head{next: 1, day: g.Next, dayFirst: 1, ts: g.object.events[0].TS, key: g.object.key, last: g.object.events[0].ID}
	l.days = []chapter{{day: g.Next, first: 1}}
}

// walk applies commit after commit from the head on, up to the first position that is free. visit sees each
// object before it is applied; the first of a merged day may come a second time, with more in it.
//
// Reading a day takes its time, and a merge may come in between: then a position that is free, or one that is
// not, says nothing (storage rule 17). So before a day is left, and before a free position counts, the day's
// first object is read once more. A walk that begins in the middle of a day, behind a snapshot, does so before it
// takes its first object too: that day may have been merged long ago, and what lies there be an orphan. A
// merged day is one object, and costs nothing more.
func (l *Log) walk(ctx context.Context, ahead *readAhead, visit func(object)) error {
	defer ahead.stop()
	var today []Event // the first of each object applied of this day
	for {
		p := l.head.place(l.exchange)
		o, err := ahead.read(p)
		free := errors.Is(err, errAbsent)
		if err != nil && !free {
			return err
		}
		if p.seq != l.head.dayFirst && (free || o.closes() || len(today) == 0) {
			merged, err := l.mergedSince(ctx, p, today)
			if err != nil {
				return err
			}
			if merged.events != nil {
				o, free = merged, false
			}
		}
		if free {
			l.mu.Lock()
			l.provedOpen(o.date)
			l.checked = time.Now()
			l.mu.Unlock()
			return nil
		}
		visit(o)
		today = append(today, o.events[0])
		l.mu.Lock()
		_, err = l.apply(o)
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if l.head.day != p.day {
			today = nil
		}
	}
}

// mergedSince returns the first object of the log's day if position p has been merged into it since the
// walk came into that day, and no object if not: then all that was read of the day is genuine. It is an
// error if what was applied of the day is not what the merge found there.
func (l *Log) mergedSince(ctx context.Context, p place, applied []Event) (object, error) {
	first := l.head.firstPlace(l.exchange)
	c, err := readWhole(ctx, l.store, first.key, replayTimeout)
	switch {
	case errors.Is(err, errAbsent):
		return object{}, fmt.Errorf("%w: %s, the first of its day, is gone", errCorrupt, first.key)
	case err != nil:
		return object{}, err
	}
	switch last := lastEvent(c.data, l.exchange); {
	case last.Seq < p.seq && last.Type == typeDayClosed:
		// The day is merged and ends before p, so something that was read behind its end was an orphan.
		return object{}, errMisread(first.day, last.Seq)
	case last.Seq < p.seq:
		return object{}, nil
	}
	o, err := decode(first, c, l.exchange)
	if err != nil {
		return object{}, err
	}
	for _, e := range applied {
		if o.events[e.Seq-first.seq].ID != e.ID {
			return object{}, errMisread(first.day, e.Seq)
		}
	}
	return o, nil
}

// errMisread: what was applied is not the log. Nothing may be answered from it; the next try reads the merged day.
func errMisread(d day, seq int64) error {
	return fmt.Errorf("%s was merged while it was read, and what followed seq %d was read wrongly; read again", d, seq)
}
