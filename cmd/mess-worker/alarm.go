//go:build js

package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall/js"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// alarm is the one that a Durable Object has. It wakes the object, and this program in it, when something is due,
// whether or not anybody asks. It is only ever set earlier: one that rings for nothing sets the next.
type alarm struct {
	storage js.Value
	logger  *slog.Logger

	mu  sync.Mutex
	set int64 // in milliseconds since 1970; 0: it is not
}

// newAlarm takes over what an earlier program has set, which may know more than this one does yet.
func newAlarm(ctx context.Context, storage js.Value, logger *slog.Logger) (*alarm, error) {
	at, err := promise.Call(ctx, storage, "getAlarm")
	if err != nil {
		return nil, fmt.Errorf("ask for the alarm of the object: %w", err)
	}
	a := &alarm{storage: storage, logger: logger}
	if at.Type() == js.TypeNumber {
		a.set = int64(at.Float())
	}
	return a, nil
}

// wake sets the alarm. It does not wait: where setting it fails, the next to be told of sets it, and the cron trigger is
// what is left.
func (a *alarm) wake(at time.Time) {
	ms := at.UnixMilli() + 1 // not before
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set != 0 && a.set <= ms {
		return
	}
	a.set = ms
	setting, err := promise.Try(a.storage, "setAlarm", ms)
	go func() {
		if err == nil {
			_, err = promise.Await(context.Background(), setting)
		}
		if err != nil {
			a.mu.Lock()
			if a.set == ms {
				a.set = 0
			}
			a.mu.Unlock()
			a.logger.Warn("the alarm of the object could not be set", "error", err)
		}
	}()
}

// rung notes that it is not set any more.
func (a *alarm) rung() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = 0
}
