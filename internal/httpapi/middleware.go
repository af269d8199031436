package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const requestIDHeader = "X-Request-Id"

// call is what is known about a request on its way: frame begins it, the gate adds the caller. It is the
// request's context, too, and has all in it that one request needs, so that this is made at once.
type call struct {
	context.Context

	id     string
	logger *slog.Logger
	caller engine.Caller
	once   exchange.Once
	answer answer
	route  *chi.Context // nil before and after routing

	operation *operation
	waited    bool // for something to happen, as it was asked to

	giveBack []func() // what was taken of what requests share, to be given back at the end
}

type callKey struct{}

// Value returns the call itself, chi's part of it, or what the connection's context holds.
func (c *call) Value(key any) any {
	switch key {
	case callKey{}:
		return c
	case chi.RouteCtxKey:
		if c.route == nil {
			return nil
		}
		return c.route
	}
	return c.Context.Value(key)
}

// callOf returns the request's call. Every request that came through frame has one.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// frame is around everything: each answer leaves with a request id and open CORS, each request is
// logged, no panic ends the process, and no connection is kept beyond the limits.
func frame(router *chi.Mux, logger *slog.Logger, unmatched *operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		c := &call{Context: r.Context(), id: requestID(r), logger: logger, operation: unmatched}
		r = r.WithContext(c)
		c.answer.begin(w, r)
		w.Header()[requestIDHeader] = []string{c.id}
		setHeaders(w.Header(), everywhere)

		defer c.finish(r, begun)
		defer c.recoverPanic(r)
		if r.Method == http.MethodOptions {
			setHeaders(w.Header(), preflight)
			c.answer.WriteHeader(http.StatusNoContent)
			return
		}
		rctx := routes.Get().(*chi.Context)
		rctx.Reset()
		rctx.Routes = router
		rctx.RouteMethod = r.Method
		if r.Method == http.MethodHead {
			rctx.RouteMethod = http.MethodGet
		}
		rctx.RoutePath = routePath(r)
		c.route = rctx
		router.ServeHTTP(&c.answer, r)
		c.route = nil
		routes.Put(rctx) // not after a panic, when something may still look at it
	})
}

// routes holds chi's contexts for the next requests, as chi does itself where it makes them.
var routes = sync.Pool{New: func() any { return chi.NewRouteContext() }}

// everywhere is what every answer carries, preflight what answers to OPTIONS do besides: browsers look at
// it there only. Any page may call the API: a key is what lets one in, and no cookie ever does. The values
// are shared by all answers: they may be replaced, not changed.
var (
	everywhere = []header{
		{"Access-Control-Allow-Origin", []string{"*"}},
		{"Access-Control-Expose-Headers", []string{"ETag, Link, Retry-After, X-Request-Id"}},
		{"Cache-Control", []string{"no-store"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
	}
	preflight = []header{
		{"Access-Control-Allow-Methods", []string{"GET, HEAD, POST, PATCH, DELETE, OPTIONS"}},
		{"Access-Control-Allow-Headers", []string{"Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Range, X-Registration-Token, X-Request-Id"}},
		{"Access-Control-Max-Age", []string{"86400"}},
	}
)

type header struct {
	name   string
	values []string
}

func setHeaders(h http.Header, headers []header) {
	for _, e := range headers {
		h[e.name] = e.values
	}
}

// requestID is the client's own id where it can stand in a log as it is, else a new one. What looks like an API key
// is one that went into the wrong header.
func requestID(r *http.Request) string {
	id := r.Header.Get(requestIDHeader)
	if id == "" || len(id) > 64 || withoutKeys(id) != id || strings.ContainsFunc(id, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._:-", c))
	}) {
		return newRequestID()
	}
	return id
}

// newRequestID returns 26 letters and digits with 128 random bits in them. They need not be secret.
func newRequestID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	for i, bits := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 13 {
			id[13*i+j] = alphabet[bits&31]
			bits >>= 5
		}
	}
	return string(id[:])
}

// routePath is the path that is routed: as it was sent, still percent-encoded where that makes a
// difference, without a slash at its end.
func routePath(r *http.Request) string {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

// recoverPanic answers a panic as an internal error; where the answer has begun, the connection is
// cut, so that the client does not take a part for the whole.
func (c *call) recoverPanic(r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	err := &panicError{value: p, stack: debug.Stack()}
	if c.answer.status != 0 {
		c.log(r, slog.LevelError, "panic while answering", err)
		panic(http.ErrAbortHandler)
	}
	refuse(&c.answer, r, err)
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// finish ends the answer, tells of it and writes the access log. It logs the path without its query and no header.
// What the rest of a body takes that is thrown away is no part of the request's time.
func (c *call) finish(r *http.Request, begun time.Time) {
	took := time.Since(begun)
	c.operation.answered(c.answer.status, took, c.waited)
	c.answer.finish()
	for _, f := range c.giveBack {
		f()
	}
	if !c.logger.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	c.logger.LogAttrs(r.Context(), slog.LevelDebug, "request",
		slog.String("request_id", c.id),
		slog.String("method", r.Method),
		slog.String("operation", c.operation.id),
		slog.String("path", loggedPath(r)),
		slog.Int("status", c.answer.status),
		slog.Int64("bytes", c.answer.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("exchange", cmp.Or(c.caller.Exchange, withoutKeys(pathValue(r, "exchange_id")))),
		slog.String("executor", c.caller.Executor),
	)
}

func (c *call) log(r *http.Request, level slog.Level, message string, err error) {
	c.logger.LogAttrs(r.Context(), level, message,
		slog.String("request_id", c.id),
		slog.String("method", r.Method),
		slog.String("path", loggedPath(r)),
		slog.Any("error", err),
	)
}
