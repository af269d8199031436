package exchange

import (
	"crypto/subtle"
	"maps"
	"slices"
	"time"
)

// Executor is one who may post and do requests. A *Executor handed out by a State is never changed
// afterwards.
type Executor struct {
	ID           string
	DisplayName  string
	Capabilities []string
	KeyHash      string // "" for one of the original server whose profile is gone: no key opens it
	CreatedAt    time.Time
	Notify       Hearing

	sorted  []string // its capabilities, where they are many
	removed bool     // it has left: nothing but its id and its dates is kept, and no State hands it out
}

// register is who is registered or was, in a state or in what a fork adds to it. Its maps are made when
// they are first needed, because most forks need none.
type register struct {
	executors map[string]*Executor
	ids       []string         // of all that ever were, in the order of registration
	keys      map[string]owner // by the hash of the key
	idle      map[string]bool  // who has caused no event since being registered; in a fork false for who has now
	shared    bool             // a frozen copy has the same maps
	hearers   hearers          // not counted in a fork
}

// owner is whose a key is. In a fork it may be nobody's any more that in its base is somebody's.
type owner struct {
	id     string
	nobody bool
}

// own makes the maps ready to be changed. Executors change rarely, so they are copied as a whole at the
// first change after a freeze.
func (r *register) own() {
	if r.shared {
		r.executors, r.keys, r.idle, r.shared = maps.Clone(r.executors), maps.Clone(r.keys), maps.Clone(r.idle), false
	}
	if r.executors == nil {
		r.executors, r.keys, r.idle = map[string]*Executor{}, map[string]owner{}, map[string]bool{}
	}
}

// opens reports whether the executor is the one whose key has its hash.
func (r *register) opens(e *Executor) bool {
	o, ok := r.keys[e.KeyHash]
	return ok && o.id == e.ID
}

// Executor returns the executor with that id. One who was removed is none.
func (s *State) Executor(id string) (*Executor, bool) {
	e, known := s.everKnown(id)
	if !known || e.removed {
		return nil, false
	}
	return e, true
}

// everKnown returns who has, or had, that id.
func (s *State) everKnown(id string) (*Executor, bool) {
	for ; s != nil; s = s.base {
		if e, ok := s.register.executors[id]; ok {
			return e, true
		}
	}
	return nil, false
}

// ExecutorByKeyHash returns whose API key has that hash.
func (s *State) ExecutorByKeyHash(hash string) (*Executor, bool) {
	if id, ok := s.ownerOf(hash); ok {
		if e, ok := s.Executor(id); ok && e.hasKey(hash) {
			return e, true
		}
	}
	return nil, false
}

func (s *State) ownerOf(hash string) (id string, ok bool) {
	for ; s != nil; s = s.base {
		if o, ok := s.register.keys[hash]; ok {
			return o.id, !o.nobody
		}
	}
	return "", false
}

func (e *Executor) hasKey(hash string) bool {
	return hash != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(e.KeyHash)) == 1
}

// Executors returns all executors, in the order of their registration.
func (s *State) Executors() []*Executor {
	list := []*Executor{}
	for _, id := range s.TakenIDs() {
		if e, ok := s.Executor(id); ok {
			list = append(list, e)
		}
	}
	return list
}

// TakenIDs returns the ids that no new executor may have, in the order of their registration: those of
// the executors there are, and of those who were removed. The list is not to be changed.
func (s *State) TakenIDs() []string {
	if s.base == nil {
		return s.register.ids
	}
	return slices.Concat(s.base.TakenIDs(), s.register.ids)
}

// putExecutor replaces an executor, or adds it as the last registered.
func (s *State) putExecutor(e *Executor) {
	r := &s.register
	r.own()
	e.sortCapabilities()
	before, known := s.everKnown(e.ID)
	if !known {
		r.ids = append(r.ids, e.ID)
	} else {
		s.formerly(before, e)
		if before.KeyHash != e.KeyHash {
			s.giveUp(before)
		}
	}
	if r.hearers.count(e, 1); known {
		r.hearers.count(before, -1)
	}
	r.executors[e.ID] = e
	// Two profiles of the original server may hold one hash (a copied file): it stays the first one's.
	if _, taken := s.ownerOf(e.KeyHash); !taken && e.KeyHash != "" {
		r.keys[e.KeyHash] = owner{id: e.ID}
	}
}

// giveUp makes the key of an executor nobody's, if it is this one's.
func (s *State) giveUp(e *Executor) {
	if id, ok := s.ownerOf(e.KeyHash); !ok || id != e.ID {
		return
	}
	if s.base == nil {
		delete(s.register.keys, e.KeyHash)
	} else {
		s.register.keys[e.KeyHash] = owner{nobody: true}
	}
}

// Idle reports whether an executor has caused no event since it was registered, which only this server's
// registrations tell.
func (s *State) Idle(id string) bool {
	for ; s != nil; s = s.base {
		if idle, known := s.register.idle[id]; known {
			return idle
		}
	}
	return false
}

// active notes that an executor has caused an event.
func (s *State) active(id string) {
	if !s.Idle(id) {
		return
	}
	s.register.own()
	if s.base == nil {
		delete(s.register.idle, id)
	} else {
		s.register.idle[id] = false
	}
}
