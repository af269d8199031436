//go:build js

package r2blob

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"
	"time"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// Bucket is a binding. Its methods may be called from any goroutine.
type Bucket struct{ r2 js.Value }

// New returns the bucket behind a binding.
func New(binding js.Value) *Bucket { return &Bucket{binding} }

// call calls the binding. A call whose context has ended is not sent.
func (b *Bucket) call(ctx context.Context, method, key string, args ...any) (js.Value, error) {
	if err := ctx.Err(); err != nil {
		return js.Null(), fmt.Errorf("%s %q: %w: %w", method, key, errUnsent, err)
	}
	v, err := promise.Call(ctx, b.r2, method, args...)
	if err != nil {
		return js.Null(), fmt.Errorf("%s %q: %w", method, key, err)
	}
	return v, nil
}

// info is what R2 tells of an object.
type info struct {
	key      string
	size     int64
	etag     string
	uploaded time.Time
	media    string
}

func infoOf(o js.Value) info {
	i := info{key: o.Get("key").String(), size: int64(o.Get("size").Float()), etag: o.Get("etag").String(),
		uploaded: time.UnixMilli(int64(o.Get("uploaded").Call("getTime").Float()))}
	if m := o.Get("httpMetadata"); m.Type() == js.TypeObject {
		if media := m.Get("contentType"); media.Type() == js.TypeString {
			i.media = media.String()
		}
	}
	return i
}

// Attributes implements driver.Bucket.
func (b *Bucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	o, err := b.call(ctx, "head", key, key)
	if err != nil {
		return nil, err
	}
	if o.IsNull() {
		return nil, fmt.Errorf("head %q: %w", key, errAbsent)
	}
	i := infoOf(o)
	return &driver.Attributes{ContentType: i.media, ModTime: i.uploaded, Size: i.size, ETag: o.Get("httpEtag").String()}, nil
}

// Delete implements driver.Bucket. R2 does not tell whether there was an object.
func (b *Bucket) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	_, err := b.call(ctx, "delete", key, key)
	return err
}

// Copy implements driver.Bucket. A binding can't copy, so the object goes through here.
func (b *Bucket) Copy(ctx context.Context, dst, src string, _ *driver.CopyOptions) error {
	r, err := b.NewRangeReader(ctx, src, 0, -1, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	w := &writer{bucket: b, ctx: ctx, key: dst, media: r.Attributes().ContentType}
	if _, err := r.(*reader).WriteTo(w); err != nil {
		w.abort()
		return err
	}
	return w.Close()
}

// Load returns an object and its version.
func (b *Bucket) Load(ctx context.Context, key string) ([]byte, string, error) {
	o, err := b.call(ctx, "get", key, key)
	if err != nil {
		return nil, "", err
	}
	if o.IsNull() {
		return nil, "", fmt.Errorf("get %q: %w", key, errAbsent)
	}
	i := infoOf(o)
	data, err := whole(ctx, o, i.size)
	if err != nil {
		return nil, "", fmt.Errorf("get %q: %w", key, err)
	}
	return data, i.etag, nil
}

// Replace overwrites an object that still has that version; with version "" it creates it.
func (b *Bucket) Replace(ctx context.Context, key, version string, data []byte) error {
	condition, refused := map[string]any{"etagMatches": version}, errChanged
	if version == "" {
		condition, refused = nothingThere, errExists
	}
	return b.put(ctx, key, data, "application/json", condition, refused)
}

// nothingThere is the condition of a create.
var nothingThere = map[string]any{"etagDoesNotMatch": "*"}

// put stores data in one call, under a condition where that is not nil; refused is what is returned where the
// condition does not hold.
func (b *Bucket) put(ctx context.Context, key string, data []byte, media string, condition map[string]any, refused error) error {
	options := map[string]any{"httpMetadata": map[string]any{"contentType": media, "cacheControl": "no-store"}}
	if condition != nil {
		options["onlyIf"] = condition
	}
	o, err := b.call(ctx, "put", key, key, promise.Bytes(data), options)
	switch {
	case err != nil:
		return err
	case o.Type() != js.TypeObject && condition != nil: // null
		return fmt.Errorf("put %q: %w", key, refused)
	case o.Type() != js.TypeObject:
		return fmt.Errorf("put %q: R2 has not answered with an object", key)
	}
	return nil
}

// As implements driver.Bucket.
func (*Bucket) As(any) bool { return false }

// ErrorAs implements driver.Bucket.
func (*Bucket) ErrorAs(error, any) bool { return false }

// Close implements driver.Bucket.
func (*Bucket) Close() error { return nil }

// SignedURL implements driver.Bucket.
func (*Bucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.New("a binding has no signed URLs")
}
