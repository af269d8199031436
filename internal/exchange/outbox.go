package exchange

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// mostOpen bounds the events of which somebody is still to be told, and mostTries the deliveries to be tried
	// again, in all of them. An exchange whose receivers are all dead has some hundred events a day for the three
	// days of retries; beyond the bounds the oldest event is given up, and counted (Outbox.Lost).
	mostOpen  = 1 << 16
	mostTries = 1 << 18
	// mostFormer bounds the profiles that are kept as they were, each until nobody is told by it any more. Beyond
	// it, an event that has waited so long goes by profiles as they were a little later.
	mostFormer = 1 << 12
	// mostExternal bounds what hooks have opened elsewhere and may be told of again: the newest are kept.
	mostExternal = 1 << 14
	// maxExternalID is the longest id of something elsewhere, in bytes; it is kept with its delivery.
	maxExternalID = 256
)

// Undelivered is an event of which somebody is still to be told. One that was handed out never changes.
type Undelivered struct {
	Event     int64 // its seq
	Created   bool  // of a new thread; else of a change
	Actor     string
	Before    Thread // where there was one: After with the status and the executor that it had
	After     Thread // without the number of its messages
	Executors int    // how many were registered then: of TakenIDs
	Told      int    // of how many of them the first attempts were made
	Round     int64  // of the last note_delivery about it, 0 for none
	Due       time.Time
	Tries     []Try // what is to be tried again

	former uint64 // number of the first former profile that is of a later time
}

// Try is a delivery that was not made yet.
type Try struct {
	Executor string
	Way      string // the name of a channel or hook, without anything secret
	Attempts int    // that have failed; 0 where none was made, or none has ended
	Next     time.Time

	number uint64 // of the delivery in the ring
}

// Lease is who delivers for the exchange where several servers could. Since their clocks differ, each counts its
// Duration from when it first saw it (docs/storage.md, rule 14).
type Lease struct {
	Holder   string
	Duration time.Duration
	Seq      int64 // of its event; 0 for none
}

// outbox is what is open in a table, and what became of what was. What it keeps are values that are replaced, never
// changed, so a frozen copy is one of the maps.
type outbox struct {
	lease  Lease // Seq is not 0 once the outbox has begun
	open   map[int64]*Undelivered
	order  []int64 // their seqs, with those that are not open any more
	queue  dueQueue
	tries  int // in all of open
	untold int // of them, those of which not everybody was told a first time
	lost   uint64
	former []*Executor // as they were before they changed, the oldest first
	past   uint64      // number of former[0]

	external map[externalKey]string
	opened   []externalKey // of external, in order
	delivered
}

// externalKey is for whom a hook has opened something elsewhere, and for which thread.
type externalKey struct{ executor, ref string }

// Begun reports whether there was a lease, from which on also those are told something of whom nothing is known
// (Hearing). What happened before, at the original server or an older version of this one, is not told late.
func (s *State) Begun() bool { return s.Lease().Seq > 0 }

// Lease returns the last one.
func (s *State) Lease() Lease {
	for ; s.base != nil; s = s.base {
		if s.changed.lease != nil {
			return *s.changed.lease
		}
	}
	return s.table.outbox.lease
}

// Undelivered returns an event of which somebody is still to be told. s must not be a fork.
func (s *State) Undelivered(event int64) (*Undelivered, bool) {
	u, ok := s.table.outbox.open[event]
	return u, ok
}

// NextUndelivered returns the one that is due first. s must not be a fork. Cost: the same however many there are.
func (s *State) NextUndelivered() (*Undelivered, bool) {
	o := &s.table.outbox
	if len(o.queue.list) == 0 {
		return nil, false
	}
	return o.open[o.queue.list[0].event], true
}

// Outbox is how much is open, for those who watch over a server.
type Outbox struct {
	Events, Tries int
	Lost          uint64 // events given up because there were too many
}

// Outbox returns how much is open. s must not be a fork.
func (s *State) Outbox() Outbox {
	o := &s.table.outbox
	return Outbox{Events: len(o.open), Tries: o.tries, Lost: o.lost}
}

