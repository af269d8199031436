package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"
)

// Compaction is what Compact did to one log.
type Compaction struct {
	Exchange string
	Days     []MergedDay
	// Kept names closed days that stay as they are for good, each with the reason: too large, or damaged.
	Kept []string
}

// MergedDay is a day that is one object now.
type MergedDay struct {
	Day     string // as in its keys, "2026/02/01"
	Bytes   int    // of the object
	Deleted int    // other objects of the day
}

// Compact merges each closed day of a log into the day's first object (storage rule 16), which holds the
// day's commits then, one after the other, byte for byte. It may run beside servers, and several times at
// once. Where it stops, by an error or by being killed, every reader still finds the whole log, and the next
// call finishes what was begun. What must stay true:
//
//   - A day becomes exactly one object or stays as it is: a day merged in part would deceive the fence
//     (fence.go). What is merged is the chain of positions up to day_closed, never what a listing shows.
//   - The first object is overwritten, durably, before any other is deleted, and is never deleted itself.
//   - No day is merged within a day of its end, both by the store's clock and none else.
//   - What is merged depends on nothing but the log, so a write that lands late, or twice, changes nothing.
//   - Genesis, and objects whose keys are not those of positions (old data), are not touched.
//
// It returns ErrNotFound where there is no log, ErrFormat for one that this version does not write to, or
// why the store could not be read or written.
func Compact(ctx context.Context, store Store, exchange string) (Compaction, error) {
	r := Compaction{Exchange: exchange}
	g, err := readGenesis(ctx, store, exchange)
	switch {
	case errors.Is(err, errAbsent):
		return r, ErrNotFound
	case err != nil:
		return r, err
	case g.Format != format:
		return r, fmt.Errorf("%w: it is %d, this version writes %d", ErrFormat, g.Format, format)
	}
	found, err := list(ctx, store, exchange)
	if err != nil {
		return r, err
	}
	before := listedDay{}
	for _, d := range found.days() {
		m := merger{store: store, exchange: exchange, genesis: g, before: before, listedDay: d}
		before = d
		if len(d.positions) < 2 {
			continue
		}
		merged, err := m.merge(ctx)
		var kept *keptError
		switch {
		case errors.As(err, &kept):
			r.Kept = append(r.Kept, fmt.Sprintf("%s: %s", d.day, kept.reason))
		case err != nil:
			return r, fmt.Errorf("merge %s of %s: %w", d.day, exchange, err)
		case merged.Day != "":
			r.Days = append(r.Days, merged)
		}
	}
	return r, nil
}

// keptError says why a closed day is not merged.
type keptError struct{ reason string }

func (e *keptError) Error() string { return e.reason }

// merger merges one day.
type merger struct {
	store    Store
	exchange string
	genesis  opened
	before   listedDay // the day listed before it, if any
	listedDay
}

func (m merger) read(ctx context.Context, p place) (object, error) {
	return read(ctx, m.store, m.exchange, p, replayTimeout)
}

// merge makes one object of the day, or finishes a merge that stopped halfway. A day that is open or was
// closed too short a time ago is left alone: the zero MergedDay.
func (m merger) merge(ctx context.Context) (MergedDay, error) {
	first, err := m.read(ctx, m.positions[0].place)
	if err != nil {
		return MergedDay{}, reasonToKeep(err)
	}
	whole := first
	if !first.closes() {
		if whole, err = m.chain(ctx, first); err != nil || whole.events == nil {
			return MergedDay{}, reasonToKeep(err)
		}
		if err := overwrite(ctx, m.store, whole.key, whole.data); err != nil {
			return MergedDay{}, err
		}
	}
	// From here on the day is its first object. One that was so already was overwritten by a merge that
	// looked at the day's age, so what it left behind need not wait for another day.
	gone := slices.DeleteFunc(slices.Clone(m.positions), func(p listed) bool { return p.seq <= first.seq || p.seq > whole.last() })
	if len(gone) == 0 {
		return MergedDay{}, nil
	}
	if err := deleteAll(ctx, m.store, gone); err != nil {
		return MergedDay{}, err
	}
	return MergedDay{Day: string(m.day), Bytes: len(whole.data), Deleted: len(gone)}, nil
}

