package exchange

import (
	"fmt"
	"slices"
	"time"
)

// What a snapshot holds of the outbox, behind who has done nothing yet:
//
//	number    seq of the last lease, 0 for none; then, unless it is 0, text holder and number of milliseconds
//	number    of events that were given up
//	number    of the first former profile; then how many, and for each: text id, text display name, number and
//	          texts of the capabilities
//	number    of all deliveries; then how many are remembered, and for each, the oldest first:
//	          seq, 1 for a new thread, texts ref, executor, way and outcome, number of attempts, signed status, text
//	          reason, 1 and the time of the next attempt or 0, times of its first and its last round
//	number    of events that are open; for each, the oldest first:
//	          seq less that of the one before, 1 for a new thread, text actor, text ref, texts of the status, who
//	          set it and the executor, time and place of the update, texts of the status and the executor before,
//	          numbers of executors, of those told, of the round and of the first former profile, time when it is due,
//	          and the number of tries, for each text executor, text way, number of attempts, time of the next, number of
//	          the delivery
//	number    of things elsewhere, the one opened first first: text executor, text ref, text id

func (e *encoder) outbox(o *outbox) {
	e.number(uint64(o.lease.Seq))
	if o.lease.Seq > 0 {
		e.text(o.lease.Holder)
		e.number(uint64(o.lease.Duration.Milliseconds()))
	}
	e.number(o.lost)
	e.number(o.past)
	e.number(uint64(len(o.former)))
	for _, x := range o.former {
		e.text(x.ID)
		e.text(x.DisplayName)
		e.texts(x.Capabilities)
		e.flush(flushAt)
	}
	e.delivered(&o.delivered)
	e.number(uint64(len(o.open)))
	before := int64(0)
	for _, u := range o.inOrder() {
		e.number(uint64(u.Event - before))
		before = u.Event
		e.undelivered(u)
		e.flush(flushAt)
	}
	e.number(uint64(len(o.opened)))
	for _, key := range o.opened {
		e.text(key.executor)
		e.text(key.ref)
		e.text(o.external[key])
		e.flush(flushAt)
	}
}

func (e *encoder) delivered(d *delivered) {
	e.number(d.total)
	oldest := d.oldest()
	e.number(d.total - oldest + 1)
	for number := oldest; number <= d.total; number++ {
		row := d.at(number)
		e.number(uint64(row.Event))
		e.flag(row.Created)
		for _, s := range [...]string{row.Ref, row.Executor, row.Way, row.Outcome} {
			e.text(s)
		}
		e.number(uint64(row.Attempts))
		e.signed(int64(row.Status))
		e.text(row.Reason)
		if e.flag(!row.Next.IsZero()); !row.Next.IsZero() {
			e.signed(row.Next.UnixMilli())
		}
		e.signed(row.First.UnixMilli())
		e.signed(row.Last.UnixMilli())
		e.flush(flushAt)
	}
}

func (e *encoder) undelivered(u *Undelivered) {
	e.flag(u.Created)
	for _, s := range [...]string{u.Actor, u.After.Ref, u.After.Status, u.After.StatusBy, u.After.Executor} {
		e.text(s)
	}
	e.signed(u.After.UpdatedAt.UnixMilli())
	e.number(uint64(u.After.Seq))
	e.text(u.Before.Status)
	e.text(u.Before.Executor)
	for _, n := range [...]uint64{uint64(u.Executors), uint64(u.Told), uint64(u.Round), u.former} {
		e.number(n)
	}
	e.signed(u.Due.UnixMilli())
	e.number(uint64(len(u.Tries)))
	for _, t := range u.Tries {
		e.text(t.Executor)
		e.text(t.Way)
		e.number(uint64(t.Attempts))
		e.signed(t.Next.UnixMilli())
		e.number(t.number)
	}
}

func (d *decoder) outbox(s *State) {
	o := &s.table.outbox
	if o.lease.Seq = d.small63(); o.lease.Seq > 0 {
		o.lease.Holder = d.text()
		o.lease.Duration = time.Duration(d.upTo(uint64(maxLease.Milliseconds()))) * time.Millisecond
	}
	o.lost, o.past = d.number(), d.number()
	for count := d.upTo(mostFormer); count > 0 && d.err == nil; count-- {
		x := &Executor{ID: d.text(), DisplayName: d.text()}
		x.Capabilities = append([]string{}, d.texts()...)
		x.sortCapabilities()
		o.former = append(o.former, x)
	}
	d.delivered(&o.delivered)
	before := int64(0)
	for count := d.upTo(mostOpen); count > 0 && d.err == nil; count-- {
		step := d.small63()
		if step == 0 || step > seqEnd-before {
			d.fail("event %d and %d more", before, step)
			return
		}
		before += step
		if u := d.undelivered(s, before); d.err == nil {
			o.put(u)
		}
	}
	if o.tries > mostTries && len(o.open) > 1 {
		d.fail("%d deliveries to be tried again", o.tries)
	}
	for count := d.upTo(mostExternal); count > 0 && d.err == nil; count-- {
		key := externalKey{d.text(), d.text()}
		if _, twice := o.external[key]; twice {
			d.fail("something elsewhere comes twice")
			return
		}
		o.openElsewhere(key, d.text())
	}
}