// Standing reports whether there still is something to do about what u tells: a new thread is still pending, and
// one that changed was not closed since. What was put off is dropped when it is false.
func (s *State) Standing(u *Undelivered) bool {
	if t, ok := s.Thread(u.After.Ref); u.Created {
		return ok && t.Status == StatusPending
	}
	return !s.ClosedSince(u)
}

// ClosedSince reports whether the thread was closed by a later event: then nothing is tried again.
func (s *State) ClosedSince(u *Undelivered) bool {
	t, ok := s.Thread(u.After.Ref)
	return !ok || Terminal(t.Status) && !Terminal(u.After.Status)
}

// Roll is who was in the exchange at an event, and whom its thread was for. Package notify asks it who is told what.
type Roll struct {
	state *State
	of    *Undelivered
	then  map[string]*Executor // those who have changed since
}

// Roll returns who was there at u's event. It goes by profiles as they were, and by what the thread requires,
// which never changes, but is forgotten when it is closed. s must not be a fork.
func (s *State) Roll(u *Undelivered) *Roll {
	r := &Roll{state: s, of: u, then: map[string]*Executor{}}
	o := &s.table.outbox
	for _, e := range o.former[min(uint64(len(o.former)), max(u.former, o.past)-o.past):] {
		if _, earlier := r.then[e.ID]; !earlier {
			r.then[e.ID] = e
		}
	}
	return r
}

// Executors returns those who were there, in the order of their registration, but for those known to have neither
// channels nor hooks now. Cost: one step for each.
func (r *Roll) Executors() []*Executor {
	ids := r.state.register.ids[:r.of.Executors]
	list := make([]*Executor, 0, len(ids))
	for _, id := range ids {
		now := r.state.register.executors[id]
		if now.Notify == (Hearing{Known: true}) {
			continue
		}
		e, changed := r.then[id]
		if !changed {
			e = now
		}
		if !e.removed {
			list = append(list, e)
		}
	}
	return list
}

// Eligible reports whether a new thread was for an executor. Nobody can have reserved it by then.
func (r *Roll) Eligible(t Thread, e *Executor) bool {
	terms := r.state.terms(t.Ref)
	return terms == nil || len(terms.missing(e)) == 0
}

// ExternalID returns what the last hook of an executor has opened elsewhere for a thread, "" for nothing. s must not
// be a fork.
func (s *State) ExternalID(executor, ref string) string {
	return s.table.outbox.external[externalKey{executor, ref}]
}

// tell folds an event of a thread and opens it, if somebody might be told of it. Events of the original server and
// those that change neither status nor executor tell nobody anything. A fork opens nothing, for no delivery can
// be decided in the batch of its event. Cost: nothing where nobody has channels or hooks; else the logarithm of
// what is open.
func (s *State) tell(e Event, apply func(Event)) {
	if s.base != nil || e.Seq <= 0 || !s.anyHears() {
		apply(e)
		return
	}
	before, known := s.Thread(e.Thread)
	apply(e)
	after, ok := s.Thread(e.Thread)
	created := e.Type == ThreadCreated
	if !ok || created == known || !created && before.Status == after.Status && before.Executor == after.Executor || !s.mayConcern(&after, created, e.Actor) {
		return
	}
	after.Messages = 0
	o := &s.table.outbox
	u := &Undelivered{
		Event: e.Seq, Created: created, Actor: strings.Clone(e.Actor), After: after,
		Executors: len(s.register.ids), Due: e.TS, former: o.past + uint64(len(o.former)),
	}
	if known {
		u.Before = after
		u.Before.Status, u.Before.Executor = before.Status, before.Executor
	}
	o.put(u)
	o.bound()
}

// formerly keeps a profile as it was, where somebody may still be told of an event by it.
func (s *State) formerly(before, after *Executor) {
	if s.base != nil || before.removed || before.DisplayName == after.DisplayName && !after.removed && slices.Equal(before.Capabilities, after.Capabilities) {
		return
	}
	o := &s.table.outbox
	if o.untold == 0 {
		o.past, o.former = o.past+uint64(len(o.former)), nil
		return
	}
	if len(o.former) == mostFormer {
		o.former, o.past = o.former[1:], o.past+1
	}
	o.former = append(o.former, before)
}

