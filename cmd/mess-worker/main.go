//go:build js

// Command mess-worker is the server inside a Cloudflare Worker: it runs the exchanges of one R2 bucket in one Durable
// Object, and answers the requests that deploy/cloudflare/src hands it. It has the API, the log and the rules of
// cmd/mess-exchange, and the same settings as far as they apply, as variables of the Worker.
//
// What differs is where it lives. There is one thread; nothing may take its time. The object may be put away whenever
// nobody asks, or without a word: so nothing is kept that is not in the bucket, and nothing is due by a timer of
// the program's own, but by the object's alarm (alarm.go) and by two cron triggers (tasks.go).
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"syscall/js"
	"time"

	words "github.com/mess-exchange/mess-exchange/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/httpapi"
	"github.com/mess-exchange/mess-exchange/internal/worker"
)

const (
	// memoryLimit is for what Go holds. The isolate has 128 MB, in which the program itself, what JavaScript holds of
	// bodies and the engine that runs both must fit too; memory that Go had once it does not give back.
	memoryLimit = 64 << 20
	// startTime bounds a start: whoever asks waits for it.
	startTime = 20 * time.Second
	// snapshotAfter is how many events make a snapshot worth its write. It is less than elsewhere, because the program
	// begins anew ever so often, and never in good order.
	snapshotAfter = 256
)

// version is set when the program is built.
var version = "dev"

func main() {
	debug.SetMemoryLimit(memoryLimit)
	host := js.Global().Get("mess")
	if err := start(host); err != nil {
		host.Call("failed", err.Error())
		os.Exit(1)
	}
	select {} // what follows is called from JavaScript
}

// start makes the server ready and hands JavaScript the ways in.
func start(host js.Value) error {
	c, err := read(host.Get("env"))
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.level}))
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	binding := host.Get("env").Get("BUCKET")
	if binding.Type() != js.TypeObject {
		return fmt.Errorf("BUCKET: there is no R2 bucket of that name (r2_buckets in wrangler.jsonc)")
	}
	store, err := bucket.OpenR2(ctx, binding)
	if err != nil {
		return err
	}
	alarm, err := newAlarm(ctx, host.Get("state").Get("storage"), logger)
	if err != nil {
		return err
	}
	e := engine.New(store, engine.Options{
		Logger: logger, Wake: alarm.wake, SnapshotAfter: snapshotAfter, Notify: c.notify,
		Fatal: func(error) { os.Exit(1) }, // it was logged; the next request begins anew
	})
	if err := e.Start(ctx); err != nil {
		return err
	}
	catalogue, err := capabilities.Read(words.Files)
	if err != nil {
		return err
	}
	c.warn(logger)
	server := &worker.Server{Logger: logger, Handler: httpapi.New(e, httpapi.Options{
		Logger: logger, Version: version, Storage: store.Kind(), Access: c.access, Capabilities: catalogue, AttachmentMax: c.attachmentMax,
	})}
	t := &tasks{engine: e, alarm: alarm, logger: logger}
	host.Call("ready", server.Request(), t.function())
	logger.Debug("started", "version", version)
	return nil
}
