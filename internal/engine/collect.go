package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// collectAfter is how old, by the store, an attachment must be that no event names, for it to be deleted. An
	// event that names it may still be on its way, but not for that long (lookAgainAfter, latestNaming).
	collectAfter = 7 * 24 * time.Hour
	// collectAtOnce is how many old attachments are judged together, and collectDeletes how many are deleted at
	// once.
	collectAtOnce  = 1000
	collectDeletes = 8
)

// Collection is what was collected of one exchange.
type Collection struct {
	Deleted int
	Bytes   int64
}

// Collect deletes the attachments of an exchange that no event names, and that are older than a week by the
// store's time: what was stored and then not committed, and uploads that no message took up. It may run beside
// servers, and several times at once, and be killed at any moment. What must stay true:
//
//   - An attachment is judged by a state that was proved to be the head after it was seen in a listing. What
//     is named later is younger (docs/storage.md, rule 15).
//   - A state that lacks what unknown events did judges nothing: they may name attachments.
//   - Only keys that this server makes are deleted.
//
// Cost: one listing of the exchange's attachments; where any is that old, eight bytes for each that events ever
// named, and a check of the head for each collectAtOnce. The log is read only where any is that old.
func Collect(ctx context.Context, store Store, exchangeID string) (c Collection, err error) {
	var log *eventlog.Log
	m := newMachine(exchangeID, nil)
	j := &judge{machine: m, sync: func(ctx context.Context) error {
		if log == nil {
			if log, err = eventlog.Open(ctx, store, exchangeID, m, eventlog.Options{}); err != nil {
				return err
			}
		}
		return log.Sync(ctx)
	}}
	c, err = collect(ctx, store, exchangeID, j)
	if log != nil {
		err = errors.Join(err, log.Close(ctx))
	}
	return c, err
}

// collect does so for an exchange that is open. Nobody waits for it, so what fails is only said.
func (x *running) collect() {
	e := x.engine
	c, err := collect(e.life, e.store, x.id, &judge{machine: x.machine, sync: x.log.Sync})
	if c.Deleted > 0 {
		x.logger.Info("attachments that no event names were deleted", "count", c.Deleted, "bytes", c.Bytes)
	}
	switch {
	case err == nil, e.life.Err() != nil:
	case e.store.Fatal(err):
		e.die(err)
	default:
		x.logger.Warn("attachments that no event names could not be deleted; trying again tomorrow", "error", err)
	}
}

func collect(ctx context.Context, store Store, id string, j *judge) (c Collection, err error) {
	now := store.Now()
	it := store.Bucket().List(&blob.ListOptions{Prefix: attachmentFolder(id)})
	for ended := false; !ended; {
		var old []*blob.ListObject
		for len(old) < collectAtOnce {
			obj, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				ended = true
				break
			}
			if err != nil {
				return c, fmt.Errorf("list the attachments of %s: %w", id, err)
			}
			if isAttachmentKey(id, obj.Key) && now.Sub(obj.ModTime) > collectAfter {
				old = append(old, obj)
			}
		}
		if len(old) == 0 {
			continue
		}
		unnamed, err := j.unnamed(ctx, old)
		if err != nil {
			return c, err
		}
		if err := c.delete(ctx, store, unnamed); err != nil {
			return c, err
		}
	}
	return c, nil
}

// delete deletes objects. One that is gone already was deleted by another.
func (c *Collection) delete(ctx context.Context, store Store, all []*blob.ListObject) error {
	var deleted, bytes atomic.Int64
	deleters, ctx := errgroup.WithContext(ctx)
	deleters.SetLimit(collectDeletes)
	for _, obj := range all {
		deleters.Go(func() error {
			if err := store.Bucket().Delete(ctx, obj.Key); err != nil && !store.NoSuchKey(err) {
				return fmt.Errorf("delete %s: %w", obj.Key, err)
			}
			deleted.Add(1)
			bytes.Add(obj.Size)
			return nil
		})
	}
	err := deleters.Wait()
	c.Deleted, c.Bytes = c.Deleted+int(deleted.Load()), c.Bytes+bytes.Load()
	return err
}

// judge knows which keys events have named.
type judge struct {
	machine *machine
	sync    func(context.Context) error // brings the machine to the head

	named []uint64 // sorted; what the state had at the last look
}

// unnamed returns those of the objects that no event names. They were listed before it was called.
func (j *judge) unnamed(ctx context.Context, listed []*blob.ListObject) ([]*blob.ListObject, error) {
	if err := j.sync(ctx); err != nil {
		return nil, fmt.Errorf("read which attachments are named: %w", err)
	}
	j.machine.mu.RLock()
	whole := j.machine.state.ReadOnly() == ""
	before := len(j.named)
	j.named = j.machine.state.AttachmentHashes(j.named, before)
	j.machine.mu.RUnlock()
	if !whole {
		return nil, nil
	}
	if len(j.named) > before {
		slices.Sort(j.named)
	}
	return slices.DeleteFunc(listed, func(obj *blob.ListObject) bool {
		_, named := slices.BinarySearch(j.named, exchange.AttachmentHash(obj.Key))
		return named
	}), nil
}
