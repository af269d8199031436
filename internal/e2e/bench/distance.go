package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// distance is a way to a server on which each request is under way for a time, as between machines. It lets
// through as many at once as come.
type distance struct {
	listener net.Listener
	front    *http.Server
	served   chan error
}

// newDistance opens a way to target, such as http://127.0.0.1:9000, on which an answer comes roundTrip later.
// Close ends it.
func newDistance(target string, roundTrip time.Duration) (*distance, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("open a way to %s: %w", target, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a way to %s: %w", target, err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which an S3 client signs
	}}
	d := &distance{listener: l, served: make(chan error, 1), front: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(roundTrip)
		proxy.ServeHTTP(w, r)
	})}}
	go func() { d.served <- d.front.Serve(l) }() // until Close
	return d, nil
}

func (d *distance) endpoint() string { return "http://" + d.listener.Addr().String() }

// Close cuts all connections.
func (d *distance) Close() error {
	err := d.front.Close()
	if served := <-d.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
