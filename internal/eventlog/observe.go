package eventlog

import (
	"time"
)

// Observer is told what becomes of a log's work, for whoever watches over a server. Each method is called once
// for something that took at least one call of the store, by the goroutine that did it and outside the log's
// lock. It must be quick; reads of a state that is at the head tell nobody anything.
type Observer interface {
	// Opened: a log was brought to its head, from a snapshot or by reading all of it.
	Opened(took time.Duration, fromSnapshot bool)
	// Committed: a commit of that many events and bytes was stored in that time, or what became of it: ErrLost,
	// ErrUnavailable, ErrOutcomeUnknown or ErrClosed, wrapped.
	Committed(events, bytes int, took time.Duration, err error)
	// Met: the commit of another replica was applied, that long after its last event by the store's clock.
	Met(age time.Duration)
	// Saved: a snapshot was written in that time, or why not.
	Saved(took time.Duration, err error)
}

// ErrLost: another commit stands at the position that one was to have; it is decided again. Only an Observer
// ever sees it.
var ErrLost = errLost

// unobserved is the Observer of a log that nobody watches.
type unobserved struct{}

func (unobserved) Opened(time.Duration, bool)               {}
func (unobserved) Committed(int, int, time.Duration, error) {}
func (unobserved) Met(time.Duration)                        {}
func (unobserved) Saved(time.Duration, error)               {}

// Checked returns when it was last proved that the state is the head of the log: when the answer came that said
// so. Where no one else can write, that is now.
func (l *Log) Checked() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.store.Shared() {
		return time.Now()
	}
	return l.checked
}

// tellMet tells of a commit of another writer, whose last event has that time. l.mu must not be held.
func (l *Log) tellMet(ts time.Time) {
	l.observer.Met(max(l.store.Now().Sub(ts), 0))
}
