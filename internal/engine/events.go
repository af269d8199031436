package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// aliveEvery is how often Follow says that it is still there. Proxies cut connections on which nothing has
	// come for 30 or 60 seconds.
	aliveEvery = 15 * time.Second
	// mostScanned and pageBytes bound what one page of events costs: how many events are looked at for it, however
	// few of them a filter takes, and how many bytes it has, but for the last event.
	mostScanned = 10_000
	pageBytes   = 1 << 20
	// eventsAtOnce is how many events are read from the log for one who follows, and catchUps how many of those who
	// follow one exchange do so at once. eventRoom is the share of maxReading that a reader takes while it reads:
	// what the log gives at once, which may be a commit of the largest size.
	eventsAtOnce = 256
	catchUps     = 4
	eventRoom    = 16 << 20
)

// EventPage is a part of the log.
type EventPage struct {
	Events []*LogEvent
	Next   int64 // the after of the next page
	More   bool  // the log goes on behind Next
}

// Events returns the events behind seq after (NoSeq: the head) that f takes, at most limit of them, as of the
// head of the log. A page may hold fewer, and none at all, though there is more. Data of the original server
// has no seq and is not among them. CodeThreadNotFound where f names a thread that is not there.
func (e *Engine) Events(ctx context.Context, c Caller, f EventFilter, after int64, limit int) (*EventPage, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	f, after, head, err := x.begin(ctx, c, f, after)
	if err != nil {
		return nil, err
	}
	page := &EventPage{Next: after}
	if after < head {
		if err := x.fill(ctx, page, f, head, limit); err != nil {
			return nil, err
		}
	}
	page.More = page.Next < head
	return page, nil
}

// fill adds to a page the events behind its Next, up to head. The room for them is kept until ctx ends.
func (x *running) fill(ctx context.Context, page *EventPage, f EventFilter, head int64, limit int) error {
	soon, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := x.engine.acquire(ctx, soon, eventRoom); err != nil {
		return err
	}
	size := 0
	defer func() {
		kept := min(int64(size), eventRoom)
		x.engine.reading.Release(eventRoom - kept)
		context.AfterFunc(ctx, func() { x.engine.reading.Release(kept) })
	}()
	for scanned := 0; page.Next < head && len(page.Events) < limit && size < pageBytes && scanned < mostScanned; {
		events, seq, err := x.reread(ctx, soon, page.Next, min(mostScanned-scanned, max(eventsAtOnce, limit-len(page.Events))))
		if err != nil {
			return err
		}
		scanned += int(seq - page.Next)
		page.Next = seq
		for _, ev := range f.selects(events) {
			if len(page.Events) == limit || size >= pageBytes {
				page.Next = ev.Seq - 1 // this one is the next page's first
				break
			}
			page.Events = append(page.Events, ev)
			size += sizeOfEvent(ev)
		}
	}
	return nil
}

// begin brings the exchange to the head, and checks what a reader of events asks for. It returns the filter with
// its status spelled as events do, where the reading begins, and the head.
func (x *running) begin(ctx context.Context, c Caller, f EventFilter, after int64) (EventFilter, int64, int64, error) {
	if f.Status != "" {
		status, ok := exchange.ParseStatus(f.Status)
		if !ok {
			return f, 0, 0, refuse(exchange.CodeInvalid, "status: is none that a thread can have")
		}
		f.Status = status
	}
	var head int64
	err := x.read(ctx, c, func(s *exchange.State) error {
		head = x.machine.head
		if _, ok := s.Thread(f.Ref); f.Ref != "" && !ok {
			return refuse(exchange.CodeThreadNotFound, "Thread not found")
		}
		if after > head {
			return refuse(exchange.CodeInvalid, fmt.Sprintf("since: there is no event %d yet; the last one is %d", after, head))
		}
		return nil
	})
	if after == NoSeq {
		after = head
	}
	return f, after, head, err
}

// reread reads events from the log, in the time that soon leaves, and says up to which seq that is.
func (x *running) reread(ctx, soon context.Context, after int64, limit int) ([]*LogEvent, int64, error) {
	read, err := x.log.Events(soon, after, limit)
	if errors.Is(err, eventlog.ErrDamaged) {
		return nil, 0, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
	}
	if err != nil {
		return nil, 0, x.engine.unreadable(ctx, err)
	}
	events := make([]*LogEvent, 0, len(read))
	for _, ev := range read {
		shown, err := showEvent(x.id, ev)
		if err != nil {
			return nil, 0, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
		}
		if shown != nil {
			events = append(events, shown)
		}
		after = ev.Seq
	}
	return events, after, nil
}

// EventBatch is what one who follows an exchange is told at once.
type EventBatch struct {
	Events []*LogEvent // none: nothing has come for a while
	Seq    int64       // no event up to it is still to come
}

