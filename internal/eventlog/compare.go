package eventlog

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// findSnapshots returns the snapshots of the projection's version, the oldest first.
func (r *Report) findSnapshots(ctx context.Context, store Store, o CheckOptions) ([]listedSnapshot, error) {
	if o.New == nil {
		return nil, nil
	}
	found, err := listSnapshots(ctx, store, r.Exchange, func(key string) { r.Note("%s is no snapshot", key) })
	if err != nil {
		return nil, err
	}
	version := o.New().Version()
	found = slices.DeleteFunc(found, func(s listedSnapshot) bool {
		other := s.tag != versionTag(version)
		if other {
			r.Note("%s is of another version than %s, which does not use it", s.key, version)
		}
		return other
	})
	slices.SortStableFunc(found, func(a, b listedSnapshot) int { return cmp.Compare(a.seq, b.seq) })
	return found, nil
}

// comparison is the machine of a check: it has the log's events make a state, and holds each snapshot against
// it at the event that the snapshot ends with. That may be in the middle of an object, where the day was
// merged since.
type comparison struct {
	report    *Report
	ctx       context.Context
	store     Store
	options   CheckOptions
	snapshots []listedSnapshot // still to come
	originals []string
	log       *Log
	replayed  Projection
	err       error // the store could not be read
}

// feed folds events into the state.
func (c *comparison) feed(events []Event) {
	if c.options.Watch != nil {
		c.options.Watch(events)
	}
	if c.options.New == nil || len(events) == 0 {
		return
	}
	if c.replayed == nil {
		c.replayed = c.options.New()
	}
	c.replayed.Apply(events)
}

// Apply implements Machine.
func (c *comparison) Apply(events []Event) {
	for len(c.snapshots) > 0 && c.snapshots[0].seq <= events[len(events)-1].Seq {
		s := c.snapshots[0]
		c.snapshots = c.snapshots[1:]
		n := s.seq - events[0].Seq + 1
		c.feed(events[:n])
		c.compare(s, events[n-1])
		if events = events[n:]; len(events) == 0 {
			return
		}
	}
	c.feed(events)
}

// Fork implements Machine; nothing is decided.
func (*comparison) Fork() Tentative { return nil }

// compare holds a snapshot against the state after its last event.
func (c *comparison) compare(s listedSnapshot, last Event) {
	f, err := readSnapshot(c.ctx, c.store, c.report.Exchange, s, c.replayed.Version())
	switch {
	case errors.Is(err, errAbsent): // newer ones took its place meanwhile
		return
	case err != nil && !errors.Is(err, errNoSnapshot):
		c.err = err
		return
	case err == nil && f.EventID != last.ID:
		err = errDisagrees
	}
	if err != nil {
		c.report.Note("%s is not used: %v", s.key, err)
		return
	}
	state, image, err := f.open()
	if err != nil {
		c.report.Note("%s is not used: %v", s.key, err)
		return
	}
	defer image.Close()
	restored := c.options.New()
	if err := restored.Restore(image); err != nil {
		c.report.Find(s.key, "%s can't be read back: %v", s.key, err)
		return
	}
	difference := c.place(state, last)
	if difference == "" {
		difference = c.options.Difference(restored, c.replayed)
	}
	if difference != "" {
		c.report.Find(s.key, "%s is not what the log's events up to seq %d make: %s", s.key, s.seq, difference)
	}
}

// place says in what the log's own part of a snapshot differs from the log after an event.
func (c *comparison) place(s snapshot, last Event) string {
	days := slices.Clone(c.log.days)
	days = slices.DeleteFunc(days, func(d chapter) bool { return d.first > last.Seq+1 })
	today := &days[len(days)-1]
	today.closed, today.size = s.days[len(s.days)-1].closed, 0 // zero, in every sound one
	size := int64(0)
	if p := positionOf(last.At); today.first <= last.Seq {
		size = p.base + int64(p.offset) + int64(p.length)
	}
	switch {
	case !slices.EqualFunc(s.days, days, func(a, b chapter) bool {
		return a.day == b.day && a.first == b.first && a.closed.Equal(b.closed) && a.size == b.size
	}):
		return "its days"
	case !s.head.ts.Equal(last.TS):
		return "the time of its last event"
	case s.head.size != size:
		return "the size of its day"
	case !slices.Equal(s.originals, c.originals):
		return "the objects of the original server"
	}
	return ""
}

// end tells of the snapshots that end behind the log.
func (c *comparison) end() {
	for _, s := range c.snapshots {
		c.report.Note("%s is not used: it ends at seq %d, and the log at %d", s.key, s.seq, c.log.head.next-1)
	}
}