func (d *decoder) delivered(all *delivered) {
	count := d.upTo(uint64(seqEnd))
	remembered := d.upTo(min(count, maxDeliveries))
	if remembered != min(count, maxDeliveries) {
		d.fail("%d deliveries of %d", remembered, count)
		return
	}
	// Rows have the places that their numbers give them.
	all.total = count - remembered
	var rows []Delivered
	for ; remembered > 0 && d.err == nil; remembered-- {
		one := Delivered{Event: d.small63(), Created: d.flag(), Ref: d.text(), Executor: d.text(), Way: d.text(), Outcome: all.word(d.text())}
		one.Attempts, one.Status, one.Reason = int(d.upTo(maxAttempts)), int(d.signed()), d.text()
		if d.flag() {
			one.Next = fromMillis(d.signed())
		}
		one.First, one.Last = fromMillis(d.signed()), fromMillis(d.signed())
		rows = append(rows, one)
	}
	if d.err == nil {
		all.restore(rows)
	}
}

const seqEnd = int64(1) << 62

// small63 reads a number that a seq can be.
func (d *decoder) small63() int64 { return int64(d.upTo(uint64(seqEnd))) }

// upTo reads a number that is not greater than most.
func (d *decoder) upTo(most uint64) uint64 {
	n := d.number()
	if n > most {
		d.fail("the number %d, above %d", n, most)
		return 0
	}
	return n
}

func (d *decoder) undelivered(s *State, event int64) *Undelivered {
	u := &Undelivered{Event: event, Created: d.flag(), Actor: d.text()}
	ref := d.text()
	t, known := s.Thread(ref)
	if !known {
		d.fail("what is to be told of the thread %q, which is not there", ref)
		return nil
	}
	t.Messages = 0
	t.Status, t.StatusBy, t.Executor = d.text(), d.text(), d.text()
	t.UpdatedAt, t.Seq = fromMillis(d.signed()), d.small63()
	u.After = t
	status, executor := d.text(), d.text()
	if !u.Created {
		u.Before = t
		u.Before.Status, u.Before.Executor = status, executor
	}
	u.Executors = int(d.upTo(uint64(len(s.register.ids))))
	u.Told = int(d.upTo(uint64(u.Executors)))
	u.Round = d.small63()
	u.former = d.number()
	u.Due = fromMillis(d.signed())
	for count := d.number(); count > 0 && d.err == nil; count-- {
		t := Try{Executor: d.text(), Way: s.table.outbox.word(d.text()), Attempts: int(d.upTo(maxAttempts)), Next: fromMillis(d.signed())}
		t.number = d.upTo(s.table.outbox.total)
		u.Tries = append(u.Tries, t)
	}
	return u
}

// differentOutboxes compares what is open, and by which profiles it would be told.
func differentOutboxes(a, b *State) string {
	x, y := &a.table.outbox, &b.table.outbox
	d := first(
		differs("outbox", "lease", x.lease, y.lease),
		differs("outbox", "how much is open", a.Outbox(), b.Outbox()),
		differs("outbox", "queued", len(x.queue.list), len(y.queue.list)),
		differs("outbox", "former profiles from", x.past, y.past),
		differs("outbox", "former profiles", profiles(x.former), profiles(y.former)),
		differs("outbox", "things elsewhere", fmt.Sprint(x.opened, x.external), fmt.Sprint(y.opened, y.external)),
		differs("outbox", "deliveries", x.total, y.total),
	)
	if d != "" {
		return d
	}
	for number := x.oldest(); number <= x.total; number++ {
		if d := differs(fmt.Sprintf("delivery %d", number), "is", fmt.Sprint(*x.at(number)), fmt.Sprint(*y.at(number))); d != "" {
			return d
		}
	}
	others := y.inOrder()
	for i, u := range x.inOrder() {
		v := others[i]
		if !slices.Equal(u.Tries, v.Tries) {
			return differs(fmt.Sprintf("event %d", u.Event), "to be tried again", fmt.Sprint(u.Tries), fmt.Sprint(v.Tries))
		}
		p, q := *u, *v
		p.Tries, q.Tries = nil, nil
		if d := differs("undelivered", "event", fmt.Sprint(p), fmt.Sprint(q)); d != "" {
			return d
		}
	}
	return ""
}

func profiles(all []*Executor) string {
	text := ""
	for _, x := range all {
		text += fmt.Sprintf("%s %q %q\n", x.ID, x.DisplayName, x.Capabilities)
	}
	return text
}
