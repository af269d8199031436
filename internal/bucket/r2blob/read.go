//go:build js

package r2blob

import (
	"context"
	"fmt"
	"io"
	"syscall/js"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// atOnce is up to how many bytes a body is taken in one piece: that costs one wait, a stream one for each chunk
// that R2 sends, and holds the piece twice.
const atOnce = 1 << 20

// whole returns the body of an object, of which size bytes are to come.
func whole(ctx context.Context, o js.Value, size int64) ([]byte, error) {
	buffer, err := promise.Call(ctx, o, "arrayBuffer")
	if err != nil {
		return nil, err
	}
	array := js.Global().Get("Uint8Array").New(buffer)
	data := make([]byte, array.Get("length").Int())
	js.CopyBytesToGo(data, array)
	if int64(len(data)) != size {
		return nil, fmt.Errorf("%d bytes of %d: %w", len(data), size, io.ErrUnexpectedEOF)
	}
	return data, nil
}

// reader gives out a body as it comes.
type reader struct {
	ctx   context.Context
	attrs driver.ReaderAttributes
	body  js.Value // a ReadableStreamDefaultReader; undefined where all is in rest
	rest  []byte   // what has come and was not read
	left  int64    // what is to come
}

// NewRangeReader implements driver.Bucket. Behind the end of an object there is nothing to read.
func (b *Bucket) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	options := map[string]any{}
	switch {
	case length == 0:
		return b.nothing(ctx, key)
	case length > 0:
		options["range"] = map[string]any{"offset": offset, "length": length}
	case offset > 0:
		options["range"] = map[string]any{"offset": offset}
	}
	o, err := b.call(ctx, "get", key, key, options)
	if err != nil {
		// It may be that the range begins behind the end: what the binding says of that differs from place to place.
		if r, ended := b.behind(ctx, key, offset); ended {
			return r, nil
		}
		return nil, err
	}
	if o.IsNull() {
		return nil, fmt.Errorf("get %q: %w", key, errAbsent)
	}
	i := infoOf(o)
	expected := max(0, i.size-offset)
	if length > 0 {
		expected = min(expected, length)
	}
	r := &reader{ctx: ctx, attrs: driver.ReaderAttributes{ContentType: i.media, ModTime: i.uploaded, Size: i.size}}
	if expected <= atOnce {
		if r.rest, err = whole(ctx, o, expected); err != nil {
			return nil, fmt.Errorf("get %q: %w", key, err)
		}
		return r, nil
	}
	r.left = expected
	r.body, err = promise.Try(o.Get("body"), "getReader")
	return r, err
}

// behind is a reader of nothing, if the object ends before offset.
func (b *Bucket) behind(ctx context.Context, key string, offset int64) (driver.Reader, bool) {
	if offset == 0 {
		return nil, false
	}
	r, err := b.nothing(ctx, key)
	return r, err == nil && r.Attributes().Size <= offset
}

// nothing reads nothing of an object that is there.
func (b *Bucket) nothing(ctx context.Context, key string) (driver.Reader, error) {
	a, err := b.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &reader{attrs: driver.ReaderAttributes{ContentType: a.ContentType, ModTime: a.ModTime, Size: a.Size}}, nil
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill waits for the next chunk where nothing is left of the last; io.EOF where all has come.
func (r *reader) fill() error {
	for len(r.rest) == 0 {
		if r.left == 0 {
			return io.EOF
		}
		var err error
		r.rest, err = promise.Piece(r.ctx, r.body)
		if err == io.EOF {
			return fmt.Errorf("%d bytes are missing: %w", r.left, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if r.left -= int64(len(r.rest)); r.left < 0 {
			return fmt.Errorf("more came than R2 announced: %w", io.ErrUnexpectedEOF)
		}
	}
	return nil
}

// WriteTo implements io.WriterTo, without a buffer between.
func (r *reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		switch err := r.fill(); err {
		case nil:
		case io.EOF:
			return n, nil
		default:
			return n, err
		}
		m, err := w.Write(r.rest)
		n += int64(m)
		r.rest = r.rest[m:]
		if err != nil {
			return n, err
		}
	}
}

// Close lets go of a body that was not read to its end. Nobody waits for R2 to hear of it.
func (r *reader) Close() error {
	if r.left > 0 {
		r.left, r.rest = 0, nil
		cancelled, err := promise.Try(r.body, "cancel")
		if err == nil {
			go promise.Await(context.Background(), cancelled) // a rejection that nobody hears ends up in the log
		}
	}
	return nil
}

func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }

func (*reader) As(any) bool { return false }
