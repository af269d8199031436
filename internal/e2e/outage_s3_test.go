//go:build e2e

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// TestBucketGoesAway: S3 is down, hangs before or after it has done what it was asked, fails, or refuses.
// Reads there are of the head of the log, which nobody knows meanwhile.
func TestBucketGoesAway(t *testing.T) {
	t.Parallel()
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		s3 := s3test.Start(t)
		outage{
			place:  bucketOf(t, s3),
			strike: func(t *testing.T) { s3.Stop(t) },
			mend:   func(t *testing.T) { s3.Restart(t) },
			reason: "The storage can't be reached",
			reads:  http.StatusServiceUnavailable,
		}.walk(t)
	})
	for name, c := range map[string]struct {
		fault  fault
		reason string
		sure   bool
	}{
		"slow":      {hang, "The storage does not answer in time", false},
		"lost":      {lose, "The storage does not answer", false},
		"failing":   {answerWith(http.StatusInternalServerError, "InternalError"), "The storage does not answer", false},
		"forbidden": {answerWith(http.StatusForbidden, "AccessDenied"), "The storage does not permit changes", true},
		"revoked":   {answerWith(http.StatusForbidden, "InvalidAccessKeyId"), "The storage refuses changes", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s3 := s3test.Start(t)
			p := between(t, s3.Endpoint)
			place := bucketOf(t, s3)
			place.settings = append(place.settings, "S3_ENDPOINT="+p.url)
			outage{
				place:  place,
				strike: func(*testing.T) { p.strike(c.fault) },
				mend:   func(*testing.T) { p.mend() },
				reason: c.reason,
				reads:  http.StatusServiceUnavailable,
				sure:   c.sure,
			}.walk(t)
		})
	}
}

// proxy stands between the program and S3.
type proxy struct {
	url   string
	fault atomic.Pointer[struck]
}

// struck is a fault and its end.
type struck struct {
	fault fault
	over  chan struct{}
}

// fault answers a request in place of the server, or with its help, until the fault is over.
type fault func(w http.ResponseWriter, r *http.Request, pass http.Handler, over <-chan struct{})

// between starts a proxy in front of an S3 server.
func between(t *testing.T, endpoint string) *proxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the one that was signed
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := p.fault.Load(); s != nil {
			s.fault(w, r, pass, s.over)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	p.url = server.URL
	t.Cleanup(func() {
		p.mend()
		server.CloseClientConnections()
		server.Close()
	})
	return p
}

func (p *proxy) strike(f fault) { p.fault.Store(&struck{f, make(chan struct{})}) }

func (p *proxy) mend() {
	if s := p.fault.Swap(nil); s != nil {
		close(s.over)
	}
}

// hang keeps requests to itself. Those whose client still waits when it is over go on: late.
func hang(w http.ResponseWriter, r *http.Request, pass http.Handler, over <-chan struct{}) {
	<-over
	pass.ServeHTTP(w, r)
}

// lose lets the server do it and cuts the connection in place of an answer.
func lose(_ http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
	pass.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// answerWith refuses in S3's words.
func answerWith(status int, code string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler, _ <-chan struct{}) {
		_, _ = io.Copy(io.Discard, r.Body) // what could not be read was not sent
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>said the test</Message></Error>`)
	}
}
