package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"golang.org/x/sync/errgroup"
)

// ErrDamaged: the store no longer holds an event that was in the log.
var ErrDamaged = errors.New("an event of the log is missing or damaged")

// Size returns how many bytes of the log the events at those positions take.
func Size(at []At) int64 {
	size := int64(0)
	for _, a := range at {
		size += int64(positionOf(a).length)
	}
	return size
}

// span is a part of one object that holds some of the events asked for.
type span struct {
	key        string
	start, end int64
	wanted     []int   // indexes into what was asked for
	starts     []int64 // where in the object each of them begins
}

// Fetch reads single events again, by the positions that they were applied with, in that order. It costs one
// ranged read for those that stand near each other in one object, whatever the size of the log. What it
// reads was durable before it was applied, so it needs no check of the head. ErrUnavailable where the
// store can't be read, ErrDamaged where it holds something else.
func (l *Log) Fetch(ctx context.Context, at []At) ([]Event, error) {
	l.mu.Lock()
	days, err := l.days, l.stopped()
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f := fetch{l: l, days: days, now: l.store.Now(), at: at, events: make([]Event, len(at))}
	spans := f.spans()
	if len(spans) == 1 { // nearly always
		return f.events, f.read(ctx, spans[0])
	}
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(fetchReaders)
	for _, s := range spans {
		readers.Go(func() error { return f.read(ctx, s) })
	}
	if err := readers.Wait(); err != nil {
		return nil, err
	}
	return f.events, nil
}

type fetch struct {
	l      *Log
	days   []chapter
	now    time.Time // when it began, for all of it: spans are cut and read by the same guess
	at     []At
	events []Event // filled in by the readers, each at its own indexes
}

// location is an object that may hold an event, and where in it.
type location struct {
	key   string
	start int64
}

// locations returns where the event may be, the likelier place first. A merge may come in between, so
// after the second the first is worth another look; only contents tell which one counts.
func (f *fetch) locations(p position) []location {
	if p.base == original {
		return []location{{f.l.originals[p.object], int64(p.offset)}}
	}
	c := chapterOf(f.days, p.object)
	alone := location{f.l.names.key(c.day, p.object), int64(p.offset)}
	merged := location{f.l.names.key(c.day, c.first), p.base + int64(p.offset)}
	switch {
	case alone == merged:
		return []location{alone}
	case c.closed.IsZero(), f.now.Sub(c.closed) < likelyMerged:
		return []location{alone, merged, alone}
	}
	return []location{merged, alone, merged}
}

// spans joins events that follow each other closely in their likelier places.
func (f *fetch) spans() []span {
	var spans []span
	for i, at := range f.at {
		p := positionOf(at)
		where := f.locations(p)[0]
		end := where.start + int64(p.length)
		if n := len(spans) - 1; n >= 0 && spans[n].key == where.key && where.start >= spans[n].end &&
			where.start-spans[n].end <= fetchGap && end-spans[n].start <= fetchSpan {
			spans[n].end = end
			spans[n].wanted = append(spans[n].wanted, i)
			spans[n].starts = append(spans[n].starts, where.start)
			continue
		}
		spans = append(spans, span{key: where.key, start: where.start, end: end, wanted: []int{i}, starts: []int64{where.start}})
	}
	return spans
}

// read reads a span, and whatever of it is not there one by one from the other places where it can be.
func (f *fetch) read(ctx context.Context, s span) error {
	data, err := f.l.readRange(ctx, s.key, s.start, s.end-s.start)
	for n, i := range s.wanted {
		p := positionOf(f.at[i])
		if err == nil {
			start := s.starts[n] - s.start
			if f.take(i, data[start:start+int64(p.length)]) {
				continue
			}
		}
		places := f.locations(p)
		if !errors.Is(err, errShort) {
			places = places[1:]
		} // else the object ends before the last event of the span, which says nothing of this one
		if err := f.search(ctx, i, p, places, err); err != nil {
			return err
		}
	}
	return nil
}

// search looks for event i in places. before is why it was not found so far, nil where something else was.
// It is damaged only where every place has been seen without it: one that could not be read may hold it.
func (f *fetch) search(ctx context.Context, i int, p position, places []location, before error) error {
	unread := before
	for _, where := range places {
		data, err := f.l.readRange(ctx, where.key, where.start, int64(p.length))
		if err == nil && f.take(i, data) {
			return nil
		}
		if seen(unread) {
			unread = err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case seen(unread):
		return fmt.Errorf("%w: %d bytes at %d of %s", ErrDamaged, p.length, p.offset, f.locations(p)[0].key)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, unread)
}

// seen tells of the error of reading a place whether the store showed what is there.
func seen(err error) bool {
	return err == nil || errors.Is(err, errAbsent) || errors.Is(err, errShort)
}

// take decodes event i from what was found, if that is it.
func (f *fetch) take(i int, line []byte) bool {
	p := positionOf(f.at[i])
	if crc32.Checksum(line, castagnoli) != p.sum {
		return false
	}
	e, err := f.decode(p, line)
	if err != nil {
		return false // not reached: it was decoded once
	}
	e.At, e.Payload = f.at[i], bytes.Clone(e.Payload) // not to hold what else was read with it
	f.events[i] = e
	return true
}

func (f *fetch) decode(p position, line []byte) (Event, error) {
	if p.base != original {
		return parseLine(bytes.TrimSuffix(line, []byte("\n")), f.l.exchange, nil)
	}
	events := parseLegacy(line, f.l.exchange, f.l.originals[p.object], func(int, error) {})
	if len(events) != 1 {
		return Event{}, errCorrupt
	}
	return events[0].Event, nil
}

// errShort: the object ends before what was asked for.
var errShort = errors.New("the object is too short")

// readRange reads exactly those bytes of an object.
func (l *Log) readRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	if l.store.Shared() { // a directory does not heed a deadline
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, readTimeout+time.Duration(length)*time.Second/slowestRead, context.DeadlineExceeded)
		defer cancel()
	}
	data, err := l.store.ReadRange(ctx, key, start, length)
	switch {
	case err != nil && l.store.NoSuchKey(err):
		return nil, errAbsent
	case err != nil:
		return nil, fmt.Errorf("read %d bytes at %d of %s: %w", length, start, key, err)
	case int64(len(data)) < length:
		return nil, errShort
	}
	return data, nil
}
