//go:build js

package send

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"syscall/js"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// newCaller returns a caller that calls by fetch: a Worker has no sockets, and no names are resolved in it. So there is no
// address to check when a connection is made, and guard.host does what can be done before: literal addresses and names
// that are nobody's public ones are refused as elsewhere. That a public name leads to a private address can't be seen. What keeps
// an executor from having it call what he can't reach himself is then where a fetch leaves from: Cloudflare's network, in
// which there is nobody's private one, nor a machine of the Worker's own; and with the flag global_fetch_strictly_public
// (wrangler.jsonc) it reaches hosts of the operator's own zone as anybody does, through what protects them.
func newCaller(allowed []netip.Prefix) *caller {
	return &caller{guarded: byFetch{newGuard(allowed)}, open: byFetch{}}
}

// byFetch carries requests by the fetch of the Worker. It does so itself, in the place of net/http, because that panics on
// what fetch throws at once, such as for a header that it can't send, and the Worker's one program would end by it.
type byFetch struct {
	guard *guard // nil: anything may be called
}

// notSent are the headers that fetch or the network behind it sets, in lower case: those of the connection, and those by
// which Cloudflare says who called and through what. They are not for executors to claim.
var notSent = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "keep-alive": true, "upgrade": true,
	"te": true, "trailer": true, "expect": true, "cdn-loop": true, "cf-connecting-ip": true, "cf-connecting-ipv6": true,
	"cf-ew-via": true, "cf-ipcountry": true, "cf-ray": true, "cf-visitor": true, "cf-worker": true, "true-client-ip": true,
}

// RoundTrip follows no redirect. The answer has the header Retry-After alone, which is all that is looked at.
func (f byFetch) RoundTrip(r *http.Request) (*http.Response, error) {
	address, err := f.address(r)
	if err != nil {
		return nil, err
	}
	options, err := optionsOf(r)
	if err != nil {
		return nil, err
	}
	abort := js.Global().Get("AbortController").New()
	options.Set("signal", abort.Get("signal"))
	// The time of the attempt ends the reading of the answer too, so this is in force until the body is closed.
	hungUp := context.AfterFunc(r.Context(), func() { _, _ = promise.Try(abort, "abort") })
	answer, err := promise.Call(r.Context(), js.Global(), "fetch", address, options)
	if err != nil {
		hungUp()
		return nil, fmt.Errorf("fetch: %w", err)
	}
	response := &http.Response{StatusCode: answer.Get("status").Int(), Header: http.Header{}, Body: http.NoBody, Request: r}
	if after := answer.Get("headers").Call("get", "Retry-After"); after.Type() == js.TypeString {
		response.Header.Set("Retry-After", after.String())
	}
	if body := answer.Get("body"); body.Truthy() {
		response.Body = newFetched(r.Context(), body.Call("getReader"), hungUp)
	} else {
		hungUp()
	}
	return response, nil
}

// CloseIdleConnections: they are not the program's.
func (byFetch) CloseIdleConnections() {}

// address is the URL of a request as fetch reads it, and an error where it may not be called. Both must be read by the same
// rules: to Go http://0x7f.1 has a name, and to fetch it is 127.0.0.1.
func (f byFetch) address(r *http.Request) (string, error) {
	at, err := promise.Try(js.Global().Get("URL"), "parse", r.URL.String())
	if err != nil || !at.Truthy() {
		return "", errURL
	}
	port := at.Get("port").String()
	if port == "" {
		port = map[string]string{"http:": "80", "https:": "443"}[at.Get("protocol").String()]
	}
	if f.guard != nil {
		if err := f.guard.host(at.Get("hostname").String(), port); err != nil {
			return "", err
		}
	}
	return at.Get("href").String(), nil
}

// optionsOf is what fetch is to be told of a request.
func optionsOf(r *http.Request) (js.Value, error) {
	headers := js.Global().Get("Headers").New()
	for name, values := range r.Header {
		if notSent[strings.ToLower(name)] {
			continue
		}
		for _, value := range values {
			if _, err := promise.Try(headers, "append", name, value); err != nil {
				return headers, fmt.Errorf("%w: a header that can't be sent", errURL)
			}
		}
	}
	options := js.ValueOf(map[string]any{"method": r.Method, "headers": headers, "redirect": "manual"})
	if r.Body == nil {
		return options, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return options, fmt.Errorf("read the body of a request: %w", err)
	}
	if len(body) > 0 {
		options.Set("body", promise.Bytes(body))
	}
	return options, nil
}

// fetched is the body of an answer. No more of it is taken than is read, but for what fits into the buffers on the way.
type fetched struct {
	promise.Pieces
	reader js.Value // a ReadableStreamDefaultReader
	hungUp func() bool
}

func newFetched(ctx context.Context, reader js.Value, hungUp func() bool) *fetched {
	next := func() ([]byte, error) {
		data, err := promise.Piece(ctx, reader)
		if err != nil && err != io.EOF {
			err = fmt.Errorf("read an answer: %w", err)
		}
		return data, err
	}
	return &fetched{Pieces: promise.Pieces{Next: next}, reader: reader, hungUp: hungUp}
}

// Close lets go of what was not read, which ends the connection.
func (b *fetched) Close() error {
	b.hungUp()
	go func() { _, _ = promise.Call(context.Background(), b.reader, "cancel") }()
	return nil
}
