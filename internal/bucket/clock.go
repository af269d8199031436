//go:build !js

package bucket

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// maxBehind is how far an answer's Date may be behind the estimate before it is believed: a Date is
// cut to the second, and the answer took its time.
const maxBehind = 2 * time.Second

// clock is the store's time (docs/storage.md, rule 8): the latest Date seen, carried forward by the
// machine's monotonic clock, so that no step of the machine's wall clock moves it.
type clock struct {
	mu    sync.Mutex
	store time.Time // at local; zero before the first answer
	local time.Time // with its monotonic reading
}

// now is the estimate, or the machine's time before the first answer.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate(time.Now())
}

func (c *clock) estimate(local time.Time) time.Time {
	if c.store.IsZero() {
		return local
	}
	return c.store.Add(local.Sub(c.local))
}

// learn takes a Date that is ahead of the estimate (the estimate can only be late: a Date is cut to
// the second, answers travel, and a suspended machine's monotonic clock stands still), or so far behind
// it that the clock must have been wrong.
func (c *clock) learn(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	local := time.Now()
	if ahead := date.Sub(c.estimate(local)); c.store.IsZero() || ahead > 0 || ahead < -maxBehind {
		c.store, c.local = date, local
	}
}

type dateKey struct{}

// answerDate is where the Date of the answers to a call goes.
type answerDate struct {
	mu   sync.Mutex
	date time.Time // of the last answer; zero before it
}

func (a *answerDate) set(date time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.date = date
}

func (a *answerDate) get() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.date
}

// withDate returns a context that keeps the Date of the answer to a call made with it: of the last one,
// where there were several. date tells it when the call has returned, and is zero where no answer had one.
func withDate(ctx context.Context) (_ context.Context, date func() time.Time) {
	a := &answerDate{}
	return context.WithValue(ctx, dateKey{}, a), a.get
}

// answered takes the Date of an answer to a call made with ctx.
func (c *clock) answered(ctx context.Context, header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	c.learn(date)
	if a, ok := ctx.Value(dateKey{}).(*answerDate); ok {
		a.set(date)
	}
}
