package exchange

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Filter selects threads for a list: those for which all of it is true.
type Filter struct {
	Status    string    // one, or several with commas between them, in any accepted spelling; "" for all
	Priority  string    // one, or several with commas between them; "" for all
	Requestor string    // "" for all
	Executor  string    // who holds it or held it at its end; "" for all
	Eligible  string    // who could claim it now, by id; "" for all
	Since     time.Time // it was updated later than that; zero for all
	Limit     int       // 0 for all, whatever that costs
	Beyond    int64     // Page.Next of the page before; 0 from the newest on
}

// Page is a part of a list.
type Page struct {
	Threads []Thread
	// Next is where the list goes on, a place in the order of updates that means the same in every state with
	// these events and stays so; 0 where nothing is left. A thread that is updated after a page was read leaves
	// its place for the front, so a later page never shows it.
	Next int64
	// Until is how long the page stays as it is while nothing happens; zero for ever.
	Until time.Time
}

// mostLooked bounds what a page costs: after so many threads it ends, full or not. Those that one depends on
// count as well. Only filters that no list is kept for meet it, such as a requestor and a priority.
const mostLooked = 5000

// mostRoom is for how many threads room is made at once, since there may be fewer than the limit.
const mostRoom = 128

// Page returns a page of a list, the last updated first. It costs the threads on it and those that were
// looked at for it, at most mostLooked with a limit, and the logarithm of how many threads come before it.
func (s *State) Page(f Filter, now time.Time) Page {
	p := Page{Threads: make([]Thread, 0, min(max(f.Limit, 0), mostRoom))}
	q, possible := s.query(f, now)
	if !possible {
		return p
	}
	var (
		looked int
		last   int64
	)
	s.walk(q, func(t *Thread, terms *Terms, place int64) bool {
		if !q.since.IsZero() && !t.UpdatedAt.After(q.since) {
			return false // and so were all that follow
		}
		if f.Limit > 0 && looked >= mostLooked {
			p.Next = last
			return false
		}
		if looked++; q.caller != nil && terms != nil {
			looked += len(terms.DependsOn)
		}
		if q.wants(t, terms) {
			if f.Limit > 0 && len(p.Threads) == f.Limit {
				p.Next = last
				return false
			}
			p.Threads = append(p.Threads, *t)
		}
		last = place
		return true
	})
	p.Until = q.until
	return p
}

// Threads is Page for who asks for no more than its threads, and for nothing that depends on the time.
func (s *State) Threads(f Filter) []Thread { return s.Page(f, time.Time{}).Threads }

// query is a filter in the terms of a state.
type query struct {
	state      *State
	now        time.Time
	statuses   []string // nil for all
	priorities []string
	open       bool // only threads that have not ended
	requestor  string
	executor   string
	caller     *Executor // who could claim them; nil for all
	since      time.Time
	beyond     int64

	until time.Time // when another answer may be due though nothing happens; zero for never
}

// query reads a filter; false where nothing can pass it.
func (s *State) query(f Filter, now time.Time) (*query, bool) {
	q := &query{state: s, now: now, requestor: f.Requestor, executor: f.Executor, since: f.Since, beyond: f.Beyond}
	if f.Status != "" {
		for word := range strings.SplitSeq(f.Status, ",") {
			q.statuses = append(q.statuses, canonical(word))
		}
	}
	if f.Priority != "" {
		q.priorities = strings.Split(f.Priority, ",")
	}
	if f.Eligible != "" {
		if q.statuses != nil && !slices.Contains(q.statuses, StatusPending) {
			return q, false
		}
		q.statuses = []string{StatusPending}
		var there bool
		if q.caller, there = s.Executor(f.Eligible); !there {
			return q, false
		}
	}
	return q, true
}

// wants reports whether a thread passes. What lists it was found in does not count: they only save looking.
func (q *query) wants(t *Thread, terms *Terms) bool {
	return (q.statuses == nil || slices.Contains(q.statuses, t.Status)) &&
		(q.priorities == nil || slices.Contains(q.priorities, t.Priority)) &&
		(q.requestor == "" || t.Requestor == q.requestor) &&
		(q.executor == "" || t.Executor == q.executor) &&
		(!q.open || !Terminal(t.Status)) &&
		(q.caller == nil || q.claimable(t, terms))
}

// claimable reports whether the caller could claim a pending thread now, by the rules of a claim.
func (q *query) claimable(t *Thread, terms *Terms) bool {
	if t.Executor != "" {
		return false
	}
	if terms == nil {
		return true
	}
	if !terms.NeededBy.IsZero() && !q.now.Before(terms.NeededBy) {
		return false // it has expired, though nobody has noted it yet
	}
	x := situation{state: q.state, now: q.now, thread: *t, terms: *terms}
	switch x.barClaim(q.caller.ID) {
	case "":
		q.changes(terms.NeededBy)
		return true
	case CodeTooEarly:
		q.changes(terms.NotBefore)
	}
	return false
}

