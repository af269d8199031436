package exchange

import "math"

// said is where a message stands in the log: 28 bytes. Those of an imported thread stand in one event, so
// they share one record, the first of their thread.
type said struct {
	at     At
	before uint32 // the thread's message before this one; of an import, inImport and how many messages it holds
}

// inImport marks the record of an import.
const inImport = 1 << 31

// say adds a message to a thread.
func (t *table) say(number uint32, at At) {
	s := t.slots.change(number)
	s.message = t.messages.add(said{at: at, before: s.message})
	s.messages++
}

// sayImported adds the messages of an import to a thread that has none.
func (t *table) sayImported(number uint32, at At, messages uint32) {
	s := t.slots.change(number)
	s.message = t.messages.add(said{at: at, before: inImport | messages})
	s.messages = messages
}

// said returns where the messages of a thread are, the oldest first.
func (t *table) said(number uint32) []At {
	s := t.slots.at(number)
	all := make([]At, s.messages)
	m := s.message
	for i := len(all) - 1; i >= 0; i-- {
		one := t.messages.at(m)
		all[i] = one.at
		if one.before&inImport == 0 {
			m = one.before
		} // else it holds the rest
	}
	return all
}

// imported returns the record of the import that a thread came with, 0 for one that was made here.
func (t *table) imported(number uint32) uint32 {
	for m := t.slots.at(number).message; m != 0; {
		before := t.messages.at(m).before
		if before&inImport != 0 {
			return m
		}
		m = before
	}
	return 0
}

// Imported returns where the log has the thread_imported event that a thread came with; false for one that
// was made here. s must not be a fork. Cost: the messages since.
func (s *State) Imported(ref string) (At, bool) {
	number, _ := s.table.find(ref)
	m := s.table.imported(number)
	return s.table.messages.at(m).at, m != 0
}

// records appends a thread's records, the newest first, and returns how many messages the last of them
// holds where it is an import.
func (t *table) records(all []At, s *slot) (_ []At, inOne uint32, isImport bool) {
	for m := s.message; m != 0; {
		one := t.messages.at(m)
		all = append(all, one.at)
		if one.before&inImport != 0 {
			return all, one.before &^ inImport, true
		}
		m = one.before
	}
	return all, 0, false
}

// importedThread is how many messages of a thread came in one event, with its place in the encoding.
type importedThread struct {
	thread   uint64
	messages uint32
}

// imports writes the number of imported threads; for each, in the order of the threads, which of them
// (from 1) less that of the one before, and how many messages came with it.
func (e *encoder) imports(all []importedThread) {
	e.number(uint64(len(all)))
	var before uint64
	for _, one := range all {
		e.number(one.thread - before)
		e.number(uint64(one.messages))
		before = one.thread
		e.flush(flushAt)
	}
}

// imports reads what encoder.imports wrote.
func (d *decoder) imports(t *table) {
	var thread uint64
	for count := d.number(); count > 0 && d.err == nil; count-- {
		step := d.number()
		last := uint64(t.slots.len() - 1)
		if d.err == nil && (step == 0 || step > last-thread) {
			d.fail("an import of thread %d and %d more, of %d", thread, step, last)
		}
		messages := d.small()
		if d.err == nil && messages >= inImport {
			d.fail("an import with %d messages", messages)
		}
		if d.err != nil {
			return
		}
		thread += step
		s := t.slots.change(uint32(thread))
		if s.messages == 0 {
			d.fail("an import without its place")
			return
		}
		oldest := s.message
		for before := t.messages.at(oldest).before; before != 0; before = t.messages.at(oldest).before {
			oldest = before
		}
		t.messages.change(oldest).before = inImport | messages
		s.messages += messages - 1
	}
}

// small reads a number of 32 bits.
func (d *decoder) small() uint32 {
	n := d.number()
	if n > math.MaxUint32 {
		d.fail("the number %d", n)
		return 0
	}
	return uint32(n)
}
