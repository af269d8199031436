package eventlog

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Events reads the log again: events behind the one with seq after, in order and without a gap, at most limit of
// them and about pageBytes. There is at least one where the log goes on behind after; the events before seq 1
// are not among them. Their places (At) are not set, and their payloads are parts of what was read.
//
// What it reads was durable before it was applied, so it needs no check of the head, and what it returns is
// the log whatever merges come in between and whatever sleepers left behind. It costs one ranged read in a day
// that was merged; in one that was not, a read for each commit, some beside each other, and a short one that
// proves them genuine. In memory that is at most pageBytes and what one commit has. ErrUnavailable where the
// store can't be read, ErrDamaged where it holds something else.
func (l *Log) Events(ctx context.Context, after int64, limit int) ([]Event, error) {
	l.mu.Lock()
	r := reread{l: l, days: l.days, marks: l.marks, end: mark{l.head.next, l.head.size}}
	err := l.stopped()
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var (
		events []Event
		size   int64
	)
	for next := max(after, 0) + 1; next < r.end.seq && len(events) < limit && size < pageBytes; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s := r.stretch(next, limit-len(events), pageBytes-size)
		found, err := r.read(ctx, s)
		if err != nil {
			return nil, r.explain(ctx, s, err)
		}
		found = found[next-s.from().seq:]
		found = found[:min(len(found), limit-len(events))]
		events = append(events, found...)
		size += s.to().base - s.from().base
		next += int64(len(found))
	}
	return events, nil
}

// reread is one reading of the log as it was when that began.
type reread struct {
	l     *Log
	days  []chapter
	marks []mark
	end   mark // the head
}

// stretch is a part of a day between two marks, with those in it.
type stretch struct {
	chapter
	bounds []mark
}

func (s stretch) from() mark { return s.bounds[0] }
func (s stretch) to() mark   { return s.bounds[len(s.bounds)-1] }

// stretch returns the part of next's day that holds next and up to limit events in all, and not many more
// bytes than room.
func (r *reread) stretch(next int64, limit int, room int64) stretch {
	c := chapterOf(r.days, next)
	end := r.end
	if !c.closed.IsZero() {
		end = mark{r.firstBehind(c), c.size}
	}
	bounds := marksIn(r.marks, c.first, end)
	begin := 0
	for bounds[begin+1].seq <= next {
		begin++
	}
	stop := begin + 1
	for stop < len(bounds)-1 && bounds[stop].seq < next+int64(limit) && bounds[stop+1].base-bounds[begin].base <= room {
		stop++
	}
	return stretch{c, bounds[begin : stop+1]}
}

// firstBehind is the first position behind a closed day.
func (r *reread) firstBehind(c chapter) int64 {
	for i := len(r.days) - 1; i > 0; i-- {
		if r.days[i-1].first == c.first {
			return r.days[i].first
		}
	}
	return r.end.seq // not reached: the log's day is not closed
}

// errElsewhere: what stands at the keys of a stretch's commits is not the stretch, because its day was merged.
var errElsewhere = errors.New("not found commit by commit")

// read reads a stretch where it is. The likelier place is looked at first, as Fetch does.
func (r *reread) read(ctx context.Context, s stretch) ([]Event, error) {
	if !s.closed.IsZero() && r.l.store.Now().Sub(s.closed) >= likelyMerged {
		if events, err := r.merged(ctx, s); !errors.Is(err, errShort) {
			return events, err
		}
	}
	events, err := r.alone(ctx, s)
	if errors.Is(err, errElsewhere) {
		return r.merged(ctx, s)
	}
	return events, err
}

func (r *reread) firstKey(s stretch) string {
	return r.l.names.key(s.day, s.first)
}

// merged reads a stretch out of the day's first object. errShort: it is not there, for the day is not merged.
func (r *reread) merged(ctx context.Context, s stretch) ([]Event, error) {
	data, err := r.l.readRange(ctx, r.firstKey(s), s.from().base, s.to().base-s.from().base)
	if err != nil {
		return nil, err
	}
	return r.lines(s, data)
}

// lines decodes the bytes of a stretch.
func (r *reread) lines(s stretch, data []byte) ([]Event, error) {
	events, err := parseObject(data, r.l.exchange)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	if events[0].Seq != s.from().seq || events[len(events)-1].Seq+1 != s.to().seq {
		return nil, fmt.Errorf("%w: events %d to %d stand where others should", errCorrupt, events[0].Seq, events[len(events)-1].Seq)
	}
	return nowhere(events), nil
}

// nowhere takes from events their places, which are right only in the object that they were read from.
func nowhere(events []Event) []Event {
	for i := range events {
		events[i].At = At{}
	}
	return events
}

// alone reads a stretch commit by commit. A merge may have deleted some of them, and a sleeper have written in
// their place since (storage rule 17). But a merge overwrites the day's first object before it deletes any other:
// where that object, looked at after the reads, does not reach to where they were, they are genuine.
func (r *reread) alone(ctx context.Context, s stretch) ([]Event, error) {
	parts := make([][]Event, len(s.bounds)-1)
	last := make([]int64, len(parts)) // where the last commit of each begins
	readers, inner := errgroup.WithContext(ctx)
	readers.SetLimit(fetchReaders)
	for i := range parts {
		readers.Go(func() (err error) {
			parts[i], last[i], err = r.chain(inner, s, s.bounds[i], s.bounds[i+1])
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return nil, err
	}
	if at := last[len(last)-1]; at > 0 && r.l.store.Shared() {
		size, err := r.l.sizeOf(ctx, r.firstKey(s))
		if err != nil {
			return nil, err
		}
		if size > at {
			return nil, errElsewhere
		}
	}
	events := parts[0]
	for _, more := range parts[1:] {
		events = append(events, more...)
	}
	return events, nil
}

// chain reads the commits between two marks, each at the key that the one before it determines, and says how
// many bytes of the day lie before the last of them.
func (r *reread) chain(ctx context.Context, s stretch, from, to mark) (events []Event, last int64, err error) {
	if from.base == 0 {
		// The first object of a day may be all of it by now, which is not to be read for a part.
		events, err := r.merged(ctx, stretch{s.chapter, []mark{from, to}})
		if !errors.Is(err, errShort) {
			return events, 0, err
		}
	}
	for at := from; at.seq < to.seq; {
		o, err := read(ctx, r.l.store, r.l.exchange, place{day: s.day, seq: at.seq, key: r.l.names.key(s.day, at.seq)}, readTimeout)
		switch {
		case errors.Is(err, errAbsent):
			return nil, 0, errElsewhere
		case err != nil:
			return nil, 0, err
		}
		last = at.base
		events = append(events, nowhere(o.events)...)
		at = mark{o.last() + 1, at.base + int64(len(o.data))}
		if at.seq >= to.seq && at != to {
			return nil, 0, errElsewhere // another's commit in the place of one that a merge took
		}
	}
	return events, last, nil
}

// sizeOf returns how many bytes an object has.
func (l *Log) sizeOf(ctx context.Context, key string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	o, err := l.store.Bucket().NewRangeReader(ctx, key, 0, 1, nil)
	if err != nil {
		if l.store.NoSuchKey(err) {
			return 0, errAbsent
		}
		return 0, fmt.Errorf("look at %s: %w", key, err)
	}
	defer o.Close()
	return o.Size(), nil
}

// explain turns what kept a stretch from being read into one of the package's errors.
func (r *reread) explain(ctx context.Context, s stretch, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case seen(err), errors.Is(err, errCorrupt):
		return fmt.Errorf("%w: events %d to %d in %s: %w", ErrDamaged, s.from().seq, s.to().seq-1, s.day, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
