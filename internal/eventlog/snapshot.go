package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gocloud.dev/blob"
)

// Projection is a Machine whose state can be written down and read back, so that a start need not read
// the whole log (storage rule 19).
type Projection interface {
	Machine
	// Version names how the state is made of events and how an Image is written. It must change with
	// either: a snapshot of any other version is not used.
	Version() string
	// Freeze returns the state as it stands, which later Applies don't change. It is called between two
	// commits, while no other method is, and must be quick, for all commands wait. false: this state must
	// not be written down, because it lacks what events of a type unknown here did.
	Freeze() (Image, bool)
	// Restore gives a machine that was fed nothing the state that an Image wrote. It does so wholly or not
	// at all: after an error the machine is as new, and may be asked to restore another, or be fed the log
	// from its beginning.
	Restore(r io.Reader) error
}

// Image is the state of a Projection at one moment.
type Image interface {
	// Encode writes the state. It runs beside everything else, for seconds perhaps.
	Encode(w io.Writer) error
}

// Unsaved returns how many events were applied since the snapshot that the log began from or wrote last.
func (l *Log) Unsaved() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unsaved
}

// Snapshot writes the state of now into the bucket, so that the next start begins there, and deletes older
// snapshots than the newest two: another replica may be reading the one before. It returns nil where
// nothing happened since the last. Only one is written at a time, others wait. It must not be called on a
// request's path: it costs a copy of the state. A machine that is no Projection, a log that is read-only
// (ErrFormat) and a state that is not whole give an error; so does a store that fails, which does no harm
// but that the snapshot before stays the newest.
func (l *Log) Snapshot(ctx context.Context) error {
	p, ok := l.machine.(Projection)
	if !ok {
		return errors.New("the machine can't write its state down")
	}
	select {
	case l.saving <- struct{}{}:
		defer func() { <-l.saving }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	begun := time.Now()
	s, image, events, err := l.freeze(p)
	if err != nil || events == 0 {
		return err
	}
	err = l.save(ctx, s, image, events)
	l.observer.Saved(time.Since(begun), err)
	return err
}

// save writes a state into the bucket, and deletes what is older than need be.
func (l *Log) save(ctx context.Context, s snapshot, image Image, events int64) error {
	data, err := s.encode(ctx, l.exchange, image)
	if err != nil {
		return fmt.Errorf("write down the state at seq %d: %w", s.seq(), err)
	}
	key := snapshotKey(l.exchange, s.seq(), s.version)
	// It may replace a damaged one, or the same state by another replica; either is whole at any time.
	err = l.store.Bucket().WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: "application/octet-stream", CacheControl: "no-store", DisableContentTypeDetection: true})
	if err != nil {
		return l.saveError(fmt.Errorf("write %s: %w", key, err))
	}
	l.mu.Lock()
	l.unsaved -= events
	l.mu.Unlock()
	l.log.Debug("wrote a snapshot", "key", key, "bytes", len(data))
	return l.saveError(l.deleteSnapshots(ctx, s.seq()))
}

// freeze returns the state between two commits, and how many events were applied since the last snapshot.
func (l *Log) freeze(p Projection) (snapshot, Image, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return snapshot{}, nil, 0, l.stopped()
	case l.ctx.Err() != nil:
		return snapshot{}, nil, 0, ErrClosed
	case l.readOnly != nil:
		return snapshot{}, nil, 0, l.readOnly
	case l.unsaved == 0:
		return snapshot{}, nil, 0, nil
	}
	image, ok := p.Freeze()
	if !ok {
		return snapshot{}, nil, 0, fmt.Errorf("%w: it has events whose effect is not known here", ErrFormat)
	}
	// The days are never changed in place, and marks are only added, see apply.
	return snapshot{version: p.Version(), head: l.head, days: l.days, marks: l.marks, originals: l.originals}, image, l.unsaved, nil
}

// saveError passes an error of a snapshot on. Only one that says that the disk is lost ends the log.
func (l *Log) saveError(err error) error {
	if err == nil || !l.store.Fatal(err) {
		return err
	}
	l.fail(err)
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// deleteSnapshots deletes the snapshots before the newest two of those up to seq. Those behind it are another
// replica's, or of a log that was longer before it was restored from a backup, and none of our business.
func (l *Log) deleteSnapshots(ctx context.Context, seq int64) error {
	found, err := listSnapshots(ctx, l.store, l.exchange, func(string) {})
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(s listedSnapshot) bool { return s.seq > seq })
	for _, s := range found[min(keptSnapshots, len(found)):] {
		if err := l.store.Bucket().Delete(ctx, s.key); err != nil && !isAbsent(l.store, err) {
			return fmt.Errorf("delete %s: %w", s.key, err)
		}
	}
	return nil
}

// listSnapshots returns the snapshots of an exchange, the newest first. Of other objects in their folder it
// tells stray.
func listSnapshots(ctx context.Context, store Store, exchange string, stray func(key string)) ([]listedSnapshot, error) {
	var found []listedSnapshot
	it := store.Bucket().List(&blob.ListOptions{Prefix: SnapshotsPrefix(exchange)})
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			slices.Reverse(found)
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the snapshots of %s: %w", exchange, err)
		}
		s, ok := parseSnapshotKey(exchange, obj.Key)
		if !ok {
			stray(obj.Key)
			continue
		}
		s.size = obj.Size
		found = append(found, s)
	}
}
