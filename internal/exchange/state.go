package exchange

import "time"

// State is everything that an exchange's events say. It is not safe for concurrent use: Apply must
// not run beside anything else but the use of what Freeze returned.
//
// A fork holds only what was changed in it, and finds the rest in its base.
type State struct {
	base     *State  // nil but in a fork
	table    *table  // nil in a fork
	changed  overlay // empty but in a fork
	register register
	readOnly string
}

// New returns the state before any event.
func New() *State { return &State{table: newTable()} }

// ReadOnly returns the first event type that this version does not know, or "".
func (s *State) ReadOnly() string { return s.readOnly }

// IsFork reports whether s is a fork, which knows nothing of the past of threads (History, Imported).
func (s *State) IsFork() bool { return s.base != nil }

// Len returns the number of threads. s must not be a fork.
func (s *State) Len() int { return int(s.table.slots.len()) }

// Thread returns the thread with that ref.
func (s *State) Thread(ref string) (Thread, bool) {
	for ; s.base != nil; s = s.base {
		if t, ok := s.changed.thread(ref); ok {
			return t, true
		}
	}
	number, _ := s.table.find(ref)
	if number == 0 {
		return Thread{}, false
	}
	return s.table.thread(number), true
}

// Messages returns where the log has the messages of a thread, the oldest first. Those of an import have one
// place, repeated for each of them: they are in that event in their order (MessagesOf).
func (s *State) Messages(ref string) []At {
	if s.base != nil {
		return append(s.base.Messages(ref), s.changed.said[ref]...)
	}
	number, _ := s.table.find(ref)
	return s.table.said(number)
}

// put makes t the newest thread. Its messages stay as they are.
func (s *State) put(t *Thread) {
	if s.base != nil {
		s.changed.put(*t, s.nextPlace(t.Seq))
	} else {
		s.table.put(t, s.nextPlace(t.Seq))
	}
}

// nextPlace is the place of an update by an event with that seq. One that no log could hold, since it is not
// greater than the one before, counts as the next.
func (s *State) nextPlace(seq int64) int64 {
	last := s.newest()
	if seq > max(last, 0) && seq <= lastPlace {
		return seq
	}
	return last + 1
}

// newest is the place of the thread that was updated last, firstPlace where there is none.
func (s *State) newest() int64 {
	for ; s.base != nil; s = s.base {
		if n := len(s.changed.list); n > 0 {
			return s.changed.list[n-1].place
		}
	}
	return s.table.slots.at(s.table.recent.newest).place
}

// LastUpdate is when the thread that was updated last was; zero where there is none.
func (s *State) LastUpdate() time.Time {
	for ; s.base != nil; s = s.base {
		if n := len(s.changed.list); n > 0 {
			return s.changed.list[n-1].UpdatedAt
		}
	}
	if newest := s.table.recent.newest; newest != 0 {
		return fromMillis(s.table.slots.at(newest).updated)
	}
	return time.Time{}
}

// putMessage does the same, with one more message.
func (s *State) putMessage(t *Thread, at At) {
	if s.base != nil {
		t.Messages++
		s.changed.put(*t, s.nextPlace(t.Seq))
		s.changed.say(t.Ref, at)
	} else {
		s.table.say(s.table.put(t, s.nextPlace(t.Seq)), at)
	}
}

// putImported does the same for one that was imported, with t.Messages of them in the event at that place.
func (s *State) putImported(t *Thread, at At) {
	if s.base == nil {
		s.table.sayImported(s.table.put(t, s.nextPlace(t.Seq)), at, uint32(t.Messages))
		return
	}
	s.changed.put(*t, s.nextPlace(t.Seq))
	for range t.Messages {
		s.changed.say(t.Ref, at)
	}
}

// putStatus makes t the newest thread, with a status that was just set.
func (s *State) putStatus(t *Thread) {
	if s.base != nil {
		s.changed.put(*t, s.nextPlace(t.Seq))
	} else {
		s.table.turned(s.table.put(t, s.nextPlace(t.Seq)))
	}
}

// LastEvent returns the time of the last event that the actor caused; zero for none. Notes do not
// count.
func (s *State) LastEvent(actor string) time.Time {
	for ; s.base != nil; s = s.base {
		if ts, ok := s.changed.seen[actor]; ok {
			return ts
		}
	}
	n := &s.table.names
	if ms := n.seen[n.numbers[actor]]; ms != never {
		return fromMillis(ms)
	}
	return time.Time{}
}

func (s *State) see(actor string, ts time.Time) {
	if actor == "" {
		return
	}
	if s.base != nil {
		s.changed.see(actor, ts)
	} else {
		n := &s.table.names
		n.seen[n.number(actor)] = ts.UnixMilli()
	}
}