// chain reads the day's commits, each at the key that the one before it determines, and returns them as one
// object; or no object where the day is not to be merged now. Nothing that it does not find is passed over.
func (m merger) chain(ctx context.Context, first object) (object, error) {
	// Most days that are not to be merged show it here, for one read more.
	last, err := m.read(ctx, m.positions[len(m.positions)-1].place)
	switch {
	case errors.Is(err, errAbsent): // merged meanwhile
		return object{}, nil
	case err != nil || !last.closes() || !ripe(last):
		return object{}, err
	case m.others() > maxMerged:
		return object{}, errTooLarge
	}
	if err := m.follows(ctx, first); err != nil {
		return object{}, err
	}
	ahead := fetchAhead(ctx, m.store, m.exchange, m.positions[1:])
	defer ahead.stop()
	pieces, size, end := [][]byte{first.data}, len(first.data), first
	for !end.closes() {
		seq := end.last() + 1
		end, err = ahead.read(place{day: m.day, seq: seq, key: positionKey(m.exchange, m.day, seq)})
		switch {
		case errors.Is(err, errAbsent):
			return object{}, m.unlessMerged(ctx, first, &keptError{fmt.Sprintf("position %d is missing", seq)})
		case err != nil:
			return object{}, err
		}
		pieces, size = append(pieces, end.data), size+len(end.data)
		if size > maxMerged {
			return object{}, errTooLarge
		}
	}
	if !ripe(end) {
		return object{}, nil
	}
	whole := object{place: first.place, content: content{data: bytes.Join(pieces, nil)}}
	if whole.events, err = wholeDay(whole.data, m.exchange); err != nil {
		return object{}, err
	}
	// The fence, for the one who merges: what was read is the day only if nobody had merged it before.
	return whole, m.unlessMerged(ctx, first, nil)
}

// follows makes sure that the day begins where the one before it ends: that its first object is not missing.
func (m merger) follows(ctx context.Context, first object) error {
	if m.before.positions == nil {
		if m.genesis.Next == m.day && first.seq == 1 {
			return nil
		}
		return &keptError{"it is not the log's first day, and there is none before it"}
	}
	// The end of the day before is its last object, or its first where it is merged.
	for _, p := range []listed{m.before.positions[len(m.before.positions)-1], m.before.positions[0]} {
		o, err := m.read(ctx, p.place)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return err
		}
		if next, err := nextDay(o.events[len(o.events)-1].Payload); o.closes() && err == nil && next == m.day && o.last()+1 == first.seq {
			return nil
		}
	}
	return &keptError{fmt.Sprintf("it begins with position %d, which does not follow the day before", first.seq)}
}

// errMerged: another has merged the day meanwhile.
var errMerged = errors.New("merged by another meanwhile")

var errTooLarge = &keptError{fmt.Sprintf("it is larger than %d MiB", maxMerged>>20)}

// unlessMerged returns err if the day's first object is still what it was, and errMerged if not.
func (m merger) unlessMerged(ctx context.Context, first object, err error) error {
	now, rerr := m.read(ctx, first.place)
	switch {
	case rerr != nil:
		return rerr
	case !bytes.Equal(now.data, first.data):
		return errMerged
	}
	return err
}

// reasonToKeep tells errors that concern one day from those that concern the store.
func reasonToKeep(err error) error {
	switch {
	case errors.Is(err, errMerged):
		return nil // the next call looks what is left to do
	case errors.Is(err, errAbsent):
		return &keptError{"its first object is gone"} // of any other, chain says which
	case errors.Is(err, errCorrupt):
		return &keptError{err.Error()}
	}
	return err
}

// ripe tells whether the object that closes a day is old enough, by the time that the store gave with it.
func ripe(closing object) bool {
	return !closing.date.IsZero() && !closing.mod.IsZero() && closing.date.Sub(closing.mod) > mergeAfter
}

// wholeDay decodes a day to be written: seqs without a gap, closed at its end and nowhere else.
func wholeDay(data []byte, exchange string) ([]Event, error) {
	events, err := parseObject(data, exchange)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	for i, e := range events {
		if (e.Type == typeDayClosed) != (i == len(events)-1) {
			return nil, fmt.Errorf("%w: seq %d closes the day before its end", errCorrupt, e.Seq)
		}
	}
	return events, nil
}

// overwrite replaces a day's first object. It returns nil when that is durable; after an error nobody knows
// whether it was done, and nothing may be deleted.
func overwrite(ctx context.Context, store Store, key string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, mergeTimeout)
	defer cancel()
	o := createOnly()
	o.IfNotExist = false
	if err := store.Bucket().WriteAll(ctx, key, data, o); err != nil {
		return fmt.Errorf("overwrite %s: %w", key, err)
	}
	return nil
}

// deleteAll deletes what a merge made superfluous, many at once. It is no error where an object is gone.
func deleteAll(ctx context.Context, store Store, places []listed) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mergeDeletes)
	for _, p := range places {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			ctx, cancel := context.WithTimeout(ctx, putTimeout)
			defer cancel()
			err := store.Bucket().Delete(ctx, p.key)
			if err != nil && !isAbsent(store, err) {
				return fmt.Errorf("delete %s: %w", p.key, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// isAbsent tells whether a delete failed because the object was gone, of which S3 does not give the reason.
func isAbsent(store Store, err error) bool {
	return store.NoSuchKey(err) || gcerrors.Code(err) == gcerrors.NotFound
}
