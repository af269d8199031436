package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/mess-exchange/mess-exchange/api"
	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// site is a handler under test. Every answer it gives is held against the contract.
type site struct {
	tb      testing.TB
	handler http.Handler
	log     *logBuffer

	requests *atomic.Int64
}

// client speaks to a site as one executor of one exchange.
type client struct {
	*site
	base string // /api/v1/exchanges/home
	key  string
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// newSite runs the real engine on a bucket in memory.
func newSite(tb testing.TB) *site {
	tb.Helper()
	return siteOf(tb, engineOn(tb, faultblob.New().Store(false)))
}

func engineOn(tb testing.TB, store engine.Store) *engine.Engine {
	tb.Helper()
	e := engine.New(store, engine.Options{Fatal: func(err error) { tb.Error("fatal:", err) }})
	if err := e.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func siteOf(tb testing.TB, e Exchange) *site {
	log := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return siteWith(tb, e, log, Options{Logger: logger, Version: "1.2.3", Storage: "memory"})
}

func siteWith(tb testing.TB, e Exchange, log *logBuffer, o Options) *site {
	return &site{tb, New(e, o), log, &atomic.Int64{}}
}

// logBuffer is what the handler logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (s *site) at(exchangeID string) client {
	return client{s, "/api/v1/exchanges/" + exchangeID, ""}
}

func (c client) as(key string) client { c.key = key; return c }

// register adds an executor and returns a client with its key.
func (c client) register(id string) client {
	c.tb.Helper()
	a := c.want(http.StatusCreated, "POST", "/register", `{"executor_id":"`+id+`"}`)
	return c.as(a.text(c.tb, "api_key"))
}

// create posts a request and returns its ref.
func (c client) create(body string) string {
	c.tb.Helper()
	return c.want(http.StatusCreated, "POST", "/requests", body).text(c.tb, "ref")
}

// send sends a request with a JSON body, "" for none. headers are names and values; an empty value
// removes one.
func (c client) send(method, path, body string, headers ...string) response {
	c.tb.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, c.base+path, in)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return c.site.serve(r)
}

func (c client) want(status int, method, path, body string, headers ...string) response {
	c.tb.Helper()
	a := c.send(method, path, body, headers...)
	if a.status != status {
		c.tb.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, a.status, a.body, status)
	}
	return a
}

// serve answers a request and holds the answer against the contract.
func (s *site) serve(r *http.Request) response {
	s.tb.Helper()
	if r.RemoteAddr == "192.0.2.1:1234" { // httptest's
		// Each request comes from somewhere else, so that only tests of the limits meet them.
		n := s.requests.Add(1)
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:80", n>>16&0xff, n>>8&0xff, n&0xff)
	}
	sent := r.Clone(context.Background()) // the handler may change its own
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	a := response{w.Code, w.Header(), w.Body.Bytes()}
	if err := conforms(sent, a); err != nil {
		s.tb.Errorf("%s %s: %d %.300s: %v", r.Method, r.URL, a.status, a.body, err)
	}
	return a
}

// text returns a member of the answer that is a string.
func (a response) text(tb testing.TB, member string) string {
	tb.Helper()
	var all map[string]any
	if err := json.Unmarshal(a.body, &all); err != nil {
		tb.Fatalf("%s: %v", a.body, err)
	}
	s, _ := all[member].(string)
	return s
}

func init() { // as what files are answered that the tests ask for
	for _, mediaType := range []string{"image/png", "image/jpeg", "image/svg+xml", "application/pdf", "text/html", "audio/mpeg", "multipart/byteranges"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.FileBodyDecoder)
	}
	openapi3filter.RegisterBodyDecoder(streamType, openapi3filter.PlainBodyDecoder)
}

// contractRoutes finds the operation of a request without chi.
var contractRoutes = sync.OnceValue(func() routers.Router {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		panic(err)
	}
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return router
})

// conforms checks an answer against the contract: a status it names, with what it says of it. Answers
// outside it are checked as errors.
func conforms(r *http.Request, a response) error {
	h := a.header
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"} {
		if h.Get(name) != want {
			return errors.New(name + ": " + h.Get(name))
		}
	}
	if h.Get("X-Request-Id") == "" {
		return errors.New("no X-Request-Id")
	}
	if a.status < 200 || a.status == http.StatusNoContent {
		return nil
	}
	if r.Method == http.MethodHead && len(a.body) == 0 {
		return nil // net/http drops what a handler writes; where that is much, it need not be written
	}
	json := h.Get("Content-Type") == "application/json"
	if json && h.Get("Cache-Control") != "no-store" && !strings.HasPrefix(r.URL.Path, "/openapi") {
		return errors.New("Cache-Control: " + h.Get("Cache-Control"))
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	asked := r.Clone(r.Context())
	asked.Method = method
	asked.URL.Path = strings.TrimSuffix(asked.URL.Path, "/")
	asked.URL.RawPath = strings.TrimSuffix(asked.URL.RawPath, "/")
	route, params, err := contractRoutes().FindRoute(asked)
	if err != nil || a.status == http.StatusMethodNotAllowed {
		if page := strings.HasPrefix(h.Get("Content-Type"), "text/html"); a.status >= 400 && !(page && strings.HasPrefix(r.URL.Path, claimPath)) {
			return isError(a)
		}
		return nil // the contract itself, its page, and that of a link
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 a.status,
		Header:                 h,
		Body:                   io.NopCloser(bytes.NewReader(a.body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

func isError(a response) error {
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		return err
	}
	doc, err := contract()
	if err != nil {
		return err
	}
	return doc.Components.Schemas["Error"].Value.VisitJSON(v)
}
