//go:build js

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall/js"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// atOnce is up to how many bytes an answer goes back in one call: most answers of the server do.
const atOnce = 64 << 10

// response is the writer of an answer.
type response struct {
	ctx    context.Context
	sink   js.Value
	header http.Header
	head   bool // nothing of a body is sent

	status  int    // 0 until the answer has begun
	fields  []any  // its header, as it was then
	length  int64  // that it says it has; -1: it does not say
	written int64  // so far, by the handler
	buffer  []byte // of that, what was not sent
	begun   bool   // as a stream
	err     error
	until   time.Time // for a piece to be taken; zero: as long as it takes
	request *body
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status, w.length = status, -1
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil {
		w.length = n
	}
	for name, values := range w.header {
		if name == "Connection" {
			continue // there is none
		}
		for _, v := range values {
			w.fields = append(w.fields, name, v)
		}
	}
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case !hasBody(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.head {
		return len(p), nil
	}
	w.buffer = append(w.buffer, p...)
	if len(w.buffer) > atOnce {
		if err := w.FlushError(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// hasBody tells the statuses that JavaScript does not allow a body with either.
func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified && status != http.StatusResetContent
}

// FlushError implements what http.ResponseController looks for: what was written is on its way when it returns.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil || w.head || !hasBody(w.status) {
		return w.err
	}
	if !w.begun {
		w.begun = true
		if _, err := promise.Try(w.sink, "begin", w.status, w.fields, w.length); err != nil {
			return w.fail(err)
		}
	}
	if len(w.buffer) == 0 {
		return nil
	}
	ctx, cancel := deadline(w.ctx, w.until)
	defer cancel()
	if _, err := promise.Call(ctx, w.sink, "write", promise.Bytes(w.buffer)); err != nil {
		return w.fail(err)
	}
	w.buffer = w.buffer[:0]
	return nil
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

func (w *response) fail(err error) error {
	w.err = fmt.Errorf("send the answer: %w", err)
	return w.err
}

// SetWriteDeadline implements what http.ResponseController looks for.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.until = t
	return nil
}

// SetReadDeadline implements what http.ResponseController looks for.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.request != nil {
		w.request.until = t
	}
	return nil
}

// finish sends what is left.
func (w *response) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.length >= 0 && w.written != w.length && !w.head && hasBody(w.status) {
		w.abort(io.ErrUnexpectedEOF)
		return
	}
	if !w.begun {
		content := js.Null()
		if hasBody(w.status) && !w.head {
			content = promise.Bytes(w.buffer)
		} else if w.head && w.length < 0 && hasBody(w.status) {
			w.fields = append(w.fields, "Content-Length", strconv.FormatInt(w.written, 10))
		}
		_, _ = promise.Try(w.sink, "respond", w.status, w.fields, content) // it fails where nobody is there any more
		return
	}
	if err := w.FlushError(); err != nil {
		w.abort(err)
		return
	}
	_, _ = promise.Call(w.ctx, w.sink, "end")
}

// abort cuts the answer off.
func (w *response) abort(err error) {
	if w.err == nil {
		w.err = errors.Join(http.ErrAbortHandler, err)
	}
	_, _ = promise.Try(w.sink, "abort", err.Error())
}
