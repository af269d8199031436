//go:build js

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall/js"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// body is the body of a request as it arrives. An error stays, as it does on a connection.
type body struct {
	ctx    context.Context
	reader js.Value // a ReadableStreamDefaultReader
	rest   []byte   // of the last chunk
	err    error
	until  time.Time // zero: as long as it takes
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.rest, b.err = b.next()
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// next waits for a chunk; io.EOF is the end.
func (b *body) next() ([]byte, error) {
	ctx, cancel := deadline(b.ctx, b.until)
	defer cancel()
	next, err := promise.Call(ctx, b.reader, "read")
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("read the body: %w: %w", io.ErrUnexpectedEOF, err)
	case next.Get("done").Bool():
		return nil, io.EOF
	}
	chunk := next.Get("value")
	data := make([]byte, chunk.Get("length").Int())
	js.CopyBytesToGo(data, chunk)
	return data, nil
}

// Close leaves the rest to JavaScript, which lets go of it with the request.
func (b *body) Close() error { return nil }

// deadline returns a context that ends at a time with the error that a connection has then; zero is never.
func deadline(ctx context.Context, until time.Time) (context.Context, context.CancelFunc) {
	if until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, until, os.ErrDeadlineExceeded)
}
