package callblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// driverBucket is a store as the portable type wants it.
type driverBucket struct{ calls Calls }

func (d driverBucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, ErrExists):
		return gcerrors.FailedPrecondition
	case errors.Is(err, ErrNoSuchKey):
		return gcerrors.NotFound
	case errors.Is(err, ErrRefused):
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

func (d driverBucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	o, err := d.calls.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{ModTime: o.Mod, Size: int64(len(o.Data)), ETag: o.ETag}, nil
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
	page, next, err := d.calls.List(ctx, &driver.ListOptions{
		Prefix: o.Prefix, Delimiter: o.Delimiter, PageSize: o.PageSize, PageToken: []byte(after),
	})
	if err != nil {
		return nil, err
	}
	return &driver.ListPage{Objects: page, NextPageToken: next}, nil
}

type reader struct {
	io.Reader
	attrs driver.ReaderAttributes
}

func (r *reader) Close() error                         { return nil }
func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }
func (r *reader) As(any) bool                          { return false }

func (d driverBucket) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	o, err := d.calls.Get(ctx, key, offset)
	size := int64(len(o.Data))
	data := o.Data[min(offset, size):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	switch {
	case errors.Is(err, ErrCut) && o.Data != nil:
		data = data[:bytes.IndexByte(data, '\n')+1]
	case err != nil:
		return nil, err
	}
	return &reader{Reader: bytes.NewReader(data), attrs: driver.ReaderAttributes{ModTime: o.Mod, Size: size}}, nil
}

// writer keeps what it is given and puts it when it is closed.
type writer struct {
	bytes.Buffer
	ctx    context.Context
	calls  Calls
	key    string
	absent bool
}

func (d driverBucket) NewTypedWriter(ctx context.Context, key, _ string, o *driver.WriterOptions) (driver.Writer, error) {
	return &writer{ctx: ctx, calls: d.calls, key: key, absent: o.IfNotExist}, nil
}

func (w *writer) Close() error {
	if err := w.ctx.Err(); err != nil {
		return fmt.Errorf("%w to begin: %w", ErrRefused, err)
	}
	return w.calls.Put(w.ctx, w.key, w.Bytes(), w.absent)
}

func (d driverBucket) Copy(ctx context.Context, dst, src string, _ *driver.CopyOptions) error {
	o, err := d.calls.Get(ctx, src, 0)
	if err != nil {
		return err
	}
	return d.calls.Put(ctx, dst, o.Data, false)
}

func (d driverBucket) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	return d.calls.Delete(ctx, key)
}

func (d driverBucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.New("not supported")
}
