package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/metrics"
)

// serveAside answers what has addresses of its own, so that it need not be on the public port: Go's profiles
// never are, for they tell much about what the server does, and taking one costs processor time. end stops it.
func (c *config) serveAside(ctx context.Context, measured *metrics.Metrics, logger *slog.Logger) (end func(), err error) {
	var ends []func()
	end = func() {
		for _, f := range ends {
			f()
		}
	}
	for _, one := range []struct {
		variable, address, what, path string
		handler                       http.Handler
	}{
		{"PPROF_ADDR", c.PprofAddr, "profiles", "/debug/pprof/", profiles()},
		{"METRICS_ADDR", c.MetricsAddr, "metrics", "/metrics", metricsOnly(measured.Handler(logger))},
	} {
		if one.address == "" {
			continue
		}
		at, stop, err := listenAside(ctx, one.address, one.handler)
		if err != nil {
			end()
			return nil, fmt.Errorf("%s: can't listen on %s: %w", one.variable, one.address, err)
		}
		ends = append(ends, stop)
		logger.Info(one.what + " are at http://" + at + one.path)
	}
	return end, nil
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func metricsOnly(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	return mux
}

// listenAside answers on an address. It returns where it listens and how to end it.
func listenAside(ctx context.Context, address string, h http.Handler) (at string, end func(), err error) {
	var network net.ListenConfig
	l, err := network.Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
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
