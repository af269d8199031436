package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/mess-exchange/mess-exchange/internal/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/httpapi"
	"github.com/mess-exchange/mess-exchange/internal/metrics"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

const (
	// startTime bounds opening the storage: an operator learns within ten seconds that it does not
	// answer. listTime bounds finding the exchanges in it, which may be many.
	startTime = 9 * time.Second
	listTime  = time.Minute
	// stopTime bounds a shutdown: answering what is in flight and flushing it. Orchestrators kill after
	// ten seconds or more.
	stopTime = 10 * time.Second
)

// serve runs the server until ctx ends. Its parts start in the order in which they need each other
// and stop in the opposite one. After a fatal error of the engine nothing is stopped in order: that
// could answer somebody.
func serve(ctx context.Context, c *config, stderr io.Writer) error {
	began := time.Now()
	logger := newLogger(c, stderr)
	measured := metrics.New(programVersion(), c.StorageType)
	store, err := c.openStore(ctx, false, measured.Storage)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	fatal := make(chan error, 1)
	notify, sender, _ := c.notify().WithSender() // checked when it was parsed
	var e *engine.Engine
	notify.Delivered = measured.WatchNotifications(func() engine.Stats { return e.Stats() }).Delivered
	e = engine.New(store, engine.Options{Logger: logger, Fatal: func(err error) { fatal <- err }, Observer: measured, Notify: notify})
	ends := ending{sender, e, store, logger}
	listener, err := start(ctx, c, e)
	if err != nil {
		ends.closeAll()
		return unlessStopped(ctx, err)
	}
	connections := httpapi.LimitConnections(listener, c.connections())
	measured.WatchEngine(e.Stats)
	measured.WatchConnections(connections.Open, c.connections())
	server := httpapi.Server(httpapi.New(e, handlerOptions(c, measured, logger)), logger)
	server.RegisterOnShutdown(e.ReleaseWaiters)
	end, err := c.serveAside(ctx, measured, logger)
	if err != nil {
		_ = listener.Close()
		ends.closeAll()
		return unlessStopped(ctx, err)
	}
	defer end()
	broken := make(chan error, 1)
	go func() { broken <- server.Serve(connections) }()

	url := c.url(strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), "localhost")
	logger.Info("listening on "+url, "version", programVersion(), "storage", c.StorageType, "took", time.Since(began).Round(time.Millisecond).String())

	select {
	case <-ctx.Done():
	case err := <-fatal:
		_ = server.Close() // the process ends; nobody is answered
		return fmt.Errorf("nothing can be stored safely any more: %w", err)
	case err := <-broken:
		ends.closeAll()
		return fmt.Errorf("accept connections: %w", err)
	}
	logger.Info("stopping")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ends.stop(server)
	}()
	select {
	case <-stopped:
		return nil
	case err := <-fatal:
		_ = server.Close()
		return fmt.Errorf("nothing can be stored safely any more: %w", err)
	}
}

// handlerOptions puts together what the handler is told.
func handlerOptions(c *config, measured *metrics.Metrics, logger *slog.Logger) httpapi.Options {
	access, _ := c.access().Read() // checked when it was parsed
	c.access().Warn(logger)
	o := httpapi.Options{
		Logger: logger, Version: programVersion(), Storage: c.StorageType,
		Access: access, Capabilities: capabilities.New(c.CapabilitiesDir, logger), AttachmentMax: c.attachmentMax(),
		Observe: measured.Operation,
	}
	if c.MetricsAddr == "" {
		o.Metrics = measured.Handler(logger)
	}
	return o
}

// unlessStopped hides an error that only says that the operator stopped a start.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// start makes the engine ready and takes the port, in this order: whoever is let in gets an answer.
func start(ctx context.Context, c *config, e *engine.Engine) (net.Listener, error) {
	listing, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	if err := e.Start(listing); err != nil {
		return nil, err
	}
	return listen(ctx, c)
}

// listen reports what an operator can do about a port that can't be had.
func listen(ctx context.Context, c *config) (net.Listener, error) {
	var network net.ListenConfig
	l, err := network.Listen(ctx, "tcp", c.address())
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("PORT: %s is in use by another program", c.Port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("PORT: no permission to listen on %s; take one above 1023", c.Port)
	}
	return nil, fmt.Errorf("HOST: can't listen on %s: %w", c.address(), err)
}

// ending is what a server ends with, in the order in which it ends.
type ending struct {
	sender *send.Sender // what it has not delivered is in the outbox
	engine *engine.Engine
	store  io.Closer
	logger *slog.Logger
}

// stop ends a server in order: no new connections, answers to what is in flight and to who only waits, then what
// the engine has queued. What does not end in time is cut off; its clients have no answer, so nothing they were
// told is lost.
func (e ending) stop(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		e.logger.Warn("requests were cut off", "error", err)
		_ = server.Close() // of what is cut off, no error matters
	}
	e.flush(ctx)
	e.logger.Info("stopped")
}

// closeAll ends what was started where there is no server to stop.
func (e ending) closeAll() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	e.flush(ctx)
}

func (e ending) flush(ctx context.Context) {
	e.sender.Close()
	if err := e.engine.Close(ctx); err != nil {
		e.logger.Warn("not everything could be flushed", "error", err)
	}
	if err := e.store.Close(); err != nil {
		e.logger.Warn("the storage was not closed", "error", err)
	}
}

// newLogger writes text for people at a terminal, JSON for everything else.
func newLogger(c *config, stderr io.Writer) *slog.Logger {
	level, _ := c.level() // checked when it was parsed
	options := &slog.HandlerOptions{Level: level}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options))
}
