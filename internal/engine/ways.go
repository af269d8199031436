package engine

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/channel"
	"github.com/mess-exchange/mess-exchange/internal/notify/hook"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
	notification "github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// fullPause is how long a delivery waits that found no room at the sender.
const fullPause = 30 * time.Second

// The reasons that are not the sender's or the preferences'.
const (
	isUnderWay  = "under way"
	hasLeft     = "the executor has left"
	isOff       = "the channel or hook is not there any more"
	isClosed    = "the request was closed"
	waitsNoMore = "the request no longer waits"
	endsBefore  = "the request ends before the next attempt"
	noRequest   = "the settings make no request"
	noRoom      = "too many requests wait to be sent"
	didNothing  = "the receiver did not do what it was asked for"
	wantsNoMore = "the receiver wants no more"
	noToken     = "no access token was given"
)

// sent is what came of sending: an outcome, or that nothing was sent.
type sent struct {
	send.Outcome
	unsent unsent
	failed string // a reason of this server's, in the place of an outcome
}

type unsent int

const (
	wasSent unsent = iota
	wasFull        // the sender had no room
	wasShut        // the server stops
)

// send hands a job to the sender. False: it has no room.
func (t *teller) send(tl *telling, j *job) bool {
	err := t.submit(tl, j)
	switch {
	case err == nil:
		return true
	case errors.Is(err, send.ErrFull):
		t.answered(answer{tl, j, sent{unsent: wasFull}})
		return false
	case errors.Is(err, send.ErrClosed):
		t.deaf = true
		t.answered(answer{tl, j, sent{unsent: wasShut}})
		return false
	}
	t.x.logger.Debug("a notification that can't be made", "ref", tl.ref, "executor", j.executor, "channel", j.way.String(), "error", err)
	t.answered(answer{tl, j, sent{failed: noRequest}})
	return true
}

// submit makes the request of a job, and that for an access token before it where it needs one.
func (t *teller) submit(tl *telling, j *job) error {
	e := t.x.engine
	done := func(o send.Outcome) { t.answered(answer{tl, j, sent{Outcome: o}}) }
	id := notify.DeliveryID(t.x.id, tl.event, j.executor, j.way)
	if j.way.Moment == "" {
		n := tl.content.telling.Notification
		n.ClaimURL = j.guest.claimURL
		r, err := channel.Request(j.entry, channel.Delivery{Notification: n, ID: id, Now: e.store.Now()})
		if err != nil {
			return err
		}
		return e.notify.Sender.Submit(r, done)
	}
	f := hook.Firing{Occasion: tl.content.telling.Occasion, Name: j.name, ID: id, ExternalID: t.externalID(j.executor, tl.ref)}
	if !hook.NeedsToken(j.entry) {
		return t.fire(j, f, done)
	}
	key := tokenKey(j.entry)
	if token, ok := e.tellers.tokens.get(key, e.store.Now()); ok {
		f.AccessToken = token
		return t.fire(j, f, func(o send.Outcome) {
			if o.Status == 401 { // it was revoked; the next attempt gets another
				e.tellers.tokens.drop(key)
				o.Verdict = send.TryAgain
			}
			done(o)
		})
	}
	return e.notify.Sender.Submit(hook.TokenRequest(j.entry, e.notify.Services), func(o send.Outcome) {
		if o.Verdict != send.Delivered {
			if o.Verdict == send.Gone {
				o.Verdict = send.Failed // it is not the hook's receiver who says so
			}
			done(o)
			return
		}
		token, until, err := hook.ReadToken(o.Answer, e.store.Now())
		if err != nil {
			t.answered(answer{tl, j, sent{failed: noToken}})
			return
		}
		e.tellers.tokens.put(key, token, until)
		f.AccessToken = token
		switch err := t.fire(j, f, done); {
		case errors.Is(err, send.ErrFull):
			t.answered(answer{tl, j, sent{unsent: wasFull}})
		case errors.Is(err, send.ErrClosed):
			t.answered(answer{tl, j, sent{unsent: wasShut}})
		case err != nil:
			t.answered(answer{tl, j, sent{failed: noRequest}})
		}
	})
}

