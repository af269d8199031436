package engine

import (
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Stats is what an engine holds at one moment, for whoever watches over a server.
type Stats struct {
	Exchanges int           // open ones
	Streams   int           // calls of Follow that wait for events
	Reads     int           // calls of AwaitThread that wait for a change
	Uploads   int           // in progress
	Bodies    int           // bytes of messages that are kept for the next reader
	HeadAge   time.Duration // how long ago it was last proved of an open exchange that its state is the head of its log: the longest

	Outbox    exchange.Outbox // of the open exchanges together
	OldestDue time.Duration   // how long the event of which somebody is to be told has been due that has been so for longest; 0 for none
}

// Stats costs a look at each open exchange, of which there are at most maxOpen, and a few counters that are kept
// anyway. So it is for once every few seconds. On a store that nobody else writes to HeadAge is 0.
func (e *Engine) Stats() Stats {
	s := Stats{Streams: int(e.streams.Load()), Reads: int(e.reads.Load())}
	all := e.resident()
	s.Exchanges = len(all)
	if e.store.Shared() {
		for _, o := range all {
			s.HeadAge = max(s.HeadAge, time.Since(o.x.log.Checked()))
		}
	}
	now := e.store.Now()
	for _, o := range all {
		o.x.machine.addOutbox(&s, now)
	}
	s.Uploads, s.Bodies = e.uploads.count(), e.bodies.bytes()
	return s
}

func (m *machine) addOutbox(s *Stats, now time.Time) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o := m.state.Outbox()
	s.Outbox.Events, s.Outbox.Tries, s.Outbox.Lost = s.Outbox.Events+o.Events, s.Outbox.Tries+o.Tries, s.Outbox.Lost+o.Lost
	if u, ok := m.state.NextUndelivered(); ok {
		s.OldestDue = max(s.OldestDue, now.Sub(u.Due))
	}
}

func (u *uploads) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all
}

func (b *bodies) bytes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}
