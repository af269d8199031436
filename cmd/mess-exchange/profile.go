package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// serveProfiles answers Go's profiles on an address of its own, so that they are never on the public one:
// they tell much about what the server does, and taking one costs processor time. It returns where it
// listens and how to end it.
func serveProfiles(ctx context.Context, address string) (at string, end func(), err error) {
	var network net.ListenConfig
	l, err := network.Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, fmt.Errorf("PPROF_ADDR: can't listen on %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with Close
	}()
	return l.Addr().String(), func() {
		_ = server.Close()
		<-ended
	}, nil
}
