package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errAbsent: the store answered that it holds no such object.
var errAbsent = errors.New("no such object")

// errCorrupt: what stands at a position can't be a commit of this log.
var errCorrupt = errors.New("the log is damaged")

// content is what the store answered about a key.
type content struct {
	data []byte
	mod  time.Time // when the object was written
	date time.Time // the store's time of the answer, also of "no such key"; zero where it did not say
}

// object is one object of the log, read whole and decoded.
type object struct {
	place
	content // the lines, as they are in the store
	events  []Event
}

func (o object) first() int64 { return o.events[0].Seq }
func (o object) last() int64  { return o.events[len(o.events)-1].Seq }

// closes reports whether the object ends its day.
func (o object) closes() bool { return o.events[len(o.events)-1].Type == typeDayClosed }

// read reads the object at a position. A read counts only if it brought as many bytes as the object
// has and ends in LF: a cut answer must never pass for a shorter commit (storage rule 5). errAbsent
// means that the position is free, which only the store's own "no such key" says; the object then
// carries the date of that answer.
func read(ctx context.Context, store Store, exchange string, p place, timeout time.Duration) (object, error) {
	c, err := readWhole(ctx, store, p.key, timeout)
	if err != nil {
		return object{place: p, content: c}, err
	}
	return decode(p, c, exchange)
}

// decode makes an object of what was read at a position.
func decode(p place, c content, exchange string) (o object, err error) {
	o = object{place: p, content: c}
	if len(c.data) == 0 || c.data[len(c.data)-1] != '\n' {
		return o, fmt.Errorf("read %s: %w: it does not end in a line feed", p.key, errCorrupt)
	}
	if o.events, err = parseObject(c.data, exchange); err != nil {
		return o, fmt.Errorf("read %s: %w: %w", p.key, errCorrupt, err)
	}
	if o.first() != p.seq {
		return o, fmt.Errorf("read %s: %w: it begins with seq %d", p.key, errCorrupt, o.first())
	}
	return o, nil
}

// lastEvent is the last event in an object; of one that is damaged its seq is past all others, so that the
// object is looked at.
func lastEvent(data []byte, exchange string) Event {
	line := bytes.TrimSuffix(data, []byte("\n"))
	e, err := parseLine(line[bytes.LastIndexByte(line, '\n')+1:], exchange, nil)
	if err != nil {
		return Event{Seq: maxSeq}
	}
	return e
}

// readWhole returns all of an object, or an error. It waits timeout for the store's answer, and then as
// long again and as the object's size allows (slowestRead) for its bytes.
func readWhole(ctx context.Context, store Store, key string, timeout time.Duration) (content, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	ctx, date := store.Dated(ctx)
	r, err := store.Bucket().NewReader(ctx, key, nil)
	if err != nil {
		if store.NoSuchKey(err) {
			return content{date: date()}, errAbsent
		}
		return content{}, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	late.Reset(timeout + time.Duration(r.Size())*time.Second/slowestRead)
	c := content{data: make([]byte, r.Size()), mod: r.ModTime(), date: date()}
	if _, err := io.ReadFull(r, c.data); err != nil {
		return content{}, fmt.Errorf("read %s: %w", key, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return content{}, fmt.Errorf("read %s: longer than its size of %d bytes (%w)", key, len(c.data), err)
	}
	return c, nil
}
