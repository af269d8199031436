package exchange

import (
	"encoding/binary"
	"io"
	"slices"
)

// Version names what Apply makes of events and how Encode writes it. A snapshot is of use to its own
// version only, so it is to be raised with every change of either.
const Version = "4"

// The encoding, by which Decode goes too. Numbers are varints, those that may be negative zigzag
// ones; a text is its length and its bytes.
//
//	text      the event type that made the state read-only, or an empty one
//	number    of names, but for the empty one; for each, in the order of their numbers:
//	          text, and when it last caused an event: 0 for never, or 1 and the time
//	number    of executors; for each, in the order of registration:
//	          text id, text display name, number and texts of the capabilities, text key hash,
//	          time of creation, 1 where the key hash is this executor's and 0 where it is another's or empty,
//	          1 where the executor was removed, what is known of its notifications as bits: 1 anything, 2 channels, 4 hooks
//	number    of threads; for each, from the oldest updated to the newest:
//	          text ref, text intent, time of the update less that of the thread before, time of creation
//	          less that of the update, place less that of the thread before, names of status, who set it,
//	          requestor, executor and priority, number of places of messages and, from the oldest, each
//	number    of threads with terms; for each, in the same order:
//	          which thread of those above (from 1) less that of the one before, the flags of its terms, number
//	          and texts of what it requires, number and texts of what it depends on, text whom it is reserved
//	          for, text the status before and, where the flags say so, when it is needed by and not before
//	imports   which of the threads were imported (said.go); the place of one counts as one message above
//	history   of each thread (history.go)
//	number    of attachments that events have named; for each, in the order of the log:
//	          the hash of its key, in 8 bytes
//	          as answersencode.go says: answers, and who has done nothing yet
//	          as outboxencode.go says: what is to be told to whom
//
// The order of threads is that of the list of all, so that the lists are rebuilt by appending.

// flushAt is how much is written at once.
const flushAt = 64 << 10

type encoder struct {
	w   io.Writer
	b   []byte
	err error // the first of w

	places []At // of the thread that is being written
}

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) signed(n int64)  { e.b = binary.AppendVarint(e.b, n) }

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) flag(on bool) {
	if on {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

// flush writes what has been gathered, once it is worth it.
func (e *encoder) flush(least int) {
	if len(e.b) >= least && e.err == nil {
		_, e.err = e.w.Write(e.b)
		e.b = e.b[:0]
	}
}

// Encode writes the whole state, for Decode. Equal states that came of the same events are the same
// bytes. It returns the first error of w.
func (f *Frozen) Encode(w io.Writer) error {
	e := &encoder{w: w, b: make([]byte, 0, 2*flushAt)}
	e.text(f.readOnly)
	e.names(&f.table.names)
	e.executors(&f.register)
	e.threads(f.table)
	e.history(f.table)
	e.attachments(f.table)
	e.answers(f.table)
	e.idle(&f.register)
	e.outbox(&f.table.outbox)
	e.flush(0)
	return e.err
}

func (e *encoder) names(n *names) {
	e.number(uint64(len(n.list) - 1))
	for i, name := range n.list[1:] {
		e.text(name)
		seen := n.seen[i+1]
		e.flag(seen != never)
		if seen != never {
			e.signed(seen)
		}
		e.flush(flushAt)
	}
}

func (e *encoder) executors(r *register) {
	e.number(uint64(len(r.ids)))
	for _, id := range r.ids {
		x := r.executors[id]
		e.text(x.ID)
		e.text(x.DisplayName)
		e.number(uint64(len(x.Capabilities)))
		for _, c := range x.Capabilities {
			e.text(c)
		}
		e.text(x.KeyHash)
		e.signed(x.CreatedAt.UnixMilli())
		e.flag(r.opens(x))
		e.flag(x.removed)
		e.number(x.Notify.bits())
		e.flush(flushAt)
	}
}

func (e *encoder) threads(t *table) {
	e.number(uint64(t.slots.len() - 1))
	var (
		updated    int64 // of the thread before
		place      int64 = firstPlace
		count      uint64
		withTerms  []numbered
		withImport []importedThread
	)
	for number := t.recent.oldest; number != 0 && e.err == nil; {
		s := t.slots.at(number)
		count++
		if terms := t.terms.at(number); terms != nil {
			withTerms = append(withTerms, numbered{count, terms})
		}
		e.b = append(e.b, t.texts.entry(s.text)...)
		e.signed(s.updated - updated)
		e.signed(s.created - s.updated)
		e.signed(s.place - place)
		for _, name := range [...]uint32{s.status, s.statusBy, s.requestor, s.executor, s.priority} {
			e.number(uint64(name))
		}
		if messages, isImport := e.messages(t, s); isImport {
			withImport = append(withImport, importedThread{count, messages})
		}
		e.flush(flushAt)
		updated, place, number = s.updated, s.place, s.links[ofAll].newer
	}
	e.terms(withTerms)
	e.imports(withImport)
}

// numbered is the terms of a thread with its place in the encoding.
type numbered struct {
	thread uint64
	terms  *Terms
}

// The flags of terms.
const (
	hasNeededBy = 1 << iota
	hasNotBefore
	hasConfirmBefore
	isConfirmed
	denialCancels
)

func (t *Terms) flags() (flags uint64) {
	for i, on := range [...]bool{!t.NeededBy.IsZero(), !t.NotBefore.IsZero(), t.ConfirmBefore, t.Confirmed, t.DenialCancels} {
		if on {
			flags |= 1 << i
		}
	}
	return flags
}

func (e *encoder) terms(all []numbered) {
	e.number(uint64(len(all)))
	var before uint64
	for _, one := range all {
		t := one.terms
		e.number(one.thread - before)
		before = one.thread
		e.number(t.flags())
		e.texts(t.Requires)
		e.texts(t.DependsOn)
		e.text(t.ReservedFor)
		e.text(t.Before)
		if !t.NeededBy.IsZero() {
			e.signed(t.NeededBy.UnixMilli())
		}
		if !t.NotBefore.IsZero() {
			e.signed(t.NotBefore.UnixMilli())
		}
		e.flush(flushAt)
	}
}

func (e *encoder) texts(all []string) {
	e.number(uint64(len(all)))
	for _, s := range all {
		e.text(s)
	}
}

// messages writes where they are, from the oldest, and returns how many came in one event where the thread
// was imported. They are linked from the last one.
func (e *encoder) messages(t *table, s *slot) (inOne uint32, isImport bool) {
	e.places, inOne, isImport = t.records(e.places[:0], s)
	e.number(uint64(len(e.places)))
	for _, at := range slices.Backward(e.places) {
		e.b = append(e.b, at[:]...)
	}
	return inOne, isImport
}