// Follow calls deliver with the events behind seq after (NoSeq: the head) that f takes, all that there are and
// then each as it comes, in order and none twice; first of all without any, once it is clear that it can, and
// then whenever nothing has come for aliveEvery. It returns when deliver fails, with its error; when the caller's
// key ceases to open the exchange, CodeUnauthorized; when the log can't be read; when ctx ends; and nil when the
// server stops. Who comes back goes on behind the last event that was delivered.
//
// Events come from the exchange's feed, where each is encoded once for everybody, and from the log for who is
// behind that. So deliver may take its time: it holds up nobody else.
func (e *Engine) Follow(ctx context.Context, c Caller, f EventFilter, after int64, deliver func(EventBatch) error) error {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	defer x.follow()()
	defer x.joinFeed()()
	keys := x.machine.feed.keyChanges()
	f, after, _, err = x.begin(ctx, c, f, after)
	if err != nil {
		return err
	}
	if err := deliver(EventBatch{Seq: after}); err != nil {
		return err
	}
	e.streams.Add(1)
	defer e.streams.Add(-1)
	s := &follower{x: x, caller: c, filter: f, seq: after, keys: keys, deliver: deliver}
	alive := time.NewTimer(aliveEvery)
	defer alive.Stop()
	for {
		news, delivered, err := s.advance(ctx)
		if err != nil {
			return err
		}
		if delivered {
			alive.Reset(aliveEvery)
		}
		select {
		case <-news:
		case <-alive.C:
			if err := deliver(EventBatch{Seq: s.seq}); err != nil {
				return err
			}
			alive.Reset(aliveEvery)
		case <-e.released:
			return nil
		case <-e.closing:
			return errClosing()
		case <-ctx.Done():
			return e.unreadable(ctx, ctx.Err())
		}
	}
}

// joinFeed counts in one who follows; leave is to be called at the end.
func (x *running) joinFeed() (leave func()) {
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	x.machine.feed.join(x.machine.head)
	return x.machine.feed.leave
}

// follower is one call of Follow.
type follower struct {
	x       *running
	caller  Caller
	filter  EventFilter
	seq     int64 // no event up to it is still to be delivered
	keys    int   // changes of keys after which the caller's was known to hold
	deliver func(EventBatch) error
}

// advance delivers all there is, and returns what tells of more.
func (s *follower) advance(ctx context.Context) (news <-chan struct{}, delivered bool, err error) {
	for {
		g, err := s.x.machine.feed.after(s.seq)
		if err != nil {
			return nil, delivered, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
		}
		var some bool
		if g.whole {
			some, err = s.pass(g.events, g.seq)
		} else {
			some, err = s.catchUp(ctx)
		}
		delivered = delivered || some
		if g.whole || err != nil {
			return g.news, delivered, err
		}
		select {
		case <-s.x.engine.released: // the rest of a long way is for the next call
			return g.news, delivered, nil
		default:
		}
	}
}

// catchUp delivers the next events from the log. It waits for its turn: many may come back at once, as after a
// restart, and what the first of them reads is in the feed for the others.
func (s *follower) catchUp(ctx context.Context) (delivered bool, err error) {
	feed, e := &s.x.machine.feed, s.x.engine
	select {
	case feed.turns <- struct{}{}:
	case <-e.released:
		return false, nil
	case <-ctx.Done():
		return false, e.unreadable(ctx, ctx.Err())
	}
	turn := sync.OnceFunc(func() { <-feed.turns })
	defer turn()
	if g, _ := feed.after(s.seq); g.whole {
		return false, nil
	}
	soon, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := e.acquire(ctx, soon, eventRoom); err != nil {
		return false, err
	}
	events, seq, err := s.x.reread(ctx, soon, s.seq, eventsAtOnce)
	kept := int64(0)
	for _, ev := range events {
		kept += int64(sizeOfEvent(ev))
	}
	kept = min(kept, eventRoom)
	e.reading.Release(eventRoom - kept)
	defer e.reading.Release(kept) // when they are sent
	if err != nil {
		return false, err
	}
	feed.prepend(s.seq, events, seq)
	turn()
	return s.pass(events, seq)
}

// pass delivers what the filter takes of the events up to seq, if the caller's key still holds. A key that was
// changed by one of them, or by one before them, does not: the state is never behind the events.
func (s *follower) pass(events []*LogEvent, seq int64) (delivered bool, err error) {
	if keys := s.x.machine.feed.keyChanges(); keys != s.keys {
		if !s.x.opens(s.caller) {
			return false, errUnauthorized()
		}
		s.keys = keys
	}
	s.seq = seq
	taken := s.filter.selects(events)
	if len(taken) == 0 {
		return false, nil
	}
	return true, s.deliver(EventBatch{Events: taken, Seq: seq})
}

// opens reports whether a caller's key holds, as far as this replica knows.
func (x *running) opens(c Caller) bool {
	x.machine.mu.RLock()
	defer x.machine.mu.RUnlock()
	return holds(x.machine.state, c.Caller)
}
