package exchange

import (
	"hash/maphash"
)

// slot is a thread in the table: 96 bytes without a pointer. The number of a thread is that of its
// slot and stays the same; 0 is none.
type slot struct {
	created, updated int64  // Unix milliseconds
	place            int64  // in the order of updates
	text             textAt // of its ref and its intent
	status, statusBy uint32 // names, as the three below
	requestor        uint32
	executor         uint32
	priority         uint32
	links            [listsOfEach]link // its neighbours in each list
	message          uint32            // its last message
	messages         uint32
	turn             uint32 // its last change of status
}

// Pages of this many slots and messages fill a size class of the allocator to the last byte, and the
// copy of a page after a freeze is a matter of microseconds.
const (
	slotShift = 8  // 256 × 96 bytes
	saidShift = 10 // 1024 × 28 bytes
)

// table holds the threads of a state. None is ever removed. Numbers have 32 bits: 4 billion threads
// or messages don't fit into the memory of a machine that runs this.
type table struct {
	slots       pages[slot]
	messages    pages[said]
	turns       pages[turn]
	texts       arena
	names       names
	index       index
	recent      chain
	byStatus    [statusClasses][priorityClasses]chain
	people      []person // by the number of the name
	demands     demands
	terms       sparse
	deadlines   deadlines
	answers     answers
	outbox      outbox
	attachments pages[uint64] // hashes of the keys that events have named
	scratch     []byte
}

func newTable() *table {
	t := &table{
		slots: newPages[slot](slotShift), messages: newPages[said](saidShift), turns: newPages[turn](turnShift), names: newNames(),
		index: newIndex(), attachments: newPages[uint64](attachmentShift), outbox: outbox{delivered: newDelivered()},
	}
	t.deadlines = deadlines{table: t, place: map[uint32]int{}}
	t.slots.add(slot{place: firstPlace}) // 0 is none
	t.messages.add(said{})
	t.turns.add(turn{})
	return t
}

// find returns the number of a thread, 0 for none, and the hash of its ref.
func (t *table) find(ref string) (number uint32, hash uint64) {
	hash = maphash.String(t.index.seed, ref)
	return t.index.find(hash, func(n uint32) bool { return t.ref(n) == ref }), hash
}

// findBytes is find for a ref that is no string yet.
func (t *table) findBytes(ref []byte) (number uint32, hash uint64) {
	hash = maphash.Bytes(t.index.seed, ref) // the same as of the string
	return t.index.find(hash, func(n uint32) bool { return t.ref(n) == string(ref) }), hash
}

func (t *table) ref(number uint32) string { return t.texts.ref(t.slots.at(number).text) }

// thread returns a thread as it is shown.
func (t *table) thread(number uint32) Thread {
	s := t.slots.at(number)
	ref, intent := t.texts.both(s.text)
	name := t.names.list
	return Thread{
		Ref: ref, Intent: intent, Status: name[s.status], StatusBy: name[s.statusBy],
		Requestor: name[s.requestor], Executor: name[s.executor], Priority: name[s.priority],
		CreatedAt: fromMillis(s.created), UpdatedAt: fromMillis(s.updated), Seq: max(s.place, 0), Messages: int(s.messages),
	}
}

// put makes th the newest thread, at that place, and its state in the table all but its messages. It returns
// its number.
func (t *table) put(th *Thread, place int64) uint32 {
	number, hash := t.find(th.Ref)
	if number == 0 {
		t.scratch = appendEntry(t.scratch[:0], th.Ref, th.Intent)
		s := slot{text: t.texts.add(t.scratch), place: place}
		t.restate(&s, th)
		number = t.add(s, hash)
	} else {
		t.leave(number)
		s := t.slots.change(number)
		if _, intent := t.texts.both(s.text); intent != th.Intent { // in old data only
			t.scratch = appendEntry(t.scratch[:0], th.Ref, th.Intent)
			s.text = t.texts.add(t.scratch)
		}
		s.place = place
		t.restate(s, th)
		t.enter(number)
	}
	t.schedule(number)
	t.trim()
	return number
}

// restate makes a slot that is in no list say what th does, but for its texts and its messages.
func (t *table) restate(s *slot, th *Thread) {
	s.created, s.updated = th.CreatedAt.UnixMilli(), th.UpdatedAt.UnixMilli()
	t.names.set(&s.status, th.Status)
	t.names.set(&s.statusBy, th.StatusBy)
	t.names.set(&s.requestor, th.Requestor)
	t.names.set(&s.executor, th.Executor)
	t.names.set(&s.priority, th.Priority)
}

// Places number the updates in their order, so that each thread has one of its own. This server's events
// have theirs, their seq. Those of the original server count up from firstPlace and stay negative.
const (
	firstPlace = -1 << 62
	lastPlace  = 1 << 62
)

// setTerms replaces the terms of a thread, which are not changed any more; nil for none. The thread is newer
// than all that have the same demand by then.
func (t *table) setTerms(number uint32, terms *Terms) {
	if t.waits(number) && t.terms.at(number).demand() != terms.demand() {
		t.demandAnew(number, terms)
	} else {
		t.terms.set(number, terms)
	}
	t.schedule(number)
}

// schedule holds a thread among those that expire just while it is pending and has a time for it. It is to
// be called whenever one of the two may have changed.
func (t *table) schedule(number uint32) {
	terms := t.terms.at(number)
	if terms != nil && !terms.NeededBy.IsZero() && t.names.list[t.slots.at(number).status] == StatusPending {
		t.deadlines.add(number, terms.NeededBy.UnixMilli())
	} else {
		t.deadlines.remove(number)
	}
}

// trim lets go of the room for a long text.
func (t *table) trim() {
	if cap(t.scratch) > mostChunk {
		t.scratch = nil
	}
}

// add appends a thread that is not in the table, as the newest. hash is that of its ref.
func (t *table) add(s slot, hash uint64) uint32 {
	number := t.slots.add(s)
	t.index.add(hash, number)
	t.enter(number)
	return number
}

// freeze returns a copy for reading in the order of updates. It has no index, no other lists and no deadlines.
func (t *table) freeze() *table {
	return &table{
		slots: t.slots.freeze(), messages: t.messages.freeze(), turns: t.turns.freeze(), texts: t.texts.freeze(), names: t.names.freeze(),
		recent: chain{newest: t.recent.newest, oldest: t.recent.oldest, count: t.recent.count},
		terms:  t.terms.freeze(), answers: t.answers.freeze(), attachments: t.attachments.freeze(), outbox: t.outbox.freeze(),
	}
}
