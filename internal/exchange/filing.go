package exchange

import (
	"fmt"
	"iter"
	"slices"
)

// Statuses and priorities that this version does not know, of which data of the original server may hold any
// number, share the last class of each, so that what a list costs depends on none of them.
const (
	statusClasses   = 16
	priorityClasses = 5
	classShift      = 4 // in a byte, the class of a word as a priority stands above that as a status
)

// classOf returns the class of a word as a status and as a priority.
func classOf(word string) uint8 {
	priority := slices.Index(Priorities(), word)
	if priority < 0 {
		priority = priorityClasses - 1
	}
	return statusClass(word) | uint8(priority)<<classShift
}

func statusClass(status string) uint8 {
	for i := range statuses {
		if statuses[i].name == status {
			return uint8(i)
		}
	}
	return statusClasses - 1
}

// The class of StatusPending.
const classPending = 0

func (t *table) statusClass(number uint32) uint8 {
	return t.names.classes[number] & (1<<classShift - 1)
}
func (t *table) priorityClass(number uint32) uint8 { return t.names.classes[number] >> classShift }

// person holds the lists of who has one name: of the threads that are this one's requests, and of those
// that this one does or did.
type person struct{ requests, work byClass }

// byClass are lists by the class of the status. People have threads in few.
type byClass []classed

type classed struct {
	class uint8
	chain
}

// of returns the list of a class, for use until the next call.
func (b *byClass) of(class uint8) *chain {
	for i := range *b {
		if (*b)[i].class == class {
			return &(*b)[i].chain
		}
	}
	*b = append(*b, classed{class: class})
	return &(*b)[len(*b)-1].chain
}

// person returns who has that name.
func (t *table) person(name uint32) *person {
	if missing := int(name) + 1 - len(t.people); missing > 0 {
		t.people = append(t.people, make([]person, missing)...)
	}
	return &t.people[name]
}

// chains returns the lists that a thread belongs into, nil where there is none of that kind.
func (t *table) chains(number uint32) (all [listsOfEach]*chain) {
	s := t.slots.at(number)
	class := t.statusClass(s.status)
	t.person(max(s.requestor, s.executor)) // so that neither moves when the other is made
	all[ofAll] = &t.recent
	all[ofStatus] = &t.byStatus[class][t.priorityClass(s.priority)]
	all[ofRequestor] = t.person(s.requestor).requests.of(class)
	switch {
	case s.executor != 0:
		all[ofDoer] = t.person(s.executor).work.of(class)
	case class == classPending:
		all[ofDoer] = t.demands.of(t.terms.at(number))
	}
	return all
}

// waits reports whether a thread is pending and nobody's.
func (t *table) waits(number uint32) bool {
	s := t.slots.at(number)
	return s.executor == 0 && t.statusClass(s.status) == classPending
}

// enter puts a thread that is in no list at the front of those it belongs into.
func (t *table) enter(number uint32) {
	for list, c := range t.chains(number) {
		if c != nil {
			t.push(c, list, number)
		}
	}
}

// leave takes a thread out of all lists, before anything of it is changed.
func (t *table) leave(number uint32) {
	for list, c := range t.chains(number) {
		if c != nil {
			t.remove(c, list, number)
		}
	}
	if t.waits(number) {
		t.demands.tidy(t.terms.at(number))
	}
}

// demandAnew gives a thread that waits other terms.
func (t *table) demandAnew(number uint32, terms *Terms) {
	before := t.terms.at(number)
	t.remove(t.demands.of(before), ofDoer, number)
	t.demands.tidy(before)
	t.terms.set(number, terms)
	t.push(t.demands.of(terms), ofDoer, number)
}

// listNames say for what is wrong which list it is.
var listNames = [listsOfEach]string{"all", "those of its status and priority", "those of its requestor", "those of its executor or with its demand"}

// misfiled says what is wrong with the lists, and "" where each has just the threads that belong into it, in
// the order of the list of all.
func (t *table) misfiled() string {
	type so struct {
		list                 int
		first, last, threads uint32
		marks                []uint32
	}
	met := map[*chain]*so{}
	for number := t.recent.oldest; number != 0; number = t.slots.at(number).links[ofAll].newer {
		s := t.slots.at(number)
		for list, c := range t.chains(number) {
			if c == nil {
				continue
			}
			far := met[c]
			if far == nil {
				far = &so{list: list, first: number}
				met[c] = far
			}
			if s.links[list].older != far.last || far.last != 0 && t.slots.at(far.last).links[list].newer != number {
				return fmt.Sprintf("thread %s: it is not where it belongs among %s", t.ref(number), listNames[list])
			}
			far.last = number
			far.threads++
			if marked(s.place) {
				far.marks = append(far.marks, number)
			}
		}
	}
	for c := range t.all() {
		far := met[c]
		if far == nil {
			far = &so{}
		}
		if c.oldest != far.first || c.newest != far.last || c.count != far.threads || !slices.Equal(c.marks, far.marks) {
			return fmt.Sprintf("of %d threads that belong into a list of %s it has %d", far.threads, listNames[far.list], c.count)
		}
	}
	return ""
}

// all yields every list.
func (t *table) all() iter.Seq[*chain] {
	return func(yield func(*chain) bool) {
		more := yield(&t.recent) && yield(&t.demands.none)
		for class := range t.byStatus {
			for priority := range t.byStatus[class] {
				more = more && yield(&t.byStatus[class][priority])
			}
		}
		for i := range t.people {
			for _, lists := range [...]byClass{t.people[i].requests, t.people[i].work} {
				for j := range lists {
					more = more && yield(&lists[j].chain)
				}
			}
		}
		for _, one := range t.demands.byText {
			more = more && yield(&one.chain)
		}
	}
}
