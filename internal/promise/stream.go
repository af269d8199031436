//go:build js

package promise

import (
	"context"
	"io"
	"syscall/js"
)

// Piece waits for the next piece of what a ReadableStreamDefaultReader reads, and returns a copy of it. io.EOF is the end.
func Piece(ctx context.Context, reader js.Value) ([]byte, error) {
	next, err := Call(ctx, reader, "read")
	if err != nil {
		return nil, err
	}
	if next.Get("done").Bool() {
		return nil, io.EOF
	}
	piece := next.Get("value")
	data := make([]byte, piece.Get("length").Int())
	js.CopyBytesToGo(data, piece)
	return data, nil
}

// Pieces is an io.Reader of what Next returns, piece after piece. An error stays, as it does on a connection.
type Pieces struct {
	Next func() ([]byte, error)

	rest []byte // of the last piece
	err  error
}

func (r *Pieces) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.rest, r.err = r.Next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
