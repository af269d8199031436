package engine

import "time"

// Stats is what an engine holds at one moment, for whoever watches over a server.
type Stats struct {
	Exchanges int           // open ones
	Streams   int           // calls of Follow that wait for events
	Reads     int           // calls of AwaitThread that wait for a change
	Uploads   int           // in progress
	Bodies    int           // bytes of messages that are kept for the next reader
	HeadAge   time.Duration // how long ago it was last proved of an open exchange that its state is the head of its log: the longest
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
	s.Uploads, s.Bodies = e.uploads.count(), e.bodies.bytes()
	return s
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
