package engine

import (
	"sort"
	"sync"
	"sync/atomic"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

const (
	// feedBytes bounds the events that an exchange keeps for those who follow it, and feedsBytes those of all
	// exchanges together. Who has fallen behind what is kept reads the log.
	feedBytes  = 1 << 20
	feedsBytes = 64 << 20
	// logEventOverhead is about what an event takes in memory besides its frame.
	logEventOverhead = 128
)

// feed keeps the last events of an exchange, encoded once for all who follow it. It is empty while nobody
// does. Those who follow take events from it when they can send them, so a slow one holds up nobody and
// nothing is queued for it.
type feed struct {
	feeds *atomic.Int64 // those of the engine that have readers
	turns chan struct{} // one token for each reader that reads the log

	mu      sync.Mutex
	readers int
	from    int64       // every event behind it, up to head, is in events, but notes
	head    int64       // seq of the last event
	events  []*LogEvent // only ever appended to or cut at the front: readers hold parts of it
	size    int         // bytes of events
	keys    int         // how often a key may have ceased to open the exchange
	news    chan struct{}
	err     error // why an event could not be shown
}

// join counts in one who follows. head is the seq of the last event now.
func (f *feed) join(head int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers++; f.readers == 1 {
		f.from, f.head, f.news, f.err = head, head, make(chan struct{}), nil
		f.feeds.Add(1)
	}
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers--; f.readers == 0 {
		f.events, f.size = nil, 0
		f.feeds.Add(-1)
	}
}

// add takes the events of a commit. It costs nothing while nobody follows.
func (f *feed) add(exchangeID string, events []eventlog.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == 0 {
		return
	}
	for _, ev := range events {
		if ev.Seq == 0 {
			continue
		}
		shown, err := showEvent(exchangeID, ev)
		if err != nil && f.err == nil {
			f.err = err // not reached: it was a line of the log before
		}
		if shown != nil {
			f.events = append(f.events, shown)
			f.size += sizeOfEvent(shown)
		}
		if changesKey(ev) {
			f.keys++
		}
		f.head = ev.Seq
	}
	f.trim()
	close(f.news)
	f.news = make(chan struct{})
}

// prepend takes events that were read from the log behind after, up to seq, where they reach to what the feed
// has, as far as there is room for them.
func (f *feed) prepend(after int64, events []*LogEvent, seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == 0 || after >= f.from || seq < f.from {
		return
	}
	n := sort.Search(len(events), func(i int) bool { return events[i].Seq > f.from })
	all := make([]*LogEvent, 0, 2*(n+len(f.events)))
	f.events = append(append(all, events[:n]...), f.events...)
	for _, e := range events[:n] {
		f.size += sizeOfEvent(e)
	}
	f.from = after
	f.trim()
}

func sizeOfEvent(e *LogEvent) int { return len(e.frame) + logEventOverhead }

// trim drops the oldest events beyond the feed's share of memory, but not the last one. What was dropped is
// let go of when the list grows next, so the memory is twice the share at most. f.mu must be held.
func (f *feed) trim() {
	share := min(feedBytes, feedsBytes/int(max(f.feeds.Load(), 1)))
	drop := 0
	for f.size > share && drop < len(f.events)-1 {
		f.from = f.events[drop].Seq
		f.size -= sizeOfEvent(f.events[drop])
		drop++
	}
	f.events = f.events[drop:]
}

// glimpse is what a feed shows to one who has seen all events up to some seq.
type glimpse struct {
	events []*LogEvent // those behind it
	seq    int64       // of the last event that is in events or a note among them
	whole  bool        // none is missing in between; else they are to be read from the log
	news   <-chan struct{}
}

func (f *feed) after(seq int64) (glimpse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := sort.Search(len(f.events), func(i int) bool { return f.events[i].Seq > seq })
	return glimpse{events: f.events[i:len(f.events):len(f.events)], seq: max(seq, f.head), whole: seq >= f.from, news: f.news}, f.err
}

// keyChanges counts up whenever a key of the exchange may have ceased to open it.
func (f *feed) keyChanges() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys
}
