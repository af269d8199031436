package faultblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

var (
	errExists    = errors.New("the key exists")
	errNoSuchKey = errors.New("no such key")
	errChanged   = errors.New("the object has another version")
	errRefused   = errors.New("the store refuses")
	errCut       = errors.New("the connection was cut")
)

// driverBucket is a Store's view of the bucket as gocloud wants it.
type driverBucket struct{ s *Store }

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

func (d driverBucket) As(any) bool { return false }

// ErrorAs hands out the driver's own error, which the portable type hides, so that a Store can tell what
// it means.
func (d driverBucket) ErrorAs(err error, i any) bool {
	p, ok := i.(*error)
	if ok {
		*p = err
	}
	return ok
}

func (d driverBucket) Close() error { return nil }

func (d driverBucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if f := d.s.fault(ctx, Op{Kind: Attributes, Key: key}); f != None {
		return nil, f.readError()
	}
	d.s.bucket.mu.Lock()
	defer d.s.bucket.mu.Unlock()
	o, ok := d.s.bucket.objects[key]
	if !ok {
		return nil, errNoSuchKey
	}
	return &driver.Attributes{ModTime: o.mod, Size: int64(len(o.data)), ETag: `"` + versionOf(o.data) + `"`}, nil
}

func (d driverBucket) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	if f := d.s.fault(ctx, Op{Kind: List, Key: o.Prefix}); f != None {
		return nil, f.readError()
	}
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
	n := o.PageSize
	if n == 0 {
		n = 1000
	}
	entries, next := d.s.bucket.page(o.Prefix, o.Delimiter, after, n)
	page := &driver.ListPage{}
	for _, e := range entries {
		page.Objects = append(page.Objects, &driver.ListObject{Key: e.key, ModTime: e.mod, Size: e.size, IsDir: e.folder})
	}
	if next != "" {
		page.NextPageToken = []byte(next)
	}
	return page, nil
}

type reader struct {
	io.Reader
	attrs driver.ReaderAttributes
}

func (r *reader) Close() error                         { return nil }
func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }
func (r *reader) As(any) bool                          { return false }

func (d driverBucket) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	op := Op{Kind: Get, Key: key}
	f := d.s.fault(ctx, op)
	if f != None && f != Cut {
		return nil, f.readError()
	}
	d.s.bucket.mu.Lock()
	o, ok := d.s.bucket.objects[key]
	d.s.bucket.mu.Unlock()
	carriedOut(ctx)
	d.s.answer(ctx, op)
	if !ok {
		return nil, errNoSuchKey
	}
	data := o.data[min(offset, int64(len(o.data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	r := &reader{Reader: bytes.NewReader(data), attrs: driver.ReaderAttributes{ModTime: o.mod, Size: int64(len(o.data))}}
	if f == Cut { // after the first line: the piece looks like an object of its own
		r.Reader = bytes.NewReader(data[:bytes.IndexByte(data, '\n')+1])
	}
	return r, nil
}

type writer struct {
	bytes.Buffer
	ctx  context.Context
	s    *Store
	key  string
	once bool
}

func (d driverBucket) NewTypedWriter(ctx context.Context, key, _ string, o *driver.WriterOptions) (driver.Writer, error) {
	return &writer{ctx: ctx, s: d.s, key: key, once: o.IfNotExist}, nil
}

func (w *writer) Close() error {
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("%w to begin: %w", errRefused, err)
	}
	put := func() error {
		if !w.once {
			w.s.bucket.overwrite(w.key, w.Bytes())
		} else if !w.s.bucket.create(w.key, w.Bytes()) {
			return errExists
		}
		return nil
	}
	return w.s.write(w.ctx, Op{Kind: Put, Key: w.key, Data: w.Bytes()}, put)
}

func (d driverBucket) Copy(ctx context.Context, dst, src string, _ *driver.CopyOptions) error {
	data, ok := d.s.bucket.Get(src)
	if !ok {
		return errNoSuchKey
	}
	return d.s.write(ctx, Op{Kind: Put, Key: dst, Data: data}, func() error {
		d.s.bucket.overwrite(dst, data)
		return nil
	})
}

func (d driverBucket) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	return d.s.write(ctx, Op{Kind: Delete, Key: key}, func() error {
		if !d.s.bucket.remove(key) {
			return errNoSuchKey
		}
		return nil
	})
}

func (d driverBucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.New("not supported")
}
