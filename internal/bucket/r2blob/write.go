//go:build js

package r2blob

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

const (
	// partSize is the smallest that R2 takes for a part, and the size of every part but the last.
	partSize = 5 << 20
	// maxCreate bounds an object that is written under a condition, since that takes one put and all of it in
	// memory. It is above the largest commit.
	maxCreate = 16 << 20
)

var errTooLarge = errors.New("the object is too large to be written under a condition")

// writer collects an object, and uploads it in parts where it grows beyond one.
type writer struct {
	bucket *Bucket
	ctx    context.Context
	key    string
	media  string
	absent bool // only if nothing is there

	buffer []byte
	upload js.Value // of parts; undefined before the first
	parts  []any
	broken error
}

// NewTypedWriter implements driver.Bucket.
func (b *Bucket) NewTypedWriter(ctx context.Context, key, media string, o *driver.WriterOptions) (driver.Writer, error) {
	w := &writer{bucket: b, ctx: ctx, key: key, media: media, absent: o.IfNotExist}
	if o.BeforeWrite != nil {
		if err := o.BeforeWrite(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *writer) Write(p []byte) (n int, err error) {
	if w.broken != nil {
		return 0, w.broken
	}
	if w.absent {
		if len(w.buffer)+len(p) > maxCreate {
			w.broken = fmt.Errorf("put %q: %w: %w", w.key, errUnsent, errTooLarge)
			return 0, w.broken
		}
		w.buffer = append(w.buffer, p...)
		return len(p), nil
	}
	for len(p) > 0 {
		if len(w.buffer) == partSize { // and more to come
			if w.broken = w.sendPart(); w.broken != nil {
				return n, w.broken
			}
		}
		m := min(len(p), partSize-len(w.buffer))
		w.buffer = append(w.buffer, p[:m]...)
		p, n = p[m:], n+m
	}
	return n, nil
}

// sendPart uploads what is in the buffer.
func (w *writer) sendPart() error {
	if w.upload.IsUndefined() {
		upload, err := w.bucket.call(w.ctx, "createMultipartUpload", w.key, w.key,
			map[string]any{"httpMetadata": map[string]any{"contentType": w.media, "cacheControl": "no-store"}})
		if err != nil {
			return err
		}
		w.upload = upload
	}
	part, err := promise.Call(w.ctx, w.upload, "uploadPart", len(w.parts)+1, promise.Bytes(w.buffer))
	if err != nil {
		return fmt.Errorf("upload a part of %q: %w", w.key, err)
	}
	w.parts, w.buffer = append(w.parts, part), w.buffer[:0]
	return nil
}

// Close stores the object. A writer whose context has ended stores nothing.
func (w *writer) Close() error {
	if err := w.ctx.Err(); err != nil {
		w.abort()
		return fmt.Errorf("put %q: %w: %w", w.key, errUnsent, err)
	}
	if w.broken != nil {
		w.abort()
		return w.broken
	}
	if w.upload.IsUndefined() {
		var condition map[string]any
		if w.absent {
			condition = nothingThere
		}
		return w.bucket.put(w.ctx, w.key, w.buffer, w.media, condition, errExists)
	}
	if len(w.buffer) > 0 {
		if err := w.sendPart(); err != nil {
			w.abort()
			return err
		}
	}
	if _, err := promise.Call(w.ctx, w.upload, "complete", w.parts); err != nil {
		return fmt.Errorf("complete the upload of %q: %w", w.key, err)
	}
	return nil
}

// abort tells R2 to forget the parts. Nobody waits for it, and R2 forgets those of an upload by itself after a
// week.
func (w *writer) abort() {
	if w.upload.IsUndefined() {
		return
	}
	if p, err := promise.Try(w.upload, "abort"); err == nil {
		go promise.Await(context.Background(), p)
	}
}
