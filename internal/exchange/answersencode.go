package exchange

import (
	"fmt"
	"io"
	"iter"
	"slices"
)

// What a snapshot holds of answers, behind the terms of threads:
//
//	number    of answers; for each, the oldest first:
//	          time less that of the one before, name of the executor, 16 bytes key, 16 bytes request,
//	          HTTP status, name of the code, text sentence, text ref, name of the thread's status
//	number    of executors that have caused no event since they were registered; for each, in the order of
//	          registration: which of the executors (from 1) less that of the one before

func (e *encoder) answers(t *table) {
	e.number(t.answers.end() - t.answers.past)
	var before int64
	for a := range t.answers.each() {
		e.signed(a.at - before)
		before = a.at
		e.number(uint64(a.executor))
		e.b = append(append(e.b, a.key[:]...), a.request[:]...)
		e.number(uint64(a.status))
		e.number(uint64(a.code))
		e.text(a.sentence)
		if a.thread == 0 {
			e.text("")
		} else {
			e.text(t.ref(a.thread))
		}
		e.number(uint64(a.threadStatus))
		e.flush(flushAt)
	}
}

func (e *encoder) idle(r *register) {
	e.number(uint64(len(r.idle)))
	before := 0
	for i, id := range r.ids {
		if r.idle[id] {
			e.number(uint64(i + 1 - before))
			before = i + 1
		}
	}
}

func (d *decoder) answers(s *State) {
	t := s.table
	var at int64
	for count := d.number(); count > 0 && d.err == nil; count-- {
		step := d.signed()
		at += step
		a := keptAnswer{at: at}
		a.executor = d.name(&t.names)
		d.digest(&a.key)
		d.digest(&a.request)
		status := d.number()
		a.status = uint16(status)
		a.code = d.name(&t.names)
		a.sentence = d.text()
		if ref := d.text(); ref != "" {
			if a.thread, _ = t.find(ref); a.thread == 0 {
				d.fail("an answer about a thread that is not there")
			}
		}
		a.threadStatus = d.name(&t.names)
		_, twice := t.answers.places[a.answerName]
		if twice || a.executor == 0 || uint64(a.status) != status {
			d.fail("an answer is nobody's, comes twice or has the status %d", status)
		}
		if d.err == nil {
			t.answers.add(a)
		}
	}
}

func (d *decoder) digest(of *digest) {
	if d.err == nil {
		if _, err := io.ReadFull(d.r, of[:]); err != nil {
			d.short(err)
		}
	}
}

func (d *decoder) idle(r *register) {
	which := uint64(0)
	for count := d.number(); count > 0 && d.err == nil; count-- {
		step := d.number()
		if left := uint64(len(r.ids)) - which; step == 0 || step > left {
			d.fail("executor %d and %d more, of %d", which, step, len(r.ids))
			return
		}
		which += step
		r.idle[r.ids[which-1]] = true
	}
}

// differentAnswers compares them in order, and looks up each of one state in the other.
func differentAnswers(a, b *State) string {
	next, stop := iter.Pull(b.table.answers.each())
	defer stop()
	for x := range a.table.answers.each() {
		of, other := *a.table.answer(x), answer{}
		if y, more := next(); more {
			other = *b.table.answer(y)
		}
		if d := differentAnswer(of, other); d != "" {
			return d
		}
		for _, s := range []*State{a, b} {
			if found, ok := s.answered(of.executor, of.once, fromMillis(of.at)); !ok || *found != of {
				return fmt.Sprintf("answer to %s at %s: not found by its key in one of them", of.executor, stamp(fromMillis(of.at)))
			}
		}
	}
	if y, more := next(); more {
		return differentAnswer(answer{}, *b.table.answer(y))
	}
	return ""
}

func differentAnswer(x, y answer) string {
	of := "answer to " + x.executor
	return first(
		differs("", "the next answer is to", x.executor, y.executor),
		differs(of, "key", x.once.key, y.once.key),
		differs(of, "request", x.once.request, y.once.request),
		differs(of, "time", stamp(fromMillis(x.at)), stamp(fromMillis(y.at))),
		differs(of, "HTTP status", x.status, y.status),
		differs(of, "code", x.code, y.code),
		differs(of, "sentence", x.sentence, y.sentence),
		differs(of, "ref", x.result.Ref, y.result.Ref),
		differs(of, "thread's status", x.result.Status, y.result.Status),
	)
}

func differentIdle(a, b *State) string {
	for _, id := range slices.Concat(a.register.ids, b.register.ids) {
		if d := differs("executor "+id, "has done nothing yet", a.Idle(id), b.Idle(id)); d != "" {
			return d
		}
	}
	return ""
}
