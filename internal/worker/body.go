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

// body is the body of a request as it arrives.
type body struct {
	promise.Pieces
	ctx    context.Context
	reader js.Value  // a ReadableStreamDefaultReader
	until  time.Time // zero: as long as it takes
}

func newBody(ctx context.Context, reader js.Value) *body {
	b := &body{ctx: ctx, reader: reader}
	b.Next = b.next
	return b
}

// next waits for a chunk; io.EOF is the end.
func (b *body) next() ([]byte, error) {
	ctx, cancel := deadline(b.ctx, b.until)
	defer cancel()
	data, err := promise.Piece(ctx, b.reader)
	if err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		return data, err
	}
	return nil, fmt.Errorf("read the body: %w: %w", io.ErrUnexpectedEOF, err)
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
