package httpapi

import (
	"cmp"
	"io"
	"net/http"
	"time"
)

// answer is the response writer of a request. It knows what was answered, gives the client a limited
// time to take it, and ends the connection where a part of the request's body is left unread.
type answer struct {
	http.ResponseWriter
	control http.ResponseController
	request *http.Request
	body    *incoming // nil where the request has none

	patience time.Duration // for each chunk of the answer to be taken; 0 is writeTime

	status int   // 0 until the answer has begun
	bytes  int64 // of the answer's body
}

// incoming is a request's body on its way in.
type incoming struct {
	io.ReadCloser
	taken int64
	ended bool // all of it was read, or no more can be
}

func (b *incoming) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.taken += int64(n)
	if err != nil {
		b.ended = true
	}
	return n, err
}

// begin begins the time that a request's body has to arrive; net/http ends it with the body. Errors of
// setting deadlines are those of writers without a connection, in tests.
func (a *answer) begin(w http.ResponseWriter, r *http.Request) {
	a.ResponseWriter, a.control, a.request = w, *http.NewResponseController(w), r
	if r.Body != nil && r.Body != http.NoBody {
		a.body = &incoming{ReadCloser: r.Body}
		r.Body = a.body
		_ = a.control.SetReadDeadline(time.Now().Add(bodyTime))
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader ends the connection with this answer where the body was not read to its end. Otherwise
// net/http would wait for the rest of the body before it sends the answer.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
		if a.body != nil && !a.body.ended {
			a.Header().Set("Connection", "close")
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (n int, err error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	for {
		chunk := p[n:min(n+writeChunk, len(p))]
		_ = a.control.SetWriteDeadline(time.Now().Add(cmp.Or(a.patience, writeTime)))
		written, err := a.ResponseWriter.Write(chunk)
		n += written
		a.bytes += int64(written)
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// finish takes what is left of the body, within limits, once the answer is on its way: a client that
// is still sending would otherwise lose the answer with the connection. A client that waits for
// "100 Continue" sends nothing more, and net/http must not wait for it either.
func (a *answer) finish() {
	if a.status == 0 || a.body == nil || a.body.ended {
		return
	}
	patience := lingerTime
	if a.request.Header.Get("Expect") != "" {
		patience = 0
	}
	if a.control.Flush() != nil || a.control.SetReadDeadline(time.Now().Add(patience)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, a.body, max(lingerBody-a.body.taken, lingerLeast)) // ends one way or another
}
