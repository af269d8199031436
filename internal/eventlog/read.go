package eventlog

import (
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

// object is one object of the log, read whole and decoded.
type object struct {
	place
	events []Event
	data   []byte // the lines, as they are in the store
}

func (o object) first() int64 { return o.events[0].Seq }
func (o object) last() int64  { return o.events[len(o.events)-1].Seq }

// read reads the object at a position. A read counts only if it brought as many bytes as the object
// has and ends in LF: a cut answer must never pass for a shorter commit (storage rule 5). errAbsent
// means that the position is free, which only the store's own "no such key" says.
func read(ctx context.Context, store Store, exchange string, p place, timeout time.Duration) (object, error) {
	data, err := readWhole(ctx, store, p.key, timeout)
	if err != nil {
		return object{}, err
	}
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return object{}, fmt.Errorf("read %s: %w: it does not end in a line feed", p.key, errCorrupt)
	}
	events, err := parseObject(data, exchange)
	if err != nil {
		return object{}, fmt.Errorf("read %s: %w: %w", p.key, errCorrupt, err)
	}
	if events[0].Seq != p.seq {
		return object{}, fmt.Errorf("read %s: %w: it begins with seq %d", p.key, errCorrupt, events[0].Seq)
	}
	return object{place: p, events: events, data: data}, nil
}

// readWhole returns the object's bytes, all of them or an error.
func readWhole(ctx context.Context, store Store, key string, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := store.Bucket().NewReader(ctx, key, nil)
	if err != nil {
		if store.NoSuchKey(err) {
			return nil, errAbsent
		}
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	data := make([]byte, r.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return nil, fmt.Errorf("read %s: longer than its size of %d bytes (%w)", key, len(data), err)
	}
	return data, nil
}
