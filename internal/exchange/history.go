package exchange

import "time"

// Change is one of a thread's status, as the history of an exported thread tells it.
type Change struct {
	Status   string
	By       string
	At       time.Time
	Messages int // how many the thread had before it, so that the next one may have come with it
}

// turn is a Change in the table: 24 bytes. The log has it all, but who asks for the history of one thread must
// not have to read what was said about others.
type turn struct {
	at         int64 // Unix milliseconds
	status, by uint32
	messages   uint32
	before     uint32 // the thread's turn before this one
}

// turnShift: a page of this many turns fills a size class of the allocator.
const turnShift = 10 // 1024 × 24 bytes

// History returns the changes of a thread's status, the oldest first, from its creation or import on. s must
// not be a fork, which keeps none: nothing is decided by it.
func (s *State) History(ref string) []Change {
	number, _ := s.table.find(ref)
	all := s.table.history(number)
	changes := make([]Change, len(all))
	for i, one := range all {
		name := s.table.names.list
		changes[i] = Change{Status: name[one.status], By: name[one.by], At: fromMillis(one.at), Messages: int(one.messages)}
	}
	return changes
}

// turned notes that a thread's status was set.
func (t *table) turned(number uint32) {
	s := t.slots.change(number)
	s.turn = t.turns.add(turn{at: s.updated, status: s.status, by: s.statusBy, messages: s.messages, before: s.turn})
}

// history returns a thread's turns, the oldest first.
func (t *table) history(number uint32) []turn {
	count := 0
	for n := t.slots.at(number).turn; n != 0; n = t.turns.at(n).before {
		count++
	}
	all := make([]turn, count)
	for n := t.slots.at(number).turn; n != 0; n = t.turns.at(n).before {
		count--
		all[count] = *t.turns.at(n)
	}
	return all
}

// history writes, for each thread in the order of the threads, the number of its turns and, from the oldest,
// the time of each less that of the one before, or than that of its creation, the names of the status and of
// who set it, and the number of messages before it.
func (e *encoder) history(t *table) {
	for number := t.recent.oldest; number != 0 && e.err == nil; {
		s := t.slots.at(number)
		all := t.history(number)
		e.number(uint64(len(all)))
		before := s.created
		for _, one := range all {
			e.signed(one.at - before)
			e.number(uint64(one.status))
			e.number(uint64(one.by))
			e.number(uint64(one.messages))
			before = one.at
		}
		e.flush(flushAt)
		number = s.links[ofAll].newer
	}
}

// history reads what encoder.history wrote; the threads have their numbers in that order.
func (d *decoder) history(t *table) {
	for number := uint32(1); number < t.slots.len() && d.err == nil; number++ {
		before := t.slots.at(number).created
		for count := d.number(); count > 0 && d.err == nil; count-- {
			one := turn{at: before + d.signed(), status: d.name(&t.names), by: d.name(&t.names), messages: d.small(), before: t.slots.at(number).turn}
			if one.status == 0 {
				d.fail("a change to no status")
			}
			if d.err != nil {
				return
			}
			t.slots.change(number).turn = t.turns.add(one)
			before = one.at
		}
	}
}
