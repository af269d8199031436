package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Ensure that health tells a running server from everything else that may be at its port.
func TestHealth(t *testing.T) {
	s := launch(t, "STORAGE_PATH="+t.TempDir())
	answers := func(status int, body string) string {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", s.url+"/health")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(other.Close)
		return other.URL
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct {
		name, url string
		healthy   bool
	}{
		{"a server", s.url, true},
		{"nobody", gone.URL, false},
		{"someone silent", "http://" + silent.Addr().String(), false},
		{"another service", answers(200, `{"status":"ok","service":"other"}`), false},
		{"no JSON", answers(200, `<html>`), false},
		{"an error", answers(503, `{"status":"ok","service":"mess-exchange"}`), false},
		{"a redirect", answers(302, ``), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var stdout, stderr bytes.Buffer
			port := c.url[strings.LastIndex(c.url, ":")+1:]
			err := run(ctx, []string{"health"}, env("PORT="+port, "STORAGE_TYPE=nonsense"), &stdout, &stderr)
			if c.healthy != (err == nil) || c.healthy != strings.HasPrefix(stdout.String(), "ok ") || stderr.Len() > 0 {
				t.Errorf("%v, stdout %q, stderr %q", err, &stdout, &stderr)
			}
		})
	}
}
