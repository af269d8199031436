package send

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

var (
	// ErrFull is returned for a request that finds no room to wait. Nothing was done; later there may be.
	ErrFull = errors.New("too many requests wait to be sent")
	// ErrClosed is returned once the sender was closed.
	ErrClosed = errors.New("the sender is closed")
)

// Sender sends requests, many at once and few to each host. It is safe for concurrent use.
//
// What is known of a host decides how many of the places it can have: all of them for hosts that answered the last
// time (of which perHost for each), half for hosts never called, a quarter for those that did not answer, of which
// each has one. So however many receivers hang, others are not held up by them.
type Sender struct {
	attempt func(context.Context, notify.Request) Outcome
	hangUp  func() // ends the connections that nothing uses; nil for none
	context context.Context
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	lanes   map[string]*lane // of the hosts with requests under way or waiting
	turns   [classes][]*lane // those that could start a request, in their turn
	running [classes]int
	waiting int
	known   map[string]class // of hosts that were called before
}

// class is what is known of a host.
type class int

const (
	unknown   class = iota
	answering       // the last time, whatever it answered
	silent          // the last time
	classes
)

// places is how many requests may be under way at all hosts of a class, and at one of them.
var places = [classes]struct{ together, each int }{unknown: {atUnknown, perHost}, answering: {atOnce, perHost}, silent: {atSilent, 1}}

// lane is the requests to one host.
type lane struct {
	host    string
	class   class
	waiting []job
	running int
	inTurn  bool
}

type job struct {
	request notify.Request
	done    func(Outcome)
}

// New returns a sender that may call public addresses, and those in the networks that are allowed.
func New(allowed []netip.Prefix) *Sender {
	c := newCaller(allowed)
	s := newSender(c.attempt)
	s.hangUp = c.hangUp
	return s
}

func newSender(attempt func(context.Context, notify.Request) Outcome) *Sender {
	s := &Sender{attempt: attempt, lanes: map[string]*lane{}, known: map[string]class{}}
	s.context, s.stop = context.WithCancel(context.Background())
	return s
}

// Submit sends a request as soon as there is a place for it, and then calls done once, on a goroutine of its own. It
// does not wait. ErrFull or ErrClosed: done is not called.
func (s *Sender) Submit(r notify.Request, done func(Outcome)) error {
	host, err := hostOf(r.URL)
	if err != nil {
		host = "" // the attempt says so, in its turn
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	l := s.lanes[host]
	if s.waiting >= maxWaiting || l != nil && len(l.waiting) >= maxWaitingAtHost {
		return ErrFull
	}
	if l == nil {
		l = &lane{host: host, class: s.known[host]}
		s.lanes[host] = l
	}
	l.waiting = append(l.waiting, job{r, done})
	s.waiting++
	s.done.Add(1)
	s.queue(l)
	s.start()
	return nil
}

// Close ends what is under way and what waits, all of it with TryAgain, and returns when every done has returned.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.done.Wait()
	if s.hangUp != nil {
		s.hangUp()
	}
}

// queue puts a lane in turn, where it could start a request.
func (s *Sender) queue(l *lane) {
	if !l.inTurn && len(l.waiting) > 0 && l.running < places[l.class].each {
		l.inTurn = true
		s.turns[l.class] = append(s.turns[l.class], l)
	}
}

// start starts what there are places for, one of each lane in turn. Cost: for each request started, one step for
// each lane in turn and each request that waits for the same host.
func (s *Sender) start() {
	for c := range classes {
		for len(s.turns[c]) > 0 && s.running[c] < places[c].together && s.total() < atOnce {
			l, j := s.turns[c][0], s.turns[c][0].waiting[0]
			s.turns[c], l.inTurn = slices.Delete(s.turns[c], 0, 1), false
			l.waiting = slices.Delete(l.waiting, 0, 1)
			l.running++
			s.waiting--
			s.running[c]++
			s.queue(l)
			go s.run(l, c, j)
		}
	}
}

func (s *Sender) total() int {
	n := 0
	for _, r := range s.running {
		n += r
	}
	return n
}

// run is one attempt, and what follows from it.
func (s *Sender) run(l *lane, as class, j job) {
	defer s.done.Done()
	o := s.attempt(s.context, j.request)
	s.mu.Lock()
	s.running[as]--
	l.running--
	s.learn(l, o)
	s.queue(l)
	if l.running == 0 && len(l.waiting) == 0 {
		delete(s.lanes, l.host)
	}
	s.start()
	s.mu.Unlock()
	j.done(o)
}

// learn notes whether a host answered, and takes its lane out of turn if that makes a difference. Being closed
// says nothing about hosts.
func (s *Sender) learn(l *lane, o Outcome) {
	if s.closed {
		return
	}
	was := l.class
	l.class = silent
	if o.Status != 0 {
		l.class = answering
	}
	if l.inTurn && l.class != was {
		s.turns[was] = slices.DeleteFunc(s.turns[was], func(other *lane) bool { return other == l })
		l.inTurn = false
	}
	if _, there := s.known[l.host]; !there && len(s.known) >= maxKnown {
		for any := range s.known {
			delete(s.known, any)
			break
		}
	}
	s.known[l.host] = l.class
}
