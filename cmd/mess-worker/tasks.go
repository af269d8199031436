//go:build js

package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"syscall/js"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
)

const (
	// taskTime bounds what an alarm waits for; Cloudflare ends one after a quarter of an hour. What is not done by then
	// goes on, and the next alarm, set to ring at once, waits for it.
	taskTime = time.Minute
	// againAfter is when the alarm is to ring again after exchanges could not be opened.
	againAfter = 15 * time.Second
	// tidyTime is a slice of the daily work, and tidyPause what lies between two of them, in which who asks has his turn.
	tidyTime  = 20 * time.Second
	tidyPause = time.Second
)

// tasks is what is done though nobody asks.
//
// So that nothing is forgotten when the object is put away, it holds at any time that whatever is due or under way has an
// alarm set for it, or one that waits for it: one that the object's end cuts off is rung again by Cloudflare.
type tasks struct {
	engine  *engine.Engine
	alarm   *alarm
	logger  *slog.Logger
	untidy  atomic.Bool // days are left to be merged
	tidying atomic.Bool // a slice of it is under way
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
//	alarm  what is due, which is what the object's alarm rings for: deadlines, what executors are to be told, snapshots
//	often  the same, by a cron trigger, should an alarm ever have been lost, and puts away exchanges that nobody uses
//	daily  and merging closed days, in slices of which each but the first is begun by the alarm
func (t *tasks) run(name string) {
	began := time.Now()
	switch name {
	case "alarm":
		t.alarm.rung()
	case "daily":
		t.untidy.Store(true)
	}
	t.due()
	if name != "alarm" {
		t.engine.Upkeep()
	}
	t.tidy()
	t.logger.Debug("a task was done", "task", name, "took", time.Since(began).Round(time.Millisecond).String())
}

// due does what is due, and sets the alarm to what comes next.
func (t *tasks) due() {
	ctx, cancel := context.WithTimeout(context.Background(), taskTime)
	defer cancel()
	if err := t.engine.Opened(ctx); err != nil {
		t.logger.Warn("not all exchanges could be opened to see what is due", "error", err)
		t.alarm.wake(time.Now().Add(againAfter))
	}
	next, ok := t.engine.RunDue(ctx)
	if ctx.Err() != nil {
		t.alarm.wake(time.Now())
	}
	if ok {
		t.alarm.wake(next)
	}
}

// tidy does a slice of what is to be merged.
func (t *tasks) tidy() {
	if !t.untidy.Load() || !t.tidying.CompareAndSwap(false, true) {
		return
	}
	defer t.tidying.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), tidyTime)
	defer cancel()
	if t.engine.TidySome(ctx) {
		t.untidy.Store(false)
		return
	}
	t.alarm.wake(time.Now().Add(tidyPause))
}