// changes notes when the answer to the query may change by itself; a zero time is never.
func (q *query) changes(at time.Time) {
	if !at.IsZero() && (q.until.IsZero() || at.Before(q.until)) {
		q.until = at
	}
}

// walk yields threads in the order of lists, until yield returns false: all that the query wants, and
// others. A Thread is for use until the next one. What a fork changed is newer than all of its base.
func (s *State) walk(q *query, yield func(t *Thread, terms *Terms, place int64) bool) bool {
	if s.base == nil {
		return s.table.walk(q, yield)
	}
	for i := len(s.changed.list) - 1; i >= 0; i-- {
		t := s.changed.list[i]
		if t.Ref == "" || q.beyond != 0 && t.place >= q.beyond {
			continue
		}
		if !yield(&t.Thread, s.terms(t.Ref), t.place) {
			return false
		}
	}
	return s.base.walk(q, func(t *Thread, terms *Terms, place int64) bool {
		return s.changed.has(t.Ref) || yield(t, terms, place)
	})
}

func (t *table) walk(q *query, yield func(t *Thread, terms *Terms, place int64) bool) bool {
	list, chains := t.narrowest(q)
	m := t.merge(list, chains, q.beyond)
	var shown Thread
	for number := m.next(); number != 0; number = m.next() {
		shown = t.thread(number)
		if !yield(&shown, t.terms.at(number), t.slots.at(number).place) {
			return false
		}
	}
	return true
}

// narrowest returns the lists that have all that the query wants and the fewest threads besides.
func (t *table) narrowest(q *query) (list int, best []*chain) {
	list, best = ofAll, []*chain{&t.recent}
	fewest := t.recent.count
	consider := func(which int, chains []*chain) {
		count := uint32(0)
		for _, c := range chains {
			count += c.count
		}
		if count < fewest {
			list, best, fewest = which, chains, count
		}
	}
	classes := q.classes()
	if classes != allClasses || q.priorities != nil {
		consider(ofStatus, t.ofStatuses(classes, q.priorities))
	}
	if q.requestor != "" {
		consider(ofRequestor, t.ofPerson(q.requestor, classes, func(p *person) byClass { return p.requests }))
	}
	if q.executor != "" {
		consider(ofDoer, t.ofPerson(q.executor, classes, func(p *person) byClass { return p.work }))
	}
	if q.caller != nil {
		there := func(id string) bool { _, ok := q.state.Executor(id); return ok }
		if met, ok := t.demands.met(q.caller, there); ok {
			consider(ofDoer, met)
		}
	}
	return list, best
}

// allClasses has a bit for each class of statuses.
const allClasses = 1<<statusClasses - 1

// classes returns which classes of statuses the query wants, a bit for each.
func (q *query) classes() (bits uint32) {
	for class := range uint8(statusClasses) {
		if !q.open || int(class) >= len(statuses) || !statuses[class].terminal {
			bits |= 1 << class
		}
	}
	if q.statuses == nil {
		return bits
	}
	named := uint32(0)
	for _, status := range q.statuses {
		named |= 1 << statusClass(status)
	}
	return bits & named
}

func (t *table) ofStatuses(classes uint32, priorities []string) (all []*chain) {
	named := uint8(0)
	for _, p := range priorities {
		named |= 1 << (classOf(p) >> classShift)
	}
	for class := range t.byStatus {
		for priority := range t.byStatus[class] {
			c := &t.byStatus[class][priority]
			if c.count > 0 && classes>>class&1 != 0 && (priorities == nil || named>>priority&1 != 0) {
				all = append(all, c)
			}
		}
	}
	return all
}

// ofPerson returns the lists of who has that name, none for a name that no thread knows.
func (t *table) ofPerson(name string, classes uint32, which func(*person) byClass) (all []*chain) {
	number, known := t.names.numbers[name]
	if !known || int(number) >= len(t.people) {
		return nil
	}
	lists := which(&t.people[number])
	for i := range lists {
		if c := &lists[i]; c.count > 0 && classes>>c.class&1 != 0 {
			all = append(all, &c.chain)
		}
	}
	return all
}

// heldBy returns the threads that an executor holds and that have not ended, the one that was updated
// first in front: given back in this order, they stay in order. Cost: those threads.
func (s *State) heldBy(id string) []Thread {
	var held []Thread
	q := &query{state: s, executor: id, open: true}
	s.walk(q, func(t *Thread, terms *Terms, _ int64) bool {
		if q.wants(t, terms) {
			held = append(held, *t)
		}
		return true
	})
	slices.SortFunc(held, func(a, b Thread) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Ref, b.Ref))
	})
	return held
}
