package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/httpapi"
)

// sink is a client that takes everything and keeps nothing, so that a benchmark counts the server's work.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header               { return s.header }
func (s *sink) WriteHeader(status int)            { s.status = status }
func (s *sink) Write(p []byte) (int, error)       { return len(p), nil }
func (s *sink) SetReadDeadline(_ time.Time) error { return nil }
func (s *sink) SetWriteDeadline(time.Time) error  { return nil }

// BenchmarkInside is the server without the network: from the handler down to a folder's log.
func BenchmarkInside(b *testing.B) {
	dir := b.TempDir()
	key := beginLog(b, dir)
	refs, err := history{threads: 1000}.write(dir)
	if err != nil {
		b.Fatal(err)
	}
	e, _, closeBoth := openEngine(b, dir)
	defer closeBoth()
	handler := httpapi.New(e, httpapi.Options{})
	var keys atomic.Int64
	for _, c := range []struct {
		name, method, path, body string
		keyed                    bool
	}{
		{"get", "GET", "/requests/" + refs[0], "", false},
		{"list", "GET", "/requests?limit=100", "", false},
		{"create", "POST", "/requests", body, false},
		{"createWithKey", "POST", "/requests", body, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			template := httptest.NewRequest(c.method, api+c.path, nil)
			template.Header.Set("Authorization", "Bearer "+key)
			template.Header.Set("Content-Type", "application/json")
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				w := &sink{header: http.Header{}}
				for pb.Next() {
					r := new(*template)
					if c.body != "" {
						r.Body, r.ContentLength = io.NopCloser(strings.NewReader(c.body)), int64(len(c.body))
					}
					if c.keyed { // the header of a request is its own
						r.Header = template.Header.Clone()
						r.Header.Set("Idempotency-Key", fmt.Sprintf("6f1d3c52-8a0e-4b77-9c1b-%012d", keys.Add(1)))
					}
					clear(w.header)
					handler.ServeHTTP(w, r)
					if w.status >= 400 {
						panic(fmt.Sprint(c.name, " is answered ", w.status))
					}
				}
			})
		})
	}
}
