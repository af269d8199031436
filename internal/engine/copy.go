package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// copiers is how many objects beside a log are copied at once. They don't depend on each other.
const copiers = 8

// Copy brings an exchange from one store to another: its log, as eventlog.Copy does, and before it the profiles and
// attachments that its events need. Snapshots are left: whoever opens the copy makes its own. Where there are only
// profiles, of an exchange of the original server without events, it copies those.
func Copy(ctx context.Context, from, to Store, exchangeID string) (eventlog.Copied, error) {
	beside := func() error {
		if err := copyFolder(ctx, from, to, profileFolder(exchangeID), copyProfile); err != nil {
			return err
		}
		return copyFolder(ctx, from, to, attachmentFolder(exchangeID), copyAttachment)
	}
	done, err := eventlog.Copy(ctx, from, to, exchangeID, beside)
	if errors.Is(err, eventlog.ErrNotFound) {
		return done, beside()
	}
	return done, err
}

// copyFolder copies what a listing of a folder shows.
func copyFolder(ctx context.Context, from, to Store, folder string, copyOne func(ctx context.Context, from, to Store, obj *blob.ListObject) error) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(copiers)
	it := from.Bucket().List(&blob.ListOptions{Prefix: folder})
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(fmt.Errorf("list %s: %w", folder, err), work.Wait())
		}
		work.Go(func() error { return copyOne(ctx, from, to, obj) })
	}
	return work.Wait() //nolint:wrapcheck // its functions name the object
}

// copyProfile copies a small object that changes. One that is gone has left with its executor.
func copyProfile(ctx context.Context, from, to Store, obj *blob.ListObject) error {
	key := obj.Key
	ours, _, err := from.Load(ctx, key)
	if from.NoSuchKey(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	theirs, version, err := to.Load(ctx, key)
	switch {
	case err == nil && bytes.Equal(ours, theirs):
		return nil
	case err != nil && !to.NoSuchKey(err):
		return fmt.Errorf("read %s of the target: %w", key, err)
	case err != nil:
		version = ""
	}
	if err := to.Replace(ctx, key, version, ours); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// copyAttachment copies an object that never changes, but may be collected where no event names it.
func copyAttachment(ctx context.Context, from, to Store, obj *blob.ListObject) (err error) {
	if there, err := to.Bucket().Attributes(ctx, obj.Key); err == nil && there.Size == obj.Size {
		return nil
	}
	r, err := from.Bucket().NewReader(ctx, obj.Key, nil)
	if from.NoSuchKey(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", obj.Key, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// A writer whose context has ended stores nothing, so half an object never stands there.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := to.Bucket().NewWriter(ctx, obj.Key, &blob.WriterOptions{ContentType: r.ContentType(), DisableContentTypeDetection: true})
	if err != nil {
		return fmt.Errorf("write %s: %w", obj.Key, err)
	}
	n, err := io.Copy(w, r)
	if err == nil && n != r.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		cancel()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", obj.Key, err)
	}
	return nil
}
