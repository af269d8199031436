package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"gocloud.dev/blob"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// checkAttachments holds the objects under attachments/ against the events that name them, which were read before. An
// attachment is stored before its event, and is never changed, nor deleted while an event names it. So one that is
// missing or of another size is a finding. One that no event names is what a crash leaves, or an upload that is
// yet to be named: they are counted. Cost: a listing, and what the keys of all attachments take in memory.
func (a *audit) checkAttachments(ctx context.Context, store Store, r *eventlog.Report) error {
	orphans := 0
	it := store.Bucket().List(&blob.ListOptions{Prefix: attachmentFolder(r.Exchange)})
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("list the attachments of %s: %w", r.Exchange, err)
		}
		named, ok := a.attachments[obj.Key]
		switch {
		case ok && named.size != obj.Size:
			r.Find(obj.Key, "%s, an attachment of %s, has %d bytes, and its event says %d", obj.Key, named.thread, obj.Size, named.size)
		case ok:
		case isAttachmentKey(r.Exchange, obj.Key):
			orphans++
		default:
			r.Note("%s is no attachment", obj.Key)
		}
		delete(a.attachments, obj.Key)
	}
	if orphans > 0 {
		r.Note("%d attachments are named by no event; a running server deletes them after a week", orphans)
	}
	for _, key := range slices.Sorted(maps.Keys(a.attachments)) {
		r.Find(key, "%s, an attachment of %s, is missing", key, a.attachments[key].thread)
	}
	return nil
}

// namedAttachment is what an event says of an attachment.
type namedAttachment struct {
	size   int64
	thread string
}

// watchAttachments is told each event of the log.
func (a *audit) watchAttachments(ev eventlog.Event) {
	for _, one := range exchange.AttachmentsOf(exchange.Event(ev)) {
		a.attachments[one.Key] = namedAttachment{one.Size, ev.Thread}
	}
}
