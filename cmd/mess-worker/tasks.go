//go:build js

package main

import (
	"context"
	"log/slog"
	"syscall/js"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
)

const (
	// taskTime bounds what an alarm waits for. What is not done by then goes on, and sets the next alarm.
	taskTime = time.Minute
	// againAfter is when the alarm is to ring again after exchanges could not be opened.
	againAfter = 15 * time.Second
)

// tasks is what is done though nobody asks.
type tasks struct {
	engine *engine.Engine
	alarm  *alarm
	logger *slog.Logger
}

// function returns what JavaScript calls with the name of a task and a function to be called when it is done.
func (t *tasks) function() js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) any {
		name, done := args[0].String(), args[1]
		go func() {
			t.run(name)
			done.Invoke()
		}()
		return nil
	})
}

// run does a task:
//
//	alarm  what is due, which is what the object's alarm rings for
//	often  the same and snapshots, by a cron trigger, should an alarm ever have been lost
//	daily  and merging closed days
func (t *tasks) run(name string) {
	began := time.Now()
	if name == "alarm" {
		t.alarm.rung()
	}
	ctx, cancel := context.WithTimeout(context.Background(), taskTime)
	defer cancel()
	if err := t.engine.Opened(ctx); err != nil {
		t.logger.Warn("not all exchanges could be opened to see what is due", "error", err)
		t.alarm.wake(time.Now().Add(againAfter))
	}
	next, ok := t.engine.RunDue(ctx)
	if ok {
		t.alarm.wake(next)
	}
	if name == "often" || name == "daily" {
		t.engine.Upkeep()
	}
	if name == "daily" {
		t.engine.Tidy()
	}
	t.logger.Debug("a task was done", "task", name, "took", time.Since(began).Round(time.Millisecond).String())
}
