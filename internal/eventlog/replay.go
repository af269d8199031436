package eventlog

import (
	"context"
	"errors"
	"fmt"
)

// replay feeds the whole log to the machine: what the original server left, genesis, then commit after
// commit, each at the key that the one before it determines. A listing only says which objects are
// worth fetching ahead, many at once; the chain of positions alone says what counts (storage rule 9).
func (l *Log) replay(ctx context.Context, g opened) error {
	positions, others, err := list(ctx, l.store, l.exchange)
	if err != nil {
		return err
	}
	if g.Legacy != nil {
		events, err := loadLegacy(ctx, l.store, l.exchange, *g.Legacy, others, l.log)
		if err != nil {
			return err
		}
		l.machine.Apply(events)
	} else if len(others) > 0 {
		l.log.Warn("objects that are no commits lie in the log's folder; they are passed over", "objects", len(others), "first", others[0].key)
	}
	l.machine.Apply(g.object.events)
	l.head = head{next: 1, day: g.Next, dayFirst: 1, ts: g.object.events[0].TS, key: g.object.key}
	if g.Format != format {
		l.readOnly = fmt.Errorf("%w: it is %d, this version writes %d", ErrFormat, g.Format, format)
	}
	ahead := l.fetchAhead(ctx, positions)
	defer ahead.stop()
	for {
		o, err := ahead.read(l.head.place(l.exchange))
		if errors.Is(err, errAbsent) {
			var more bool
			if o, more, err = l.atGap(ctx, ahead.last); !more && err == nil {
				return nil
			}
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		_, err = l.apply(o)
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// atGap is asked when the next position is free. Either that is the head, or a merge has put it into
// its day's first object, which is then returned. last is the highest seq that the listing showed: where
// it is past the gap, and the day's first object does not fill that, the log has a hole.
func (l *Log) atGap(ctx context.Context, last int64) (object, bool, error) {
	if last < l.head.next {
		return object{}, false, nil
	}
	if l.head.next != l.head.dayFirst {
		first := place{day: l.head.day, seq: l.head.dayFirst, key: positionKey(l.exchange, l.head.day, l.head.dayFirst)}
		o, err := read(ctx, l.store, l.exchange, first, replayTimeout)
		if err != nil {
			return object{}, false, err
		}
		if o.last() >= l.head.next {
			return o, true, nil
		}
	}
	return object{}, false, fmt.Errorf("%w: position %d in %s is missing, and %d exists", errCorrupt, l.head.next, l.head.day, last)
}

// fetched is an object on its way: done is closed when obj and err are set.
type fetched struct {
	done chan struct{}
	obj  object
	err  error
}

// readAhead reads positions of a listing before they are asked for. At most replayReaders objects are
// being read or waiting to be taken, so memory is bounded by that many objects.
type readAhead struct {
	l      *Log
	ctx    context.Context
	cancel context.CancelFunc
	todo   []place // in log order, not yet asked for
	inair  map[string]*fetched
	order  []place // of inair
	last   int64   // highest seq in the listing
}

func (l *Log) fetchAhead(ctx context.Context, positions []place) *readAhead {
	a := &readAhead{l: l, todo: positions, inair: map[string]*fetched{}}
	if len(positions) > 0 {
		a.last = positions[len(positions)-1].seq
	}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// read returns the object at p, fetching those behind it at the same time.
func (a *readAhead) read(p place) (object, error) {
	a.drop(p.seq)
	for len(a.todo) > 0 && len(a.order) < replayReaders {
		a.fetch(a.todo[0])
		a.todo = a.todo[1:]
	}
	f, ok := a.inair[p.key]
	if !ok {
		return read(a.ctx, a.l.store, a.l.exchange, p, replayTimeout)
	}
	<-f.done
	return f.obj, f.err
}

// drop forgets positions before seq: taken, merged into another object, or orphans.
func (a *readAhead) drop(seq int64) {
	for len(a.todo) > 0 && a.todo[0].seq < seq {
		a.todo = a.todo[1:]
	}
	for len(a.order) > 0 && a.order[0].seq < seq {
		<-a.inair[a.order[0].key].done
		delete(a.inair, a.order[0].key)
		a.order = a.order[1:]
	}
}

func (a *readAhead) fetch(p place) {
	f := &fetched{done: make(chan struct{})}
	a.inair[p.key] = f
	a.order = append(a.order, p)
	go func() {
		defer close(f.done)
		f.obj, f.err = read(a.ctx, a.l.store, a.l.exchange, p, replayTimeout)
	}()
}

// stop ends what is still being read and waits for it.
func (a *readAhead) stop() {
	a.cancel()
	for _, f := range a.inair {
		<-f.done
	}
}
