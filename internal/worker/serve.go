//go:build js

package worker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall/js"
)

// clientAddress is the header in which Cloudflare says where a client is. A client can't set it.
const clientAddress = "Cf-Connecting-Ip"

// Server hosts a handler.
type Server struct {
	Handler http.Handler
	Logger  *slog.Logger
}

// Request returns the function that JavaScript calls for each request: with the method, the URL, the header as a flat
// list of names and values, a reader of the body or null, the sink for the answer, and the signal of the client.
func (s *Server) Request() js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) any {
		go s.serve(args[0].String(), args[1].String(), args[2], args[3], args[4], args[5])
		return nil
	})
}

func (s *Server) serve(method, address string, header, reader, sink, signal js.Value) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if signal.Truthy() {
		gone := js.FuncOf(func(js.Value, []js.Value) any { cancel(); return nil })
		signal.Call("addEventListener", "abort", gone)
		defer func() {
			signal.Call("removeEventListener", "abort", gone)
			gone.Release()
		}()
	}
	w := &response{ctx: ctx, sink: sink, header: http.Header{}, head: method == http.MethodHead}
	r, err := newRequest(ctx, method, address, header, reader)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		w.finish()
		return
	}
	w.request, _ = r.Body.(*body)
	defer func() {
		if thrown := recover(); thrown != nil {
			if thrown != http.ErrAbortHandler {
				s.Logger.Error("panic while answering", "panic", thrown, "stack", string(debug.Stack()))
			}
			w.abort(errors.New("the answer could not be finished"))
		}
	}()
	s.Handler.ServeHTTP(w, r)
	w.finish()
}

// newRequest makes the request that net/http would have read.
func newRequest(ctx context.Context, method, address string, header, reader js.Value) (*http.Request, error) {
	_, rest, _ := strings.Cut(address, "://")
	host, path := rest, "/"
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: method, URL: u, RequestURI: path, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody,
	}
	for i := 0; i+1 < header.Length(); i += 2 {
		r.Header.Add(header.Index(i).String(), header.Index(i+1).String())
	}
	r.RemoteAddr = net.JoinHostPort(r.Header.Get(clientAddress), "0")
	length, err := strconv.ParseInt(r.Header.Get("Content-Length"), 10, 64)
	switch {
	case reader.IsNull(), err == nil && length == 0:
	case err == nil:
		r.ContentLength, r.Body = length, newBody(ctx, reader)
	default:
		r.ContentLength, r.Body = -1, newBody(ctx, reader)
	}
	return r.WithContext(ctx), nil
}
