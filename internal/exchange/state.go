package exchange

import (
	"crypto/subtle"
	"encoding/json"
	"slices"
	"time"
)

// Thread is a request and all that was said about it. A *Thread handed out by a State is never
// changed afterwards.
type Thread struct {
	Ref       string
	Status    string // one of the Status constants; any text in data of the original server
	StatusBy  string // who set Status; the requestor of a new thread
	Intent    string
	Requestor string
	Executor  string // "" while nobody has claimed
	Priority  string
	CreatedAt time.Time
	UpdatedAt time.Time
	Seq       int64 // of the last event that changed it; breaks ties of UpdatedAt
	Messages  []Message
}

// Message is one entry of a thread.
type Message struct {
	From string
	TS   time.Time
	Mess json.RawMessage // a JSON list of blocks, exactly as sent
}

// Executor is one who may post and do requests. A *Executor handed out by a State is never changed
// afterwards.
type Executor struct {
	ID           string
	DisplayName  string
	Capabilities []string
	KeyHash      string // "" for one of the original server whose profile is gone: no key opens it
	CreatedAt    time.Time
}

// Filter selects threads for a list.
type Filter struct {
	Status string // "" for all; any accepted spelling
	Limit  int    // 0 for all
}

// State is everything that an exchange's events say. It is not safe for concurrent use: Apply must
// not run beside anything else.
//
// A fork holds only what was changed in it, and finds the rest in its base.
type State struct {
	base *State // nil but in a fork

	threads  map[string]*node // by ref
	recent   order
	byStatus map[string]*order // no empty ones, since old data may hold any number of statuses

	executors  map[string]*Executor
	registered []string          // ids, in the order of registration
	keys       map[string]string // key hash → executor id; an entry counts while that executor has that hash
	lastEvent  map[string]time.Time

	readOnly string
}

// New returns the state before any event.
func New() *State {
	return &State{
		threads:   map[string]*node{},
		recent:    order{links: allLinks},
		byStatus:  map[string]*order{},
		executors: map[string]*Executor{},
		keys:      map[string]string{},
		lastEvent: map[string]time.Time{},
	}
}

// Fork returns a state that starts as s and can be changed without changing s, at a cost that does
// not depend on the size of s. s must not change while the fork is in use.
func (s *State) Fork() *State {
	f := New()
	f.base = s
	f.readOnly = s.readOnly
	return f
}

// ReadOnly returns the first event type that this version does not know, or "".
func (s *State) ReadOnly() string { return s.readOnly }

// Thread returns the thread with that ref.
func (s *State) Thread(ref string) (*Thread, bool) {
	for ; s != nil; s = s.base {
		if n, ok := s.threads[ref]; ok {
			return n.thread, true
		}
	}
	return nil, false
}

// Threads returns threads, the last updated first. Cost: the threads returned (and in a fork, those
// changed in it).
func (s *State) Threads(f Filter) []*Thread {
	list := []*Thread{}
	s.each(canonical(f.Status), func(t *Thread) bool {
		list = append(list, t)
		return len(list) != f.Limit
	})
	return list
}

// each yields the threads of a status ("" for all) in the order of lists, until yield returns false.
// What a fork changed is newer than all of its base.
func (s *State) each(status string, yield func(*Thread) bool) bool {
	o := &s.recent
	if status != "" {
		o = s.byStatus[status]
	}
	if o != nil {
		for n := o.newest; n != nil; n = o.links(n).older {
			if !yield(n.thread) {
				return false
			}
		}
	}
	if s.base == nil {
		return true
	}
	return s.base.each(status, func(t *Thread) bool {
		if _, changed := s.threads[t.Ref]; changed {
			return true
		}
		return yield(t)
	})
}

// put makes t the newest thread.
func (s *State) put(t *Thread) {
	n, ok := s.threads[t.Ref]
	if ok {
		s.recent.remove(n)
		if o := s.byStatus[n.thread.Status]; o.newest == n && n.byStatus.older == nil {
			delete(s.byStatus, n.thread.Status)
		} else {
			o.remove(n)
		}
	} else {
		n = &node{}
		s.threads[t.Ref] = n
	}
	n.thread = t
	n.byStatus = link{}
	s.recent.pushFront(n)
	o, ok := s.byStatus[t.Status]
	if !ok {
		o = &order{links: statusLinks}
		s.byStatus[t.Status] = o
	}
	o.pushFront(n)
}

// Executor returns the executor with that id.
func (s *State) Executor(id string) (*Executor, bool) {
	for ; s != nil; s = s.base {
		if e, ok := s.executors[id]; ok {
			return e, true
		}
	}
	return nil, false
}

// ExecutorByKeyHash returns whose API key has that hash.
func (s *State) ExecutorByKeyHash(hash string) (*Executor, bool) {
	for level := s; level != nil; level = level.base {
		if id, ok := level.keys[hash]; ok {
			// The entry of a base is out of date where a fork gave its executor another key.
			if e, ok := s.Executor(id); ok && e.hasKey(hash) {
				return e, true
			}
		}
	}
	return nil, false
}

func (e *Executor) hasKey(hash string) bool {
	return hash != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(e.KeyHash)) == 1
}

// Executors returns all executors, in the order of their registration.
func (s *State) Executors() []*Executor {
	list := []*Executor{}
	for _, id := range s.ids() {
		e, _ := s.Executor(id)
		list = append(list, e)
	}
	return list
}

func (s *State) ids() []string {
	if s.base == nil {
		return s.registered
	}
	return slices.Concat(s.base.ids(), s.registered)
}

// putExecutor replaces an executor, or adds it as the last registered.
func (s *State) putExecutor(e *Executor) {
	before, known := s.Executor(e.ID)
	if !known {
		s.registered = append(s.registered, e.ID)
	} else if before.KeyHash != e.KeyHash && s.keys[before.KeyHash] == e.ID {
		delete(s.keys, before.KeyHash)
	}
	s.executors[e.ID] = e
	// Two profiles of the original server may hold one hash (a copied file): it stays the first one's.
	if _, taken := s.ExecutorByKeyHash(e.KeyHash); !taken && e.KeyHash != "" {
		s.keys[e.KeyHash] = e.ID
	}
}

// LastEvent returns the time of the last event that the actor caused; zero for none. Notes do not
// count.
func (s *State) LastEvent(actor string) time.Time {
	for ; s != nil; s = s.base {
		if ts, ok := s.lastEvent[actor]; ok {
			return ts
		}
	}
	return time.Time{}
}
