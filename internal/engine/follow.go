package engine

import (
	"context"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// followEvery is how often a follower looks for commits of other replicas.
const followEvery = time.Second

// Wait returns when something has happened in the caller's exchange after seq after: an event whose
// type does not begin with note_. It returns at once where that is so already. head is the seq of
// the last event then, the after of the next call. When ctx ends first, err wraps its error and head
// is still that of the moment.
func (e *Engine) Wait(ctx context.Context, c Caller, after int64) (head int64, err error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return 0, err
	}
	defer leave()
	defer x.follow()()
	if err := x.sync(ctx); err != nil {
		return 0, err
	}
	for {
		head, telling, ok, news := x.machine.glance(c.Caller)
		switch {
		case !ok:
			return 0, errUnauthorized()
		case telling > after:
			return head, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return head, e.unreadable(ctx, ctx.Err())
		case <-e.released:
			return head, errClosing()
		case <-e.closing:
			return head, errClosing()
		}
	}
}

// glance returns the head, the seq of the last event that wakes waiters, whether the caller's key
// holds there, and a channel that is closed at the next such event.
func (m *machine) glance(c exchange.Caller) (head, telling int64, ok bool, news <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.news == nil {
		m.news = make(chan struct{})
	}
	return m.head, m.telling, holds(m.state, c), m.news
}

// follow keeps the exchange near the head of its log until unfollow is called, so that commits of
// other replicas wake those who wait here. One follower serves all of them: it starts with the first
// and ends with the last, or with the engine.
func (x *running) follow() (unfollow func()) {
	if !x.engine.store.Shared() {
		return func() {} // whatever happens, happens here
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiters++
	if x.waiters == 1 {
		ctx, cancel := context.WithCancel(x.engine.life)
		if x.engine.spawn(func() { x.poll(ctx) }) {
			x.unfollow = cancel
		} else {
			cancel()
		}
	}
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.waiters--
		if x.waiters == 0 && x.unfollow != nil {
			x.unfollow()
			x.unfollow = nil
		}
	}
}

// followed reports whether a follower keeps the exchange near the head.
func (x *running) followed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.unfollow != nil
}

// poll looks for new commits each second until ctx ends. A store that can't be read is said once,
// and once more when it answers again.
func (x *running) poll(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var failing bool
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := x.log.Sync(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			x.logger.Warn("new events can't be looked for; trying on", "error", err)
		case err == nil && failing:
			x.logger.Info("new events are looked for again")
		}
		failing = err != nil
	}
}
