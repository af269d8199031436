package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	real "github.com/mess-exchange/mess-exchange/internal/bucket"
)

// kind is what a request does.
type kind string

const (
	kindPut    kind = "put"
	kindGet    kind = "get"
	kindList   kind = "list"
	kindDelete kind = "delete"
)

func (k kind) writes() bool { return k == kindPut || k == kindDelete }

// request is a call of the store on its way.
type request struct {
	kind     kind
	key      string        // the prefix of a list
	from     int64         // of a get: the first byte
	evaluate func() answer // carries it out at the store, as it is then
}

// gate is where requests and answers wait to be let on.
type gate interface {
	// pass returns the answer, or the context's error: whoever sent the request no longer waits then,
	// and it may still be carried out.
	pass(ctx context.Context, v *view, r request) answer
}

// view is a process's way to the bucket: all that the log and the engine ask of a storage type.
type view struct {
	bucket *bucket
	gate   gate // nil: every request is answered at once
	portal *blob.Bucket
	clock  func() time.Time
	number int // of its replica
}

func newView(b *bucket, g gate, number int, clock func() time.Time) *view {
	v := &view{bucket: b, gate: g, clock: clock, number: number}
	v.portal = blob.NewBucket(driverBucket{v})
	return v
}

func (v *view) pass(ctx context.Context, r request) answer {
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	var a answer
	if v.gate == nil {
		a = r.evaluate()
	} else {
		a = v.gate.pass(ctx, v, r)
	}
	if date, ok := ctx.Value(dateKey{}).(*atomic.Pointer[time.Time]); ok {
		date.Store(&a.date)
	}
	return a
}

func (v *view) put(ctx context.Context, key string, data []byte, c condition) error {
	return v.pass(ctx, request{kind: kindPut, key: key, evaluate: func() answer { return v.bucket.put(key, data, c) }}).err
}

// Bucket returns the view as a portable bucket.
func (v *view) Bucket() *blob.Bucket { return v.portal }

func (v *view) ListAfter(prefix, key string) *blob.ListOptions {
	return &blob.ListOptions{Prefix: prefix, BeforeList: func(as func(any) bool) error {
		var after *string
		if as(&after) {
			*after = max(*after, key)
		}
		return nil
	}}
}

func (v *view) ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	return real.ReadRange(ctx, v.portal, key, start, length)
}

func (v *view) is(err, target error) bool {
	var own error
	return errors.Is(err, target) || v.portal.ErrorAs(err, &own) && errors.Is(own, target)
}

func (v *view) Exists(err error) bool    { return v.is(err, errExists) }
func (v *view) NoSuchKey(err error) bool { return v.is(err, errNoSuchKey) }
func (v *view) Changed(err error) bool   { return v.is(err, errChanged) }
func (v *view) Definite(err error) bool  { return v.is(err, errRefused) }
func (v *view) Fatal(error) bool         { return false }
func (v *view) Shared() bool             { return true }
func (v *view) Now() time.Time           { return v.clock() }

type dateKey struct{}

// Dated tells the store's time of an answer, as its Date header would.
func (v *view) Dated(ctx context.Context) (context.Context, func() time.Time) {
	date := new(atomic.Pointer[time.Time])
	return context.WithValue(ctx, dateKey{}, date), func() time.Time {
		if t := date.Load(); t != nil {
			return *t
		}
		return time.Time{}
	}
}

func (v *view) Settle(context.Context, string) error { return nil }

func (v *view) Spelling(context.Context, string, string) (string, error) { return "", nil }

func (v *view) Load(ctx context.Context, key string) ([]byte, string, error) {
	data, err := v.portal.ReadAll(ctx, key)
	if err != nil {
		return nil, "", err
	}
	return data, stored{data: data}.version(), nil
}

func (v *view) Replace(ctx context.Context, key, version string, data []byte) error {
	return v.put(ctx, key, data, condition{absent: version == "", version: version})
}

// driverBucket is a view as gocloud wants it.
type driverBucket struct{ v *view }

func (d driverBucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errExists):
		return gcerrors.FailedPrecondition
	case errors.Is(err, errNoSuchKey):
		return gcerrors.NotFound
	case errors.Is(err, errRefused):
		return gcerrors.PermissionDenied
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	return gcerrors.Unknown
}

func (d driverBucket) As(any) bool  { return false }
func (d driverBucket) Close() error { return nil }

// ErrorAs hands out the error that the portable type hides.
func (d driverBucket) ErrorAs(err error, i any) bool {
	p, ok := i.(*error)
	if ok {
		*p = err
	}
	return ok
}

func (d driverBucket) get(ctx context.Context, key string, from int64) answer {
	return d.v.pass(ctx, request{kind: kindGet, key: key, from: from, evaluate: func() answer { return d.v.bucket.get(key) }})
}

func (d driverBucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	a := d.get(ctx, key, 0)
	if a.err != nil {
		return nil, a.err
	}
	return &driver.Attributes{ModTime: a.object.mod, Size: int64(len(a.object.data)), ETag: `"` + a.object.version() + `"`}, nil
}

func (d driverBucket) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	after := string(o.PageToken)
	if o.BeforeList != nil {
		if err := o.BeforeList(func(i any) bool {
			p, ok := i.(**string)
			if ok {
				*p = &after
			}
			return ok
		}); err != nil {
			return nil, err
		}
	}
	asked := driver.ListOptions{Prefix: o.Prefix, Delimiter: o.Delimiter, PageSize: o.PageSize, PageToken: []byte(after)}
	a := d.v.pass(ctx, request{kind: kindList, key: o.Prefix, evaluate: func() answer { return d.v.bucket.list(&asked) }})
	return &driver.ListPage{Objects: a.entries, NextPageToken: a.next}, a.err
}

type reader struct {
	io.Reader
	attrs driver.ReaderAttributes
}

func (r *reader) Close() error                         { return nil }
func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }
func (r *reader) As(any) bool                          { return false }

func (d driverBucket) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	a := d.get(ctx, key, offset)
	size := int64(len(a.object.data))
	data := a.object.data[min(offset, size):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	r := &reader{Reader: bytes.NewReader(data), attrs: driver.ReaderAttributes{ModTime: a.object.mod, Size: size}}
	switch {
	case errors.Is(a.err, errCut) && a.object.data != nil: // its head came through, and the first of its lines
		r.Reader = bytes.NewReader(data[:bytes.IndexByte(data, '\n')+1])
	case a.err != nil:
		return nil, a.err
	}
	return r, nil
}

type writer struct {
	bytes.Buffer
	ctx  context.Context
	v    *view
	key  string
	once bool
}

func (d driverBucket) NewTypedWriter(ctx context.Context, key, _ string, o *driver.WriterOptions) (driver.Writer, error) {
	return &writer{ctx: ctx, v: d.v, key: key, once: o.IfNotExist}, nil
}

func (w *writer) Close() error {
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("%w to begin: %w", errRefused, err)
	}
	return w.v.put(w.ctx, w.key, w.Bytes(), condition{absent: w.once})
}

func (d driverBucket) Copy(ctx context.Context, dst, src string, _ *driver.CopyOptions) error {
	a := d.get(ctx, src, 0)
	if a.err != nil {
		return a.err
	}
	return d.v.put(ctx, dst, a.object.data, condition{})
}

func (d driverBucket) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	return d.v.pass(ctx, request{kind: kindDelete, key: key, evaluate: func() answer { return d.v.bucket.delete(key) }}).err
}

func (d driverBucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.New("not supported")
}