// fire sends the request of a hook.
func (t *teller) fire(j *job, f hook.Firing, done func(send.Outcome)) error {
	r, err := hook.Request(j.entry, f, t.x.engine.notify.Services)
	if err != nil {
		return err
	}
	return t.x.engine.notify.Sender.Submit(r, done)
}

// externalID is what an earlier hook of an executor has opened for a thread.
func (t *teller) externalID(executor, ref string) string {
	m := t.x.machine
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.ExternalID(executor, ref)
}

// judge turns what came of an attempt into an outcome for the next round.
func (t *teller) judge(tl *telling, j *job, s sent) {
	now := t.x.engine.store.Now()
	switch {
	case s.unsent == wasShut || s.Interrupted():
		// As good as not made: it stays open, for the next start.
		if !j.recorded {
			tl.add(j, underWayAt(j, now))
		}
		return
	case s.unsent == wasFull:
		tl.add(j, exchange.Outcome{Attempt: j.attempts, Outcome: exchange.OutcomeDeferred, Reason: noRoom, Next: now.Add(fullPause)})
		return
	}
	o := exchange.Outcome{Attempt: j.attempts + 1, Status: s.Status, Reason: s.Reason, Outcome: exchange.OutcomeFailed}
	switch {
	case s.failed != "":
		o.Reason = s.failed
	case s.Verdict == send.Delivered:
		o.Outcome = exchange.OutcomeDelivered
		if j.way.Moment != "" {
			var err error
			if o.ExternalID, err = hook.ReadAnswer(j.entry, s.Answer); err != nil {
				o.Outcome, o.Reason = exchange.OutcomeFailed, didNothing
			}
		}
	case s.Verdict == send.TryAgain:
		t.retry(tl, &o, s.RetryAfter, now)
	case s.Verdict == send.Gone:
		tl.gone = append(tl.gone, j)
	}
	tl.add(j, o)
}

// retry decides whether and when a delivery is tried again.
func (t *teller) retry(tl *telling, o *exchange.Outcome, after time.Duration, now time.Time) {
	m := t.x.machine
	m.mu.RLock()
	u, open := m.state.Undelivered(tl.event)
	closed := !open || m.state.ClosedSince(u)
	var cut time.Time
	if thread, ok := m.state.Thread(tl.ref); ok && thread.Status == exchange.StatusPending {
		cut = m.state.Terms(tl.ref).NeededBy
	}
	m.mu.RUnlock()
	r := send.Retry{Failures: o.Attempt, Urgent: tl.priority == exchange.PriorityUrgent, Now: now, After: after}
	next, more := r.Next(rand.Float64())
	switch {
	case closed:
		o.Outcome, o.Reason = exchange.OutcomeDropped, isClosed
	case !more: // failed, with the reason of the last attempt
	case !cut.IsZero() && !next.Before(cut):
		o.Outcome, o.Reason = exchange.OutcomeDropped, endsBefore
	default:
		o.Outcome, o.Next = exchange.OutcomeRetry, next
	}
}

// tokens are access tokens until they expire. They are nowhere but in memory.
type tokens struct {
	mu sync.Mutex
	of map[string]token
}

type token struct {
	text  string
	until time.Time
}

// tokenKey is the same for hooks that get the same token.
func tokenKey(e notification.Entry) string {
	h := sha256.New()
	for _, name := range []string{"client_id", "client_secret", "refresh_token"} {
		sum := sha256.Sum256([]byte(e.Text[name]))
		h.Write(sum[:])
	}
	return string(h.Sum(nil))
}

func (c *tokens) get(key string, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.of[key]
	return kept.text, ok && now.Before(kept.until)
}

func (c *tokens) put(key, text string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[key] = token{text, until}
	for other := range c.of {
		if len(c.of) <= maxTokens {
			return
		}
		if other != key {
			delete(c.of, other)
		}
	}
}

func (c *tokens) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, key)
}
