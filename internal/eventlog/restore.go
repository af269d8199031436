package eventlog

import (
	"context"
	"errors"
	"fmt"
)

// restore brings the log and its machine to the newest snapshot that agrees with the log, and reports whether
// there is one. Without it the machine is as it was, and the log is read from its beginning: a missing or
// damaged snapshot costs time only (storage rule 19).
//
// A snapshot says what the log was when it was written. The log may have been restored from an older backup
// since, or another one stands in its place; so the last commit in the snapshot, or the merged day that
// holds it now, is read first and must have the same last event. That is no proof that the log's day is open
// (rule 17): the walk to the head, which follows, asks the store as after any replay.
func (l *Log) restore(ctx context.Context, g opened) (bool, error) {
	p, ok := l.machine.(Projection)
	if !ok || g.Format != format {
		return false, nil
	}
	found, err := listSnapshots(ctx, l.store, l.exchange, func(key string) {
		l.log.Warn("an object among the snapshots is none", "key", key)
	})
	if err != nil {
		l.log.Warn("snapshots can't be listed; the whole log is read", "error", err)
	}
	for _, s := range found {
		err := l.restoreFrom(ctx, s, p, g)
		if err == nil {
			l.log.Debug("begins with a snapshot", "key", s.key)
			return true, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		l.log.Warn("a snapshot is not used", "key", s.key, "reason", err)
	}
	return false, ctx.Err()
}

func (l *Log) restoreFrom(ctx context.Context, s listedSnapshot, p Projection, g opened) error {
	f, err := readSnapshot(ctx, l.store, l.exchange, s, p.Version())
	if err != nil {
		return err
	}
	state, image, err := f.open()
	if err != nil {
		return err
	}
	defer image.Close()
	if err := l.agrees(ctx, state, g); err != nil {
		return err
	}
	if err := p.Restore(image); err != nil {
		return fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	l.head, l.days, l.marks, l.originals = state.head, state.days, state.marks, state.originals
	return nil
}

// readSnapshot reads a snapshot of this exchange and version, whole and sound, or says why it is none.
func readSnapshot(ctx context.Context, store Store, exchange string, s listedSnapshot, version string) (snapshotFile, error) {
	switch {
	case s.tag != versionTag(version):
		return snapshotFile{}, fmt.Errorf("%w: it is of another version", errNoSnapshot)
	case s.size > maxSnapshot:
		return snapshotFile{}, fmt.Errorf("%w: it is larger than %d MiB", errNoSnapshot, maxSnapshot>>20)
	}
	c, err := readWhole(ctx, store, s.key, replayTimeout)
	if err != nil {
		return snapshotFile{}, err
	}
	f, err := parseSnapshot(c.data)
	if err != nil {
		return snapshotFile{}, err
	}
	if f.Seq != s.seq {
		return snapshotFile{}, fmt.Errorf("%w: its name says that it ends at seq %d, and it ends at %d", errNoSnapshot, s.seq, f.Seq)
	}
	return f, f.usable(exchange, version)
}

// errDisagrees: the log does not hold what the snapshot was made of.
var errDisagrees = errors.New("the log does not hold its last event; was it restored from a backup?")

// agrees makes sure that the log holds the last event of a snapshot: in its commit, or in the first object of
// its day, where that was merged since. An orphan that lies at the key of the commit after a merge has other
// events.
func (l *Log) agrees(ctx context.Context, s snapshot, g opened) error {
	commit, _ := parseKey(l.exchange, s.head.key)
	if commit.seq == 0 {
		if !holds(g.object, s.seq(), s.head.last) {
			return errDisagrees
		}
		return nil
	}
	c := chapterOf(s.days, commit.seq)
	first := place{day: c.day, seq: c.first, key: positionKey(l.exchange, c.day, c.first)}
	for _, p := range []place{commit, first} {
		o, err := read(ctx, l.store, l.exchange, p, replayTimeout)
		switch {
		case errors.Is(err, errAbsent):
			continue
		case err != nil:
			return err
		case holds(o, s.seq(), s.head.last):
			return nil
		}
	}
	return errDisagrees
}

func holds(o object, seq int64, id string) bool {
	return o.first() <= seq && seq <= o.last() && o.events[seq-o.first()].ID == id
}
