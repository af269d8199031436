package httpapi

import (
	"sync"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// maxAttempts in each attemptsTime is what one address may do of a kind. Keys have 128 random bits, so
	// nobody guesses one either way: the limit keeps one client from filling the log with executors, or the
	// server's time with look-ups.
	maxAttempts  = 300
	attemptsTime = time.Minute
	// maxAddresses is how many addresses are remembered, at some 100 bytes each. Whoever has more than that is
	// not held back by a limit per address anyway.
	maxAddresses = 1 << 16
)

// attempts counts what comes from each address, or each executor. The first of one begins its minute. Memory is
// bounded: there are two generations of them, of at most half of all each, and the older one is
// forgotten when the younger is full or has seen a minute, whichever is first.
type attempts[Who comparable] struct {
	most int // in a minute

	mu         sync.Mutex
	begun      time.Time // of the younger generation
	young, old map[Who]minute
}

// minute is what somebody has done since its beginning.
type minute struct {
	begun time.Time
	count int
}

// add counts one more, and returns how long its sender has to wait where that is too many; 0 where not.
func (a *attempts[Who]) add(at Who) (wait time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.minute(at, now)
	if m.count < a.most {
		m.count++
	} else {
		wait = m.begun.Add(attemptsTime).Sub(now)
	}
	a.put(at, m, now)
	return wait
}

// spent is what add would return, and counts nothing.
func (a *attempts[Who]) spent(at Who) (wait time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.minute(at, now); m.count >= a.most {
		return m.begun.Add(attemptsTime).Sub(now)
	}
	return 0
}

// minute returns the one that somebody is in. a.mu must be held.
func (a *attempts[Who]) minute(at Who, now time.Time) minute {
	m, known := a.young[at]
	if !known {
		m = a.old[at]
	}
	if now.Sub(m.begun) >= attemptsTime {
		return minute{begun: now}
	}
	return m
}

// put remembers somebody. a.mu must be held.
func (a *attempts[Who]) put(at Who, m minute, now time.Time) {
	if _, known := a.young[at]; !known && (len(a.young) >= maxAddresses/2 || now.Sub(a.begun) >= attemptsTime) {
		a.old, a.young, a.begun = a.young, nil, now
	}
	if a.young == nil {
		a.young = map[Who]minute{}
	}
	a.young[at] = m
}

// errTooMany is a refusal that says itself when to come again.
type errTooMany struct {
	refusal *exchange.Error
	wait    time.Duration
}

func (e *errTooMany) Error() string { return e.refusal.Error() }
func (e *errTooMany) Unwrap() error { return e.refusal }

// seconds is the wait for Retry-After.
func (e *errTooMany) seconds() int { return int((e.wait + time.Second - 1) / time.Second) }

func tooMany(what string, wait time.Duration) error {
	return tooManyOf("Too many "+what+" came from your address; try again later", wait)
}

func tooManyOf(sentence string, wait time.Duration) error {
	return &errTooMany{&exchange.Error{Code: exchange.CodeRateLimited, Message: sentence}, wait}
}
