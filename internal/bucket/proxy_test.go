package bucket_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// proxy stands between a Store and a real S3 server and does to single requests what networks, proxies
// and other stores do.
type proxy struct {
	server *httptest.Server
	pass   http.Handler
	do     atomic.Pointer[answer]
	mu     sync.Mutex
	seen   []*http.Request // without bodies
}

// answer answers a request in place of the server, or with its help.
type answer func(w http.ResponseWriter, r *http.Request, pass http.Handler)

func startProxy(t *testing.T, s *s3test.Server) *proxy {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{pass: &httputil.ReverseProxy{
		// The host stays the one that was signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
	}}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Clone(r.Context()))
	p.mu.Unlock()
	if do := p.do.Load(); do != nil {
		(*do)(w, r, p.pass)
		return
	}
	p.pass.ServeHTTP(w, r)
}

// next answers the following requests, in order; those after the last one pass.
func (p *proxy) next(answers ...answer) {
	var n atomic.Int64
	var do answer = func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if i := int(n.Add(1)) - 1; i < len(answers) {
			answers[i](w, r, pass)
			return
		}
		pass.ServeHTTP(w, r)
	}
	p.do.Store(&do)
}

// all answers all requests of a method the same; "" is every method.
func (p *proxy) all(method string, a answer) {
	var do answer = func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if method == "" || r.Method == method {
			a(w, r, pass)
			return
		}
		pass.ServeHTTP(w, r)
	}
	p.do.Store(&do)
}

func (p *proxy) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

func (p *proxy) config(s *s3test.Server, name string) bucket.S3 {
	c := config(s, name)
	c.Endpoint = p.server.URL
	return c
}

// lost lets the server do it and cuts the connection instead of answering.
func lost(_ http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// cut cuts the connection before the server sees the request.
func cut(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// says answers with an S3 error, or with an empty body where code is "".
func says(status int, code string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>said the test</Message></Error>`, code)
		}
	}
}

// after changes the server's answer.
func after(change func(http.Header)) answer {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		rec := httptest.NewRecorder()
		pass.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		change(w.Header())
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}
}
