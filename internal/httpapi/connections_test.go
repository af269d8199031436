package httpapi

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Ensure that a connection beyond the limit is told so, whatever it sends, and that a place given back is
// free for the next.
func TestLimitConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{}, 8)
	server := &httptest.Server{Listener: LimitConnections(l, 2), Config: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }),
	}}
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			gone <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()

	ask := func() (*http.Client, int, http.Header, string) {
		c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 10 * time.Second}
		r, err := c.Post(server.URL, "application/json", io.LimitReader(zeros{}, 100<<10))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return c, r.StatusCode, r.Header, string(text)
	}
	first, status, _, text := ask()
	if status != http.StatusOK || text != "in" {
		t.Fatal(status, text)
	}
	second, status, _, _ := ask()
	if status != http.StatusOK {
		t.Fatal(status)
	}
	defer second.CloseIdleConnections()
	for range 3 {
		_, status, header, text := ask()
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || text != `{"error":"Too many connections are open; try again shortly","code":"overloaded"}`+"\n" {
			t.Errorf("got %d %q %v, want 503 that says why", status, text, header)
		}
	}
	first.CloseIdleConnections()
	<-gone
	third, status, _, _ := ask()
	if status != http.StatusOK {
		t.Errorf("got %d after a place was given back", status)
	}
	third.CloseIdleConnections()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