// put adds an event, or replaces what is known of it.
func (o *outbox) put(u *Undelivered) {
	if o.open == nil {
		o.open = map[int64]*Undelivered{}
		o.queue.place = map[int64]int{}
	}
	if before, ok := o.open[u.Event]; ok {
		o.count(before, -1)
		heap.Remove(&o.queue, o.queue.place[u.Event])
	} else {
		o.order = append(o.order, u.Event)
	}
	o.open[u.Event] = u
	o.count(u, 1)
	heap.Push(&o.queue, dueEvent{u.Due.UnixMilli(), u.Event})
}

// count adds an open event to what is counted, or with -1 takes it away.
func (o *outbox) count(u *Undelivered, n int) {
	o.tries += n * len(u.Tries)
	if u.Told < u.Executors {
		o.untold += n
	}
}

// settle takes an event out.
func (o *outbox) settle(event int64) {
	u, ok := o.open[event]
	if !ok {
		return
	}
	o.count(u, -1)
	heap.Remove(&o.queue, o.queue.place[event])
	delete(o.open, event)
	if len(o.open) == 0 { // neither a map nor a list shrinks by itself
		o.past += uint64(len(o.former))
		o.open, o.order, o.queue, o.former = nil, nil, dueQueue{}, nil
	} else if len(o.order) > 2*len(o.open)+64 {
		o.order = slices.Sorted(maps.Keys(o.open))
	}
}

// bound gives up the oldest events where there are too many.
func (o *outbox) bound() {
	for len(o.open) > mostOpen || o.tries > mostTries && len(o.open) > 1 {
		oldest := o.order[0]
		o.order = o.order[1:]
		if _, open := o.open[oldest]; open {
			o.lost++
			o.settle(oldest)
		}
	}
}

// openElsewhere keeps what a hook has opened, in the place of what one before it did.
func (o *outbox) openElsewhere(key externalKey, id string) {
	if o.external == nil {
		o.external = map[externalKey]string{}
	}
	if _, known := o.external[key]; !known {
		o.opened = append(o.opened, key)
	}
	o.external[key] = id
	if len(o.opened) > mostExternal {
		delete(o.external, o.opened[0])
		o.opened = o.opened[1:]
	}
}

// freeze returns a copy for reading. Cost: a step for each event that is open and each id of something elsewhere.
func (o *outbox) freeze() outbox {
	return outbox{
		lease: o.lease, open: maps.Clone(o.open), lost: o.lost, former: slices.Clone(o.former), past: o.past,
		external: maps.Clone(o.external), opened: slices.Clone(o.opened), delivered: o.delivered.freeze(),
	}
}

// inOrder returns what is open, the oldest first.
func (o *outbox) inOrder() []*Undelivered {
	all := make([]*Undelivered, 0, len(o.open))
	for _, event := range slices.Sorted(maps.Keys(o.open)) {
		all = append(all, o.open[event])
	}
	return all
}

// dueQueue is a heap of what is open by when it is due, which knows where each is.
type dueQueue struct {
	list  []dueEvent
	place map[int64]int
}

type dueEvent struct {
	at    int64 // Unix milliseconds
	event int64
}

// The methods of heap.Interface. Equal times are in the order of events.

func (q *dueQueue) Len() int { return len(q.list) }

func (q *dueQueue) Less(i, j int) bool {
	a, b := q.list[i], q.list[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.event, b.event)) < 0
}

func (q *dueQueue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.place[q.list[i].event], q.place[q.list[j].event] = i, j
}

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) {
	one := x.(dueEvent)
	q.place[one.event] = len(q.list)
	q.list = append(q.list, one)
}

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := len(q.list) - 1
	one := q.list[last]
	q.list = q.list[:last]
	delete(q.place, one.event)
	return one
}
