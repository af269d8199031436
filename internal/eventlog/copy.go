package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
)

// copyRounds is how often a copy begins again because a day was merged under its hands. A day is merged once, so a
// second round meets no merge that the first one met.
const copyRounds = 5

// ErrElsewhere is returned by Copy where the target holds another log, or one that has gone on by itself.
var ErrElsewhere = errors.New("the target holds another log of this exchange")

// Copied is what a copy did.
type Copied struct {
	Objects, Same int   // that were written, and that were there already
	Bytes         int64 // written
}

// Copy brings the log of an exchange from one store to another, while servers may write to the first, and nobody
// writes to the second. What was acknowledged before it began is in the copy, and the copy is a log at every moment:
// whatever ends it, the target holds some of the first commits, without a gap. Objects that the target has already,
// of the same size, are not read again, so the same copy another day costs what is new.
//
// Beside is called when it is known what is copied and nothing has been: what events name was stored before them, so
// what belongs to the log must be copied then, to be there when the events are.
//
// How it keeps from copying a gap: a listing that runs while commits are made can show one and not the one before
// it. So the last position that a listing has shown is where the copy ends, and which objects there are up to
// it is taken from a second listing, which began when all of them were there.
//
// ErrNotFound: there is no such log. ErrElsewhere. Cost: three listings, and a read and a write for each new object,
// one after the other.
func Copy(ctx context.Context, from, to Store, exchange string, beside func() error) (Copied, error) {
	var done Copied
	if err := WriteSchema(ctx, to); err != nil {
		return done, err
	}
	for range copyRounds {
		listed, err := listSettled(ctx, from, exchange)
		if err != nil {
			return done, err
		}
		there, err := listTarget(ctx, from, to, exchange, listed)
		if err != nil {
			return done, err
		}
		if err := beside(); err != nil {
			return done, err
		}
		err = copyObjects(ctx, from, to, listed, there, &done)
		if !errors.Is(err, errAbsent) {
			return done, err
		}
	}
	return done, fmt.Errorf("copy the log of %s: its objects are being deleted", exchange)
}

// listSettled returns the objects of a log in the order in which they are copied, without a gap: data of the original
// server, then commits. Genesis, which freezes what is there of the former, is the first of the latter.
func listSettled(ctx context.Context, store Store, exchange string) ([]listed, error) {
	first, err := list(ctx, store, exchange)
	if err != nil {
		return nil, err
	}
	if len(first.positions)+len(first.others) == 0 {
		return nil, fmt.Errorf("copy the log of %s: %w", exchange, ErrNotFound)
	}
	second, err := list(ctx, store, exchange)
	if err != nil {
		return nil, err
	}
	last := int64(-1)
	if n := len(first.positions); n > 0 {
		last = first.positions[n-1].seq
	}
	settled := slices.DeleteFunc(second.positions, func(o listed) bool { return o.seq > last })
	return slices.Concat(second.others, settled), nil
}

// listTarget returns the sizes of what the target has, and refuses one that is not the beginning of the same log.
func listTarget(ctx context.Context, from, to Store, exchange string, copied []listed) (map[string]int64, error) {
	target, err := list(ctx, to, exchange)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, o := range slices.Concat(target.others, target.positions) {
		sizes[o.key] = o.size
	}
	if len(target.positions) == 0 {
		return sizes, nil
	}
	same, err := sameLog(ctx, from, to, exchange, copied, target.positions)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, fmt.Errorf("copy the log of %s: %w", exchange, ErrElsewhere)
	}
	return sizes, nil
}

// sameLog reports whether the last commit of the target is one of the source, where its day may have been merged
// since. Then all before it are, because each was decided on those before.
func sameLog(ctx context.Context, from, to Store, exchange string, copied, target []listed) (bool, error) {
	last := target[len(target)-1]
	at := slices.IndexFunc(copied, func(o listed) bool { return o.day != "" && o.seq > last.seq })
	if at < 0 {
		at = len(copied)
	}
	if at == 0 || copied[at-1].day == "" {
		return false, nil
	}
	ours, err := read(ctx, from, exchange, copied[at-1].place, replayTimeout)
	if err != nil {
		return false, err
	}
	theirs, err := read(ctx, to, exchange, last.place, replayTimeout)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(ours.events, func(e Event) bool { return e.ID == theirs.events[0].ID }), nil
}

// copyReads is how many objects are read at once; they are written one after the other.
const copyReads = 16

// copyObjects copies what the target does not have. errAbsent: one is gone, so its day was merged.
func copyObjects(ctx context.Context, from, to Store, objects []listed, there map[string]int64, done *Copied) error {
	missing := slices.DeleteFunc(slices.Clone(objects), func(o listed) bool {
		size, ok := there[o.key]
		return ok && size == o.size
	})
	done.Same += len(objects) - len(missing)
	for part := range slices.Chunk(missing, copyReads) {
		read := make([]content, len(part))
		readers, reading := errgroup.WithContext(ctx)
		for i, o := range part {
			readers.Go(func() (err error) {
				read[i], err = readWhole(reading, from, o.key, replayTimeout)
				return err
			})
		}
		if err := readers.Wait(); err != nil {
			return err //nolint:wrapcheck // it names the object
		}
		for i, o := range part {
			w := createOnly()
			w.IfNotExist = false // a day that was merged since the last copy
			if err := to.Bucket().WriteAll(ctx, o.key, read[i].data, w); err != nil {
				return fmt.Errorf("write %s: %w", o.key, err)
			}
			there[o.key] = int64(len(read[i].data))
			done.Objects++
			done.Bytes += int64(len(read[i].data))
		}
	}
	return nil
}
