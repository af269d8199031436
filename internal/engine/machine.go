package engine

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// machine is the state of one exchange, driven by its log and read by everyone. It holds durable
// events only: decisions are made on forks of it.
type machine struct {
	applied func([]eventlog.Event) // told each commit; nil for nobody

	mu      sync.RWMutex // held for reading by readers, for writing by Apply
	state   *exchange.State
	head    int64               // seq of the last event
	telling int64               // seq of the last event that wakes waiters
	news    chan struct{}       // closed at the next such event; nil while nobody waits
	opened  time.Time           // ts of the genesis event
	adopted map[string]struct{} // ids of executors that the original server registered

	exchange string
	bodies   *bodies // of the threads that are written to; not used before live is set
	live     bool

	feed  feed  // for those who follow the exchange
	waits waits // those who wait for a thread

	outbox   func(*exchange.State)       // told after each commit, and at first; must not wait; nil for nobody
	deadline func(at time.Time, ok bool) // told when the next deadline of a thread changes; nil for nobody
	due      time.Time                   // what it was told last
	waiting  bool
}

func newMachine(exchangeID string, b *bodies) *machine {
	return &machine{state: exchange.New(), exchange: exchangeID, bodies: b, feed: feed{feeds: new(atomic.Int64), turns: make(chan struct{}, catchUps)}}
}

// goLive ends the replay. What is written from now on is likely to be read soon.
func (m *machine) goLive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = true
	m.await()
}

// Apply folds one durable commit, as eventlog.Machine says.
func (m *machine) Apply(events []eventlog.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.telling
	for _, ev := range events {
		m.state.Apply(exchange.Event(ev))
		if m.live && ev.Type == exchange.MessageAdded {
			m.keepBody(ev)
		}
		m.head = max(m.head, ev.Seq)
		if !strings.HasPrefix(ev.Type, exchange.NotePrefix) {
			m.telling = max(m.telling, ev.Seq)
		}
		if ev.Type == exchange.ExchangeOpened {
			m.opened, m.adopted = ev.TS, adoptedIn(ev.Payload)
		}
	}
	if m.telling > before && m.news != nil {
		close(m.news)
		m.news = nil
	}
	m.feed.add(m.exchange, events)
	m.waits.wake(events)
	if m.live {
		m.await()
	}
	if m.applied != nil {
		m.applied(events)
	}
}

// keepBody keeps the message that was just applied for who reads its thread next. m.mu must be held.
func (m *machine) keepBody(ev eventlog.Event) {
	if t, ok := m.state.Thread(ev.Thread); ok {
		m.bodies.add(threadName{m.exchange, ev.Thread}, t.Messages, messageOf(ev))
	}
}

// adoptedIn returns the ids in the executors object of a genesis event.
func adoptedIn(payload json.RawMessage) map[string]struct{} {
	var genesis struct {
		Executors map[string]json.RawMessage `json:"executors"`
	}
	// A genesis without that object, or with another shape of it, has adopted nobody.
	_ = json.Unmarshal(payload, &genesis)
	ids := make(map[string]struct{}, len(genesis.Executors))
	for id := range genesis.Executors {
		ids[id] = struct{}{}
	}
	return ids
}

// Fork returns a state to decide a batch on, as eventlog.Machine says. It needs no lock for the
// life of the fork: only Apply writes, and the log does not call it before the batch is decided.
func (m *machine) Fork() eventlog.Tentative {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return tentative{m.state.Fork()}
}

// tentative is a state with undecided events in it.
type tentative struct{ state *exchange.State }

func (t tentative) Apply(ev eventlog.Event) { t.state.Apply(exchange.Event(ev)) }

// decision lets the log decide a command of the rules. Beside a refusal there may be events (what had come
// due): they are committed like any, and the refusal leaves once they are durable.
type decision struct {
	command exchange.Command
	refusal *exchange.Error // of the last Decide
	drafts  int             // how many it gave
}

func (d *decision) Decide(on eventlog.Tentative, now time.Time) []eventlog.Draft {
	var drafts []exchange.Draft
	drafts, d.refusal = d.command.Decide(on.(tentative).state, now)
	d.drafts = len(drafts)
	out := make([]eventlog.Draft, len(drafts))
	for i, draft := range drafts {
		out[i] = eventlog.Draft(draft)
	}
	return out
}

// whose returns the executor whose key has that hash. What is looked up is a hash, which nobody can
// choose by choosing keys; the comparison in constant time keeps it safe whatever the index becomes.
func whose(s *exchange.State, hash string) (*exchange.Executor, bool) {
	x, ok := s.ExecutorByKeyHash(hash)
	if !ok || !auth.EqualHash(x.KeyHash, hash) {
		return nil, false
	}
	return x, true
}

// holds reports whether the caller's key still is that executor's.
func holds(s *exchange.State, c exchange.Caller) bool {
	x, ok := whose(s, c.KeyHash)
	return ok && x.ID == c.Executor
}
