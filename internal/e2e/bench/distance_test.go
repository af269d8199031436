package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestDistance wants what is said to come whole, an answer after the round trip, and an end of everything.
func TestDistance(t *testing.T) {
	host := make(chan string, 1)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host <- r.Host
		_, _ = io.Copy(w, r.Body)
	}))
	defer echo.Close()
	const roundTrip = 20 * time.Millisecond
	d, err := newDistance(echo.URL, roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	const said = "is the garage door closed?"
	began := time.Now()
	resp, err := http.Post(d.endpoint(), "text/plain", strings.NewReader(said))
	if err != nil {
		t.Fatal(err)
	}
	heard, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(heard) != said {
		t.Fatalf("heard %q, %v", heard, err)
	}
	if took := time.Since(began); took < roundTrip {
		t.Errorf("the answer came after %v, before the round trip of %v", took, roundTrip)
	}
	if got := "http://" + <-host; got != d.endpoint() {
		t.Errorf("the server was asked as %s, and not as %s, which is what a client signs", got, d.endpoint())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(d.endpoint()); err == nil {
		resp.Body.Close()
		t.Error("a closed way answers")
	}
}
