package exchange

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// due is a pending thread that expires.
type due struct {
	at  time.Time
	ref string
}

// compare puts what expires first in front. Equal times have an order too, so that which threads a command
// expires depends on the events alone.
func (d due) compare(o due) int {
	return cmp.Or(d.at.Compare(o.at), cmp.Compare(d.ref, o.ref))
}

// NextDue returns when the next of the pending threads expires; false while none of them ever does. The
// time may have passed: then an Expire has something to do.
func (s *State) NextDue() (at time.Time, ok bool) {
	s.eachDue(func(d due) bool {
		at, ok = d.at, true
		return false
	})
	return at, ok
}

// eachDue yields the pending threads that expire, in order, until yield returns false.
func (s *State) eachDue(yield func(due) bool) bool {
	if s.base == nil {
		return s.table.deadlines.each(yield)
	}
	mine := s.changedDue()
	more := s.base.eachDue(func(d due) bool {
		for len(mine) > 0 && mine[0].compare(d) < 0 {
			next := mine[0]
			mine = mine[1:]
			if !yield(next) {
				return false
			}
		}
		return s.changed.has(d.ref) || yield(d)
	})
	for ; more && len(mine) > 0; mine = mine[1:] {
		more = yield(mine[0])
	}
	return more
}

// changedDue returns, in order, those that were changed in a fork.
func (s *State) changedDue() []due {
	var all []due
	for _, t := range s.changed.list {
		if t.Ref == "" || t.Status != StatusPending {
			continue
		}
		if terms := s.terms(t.Ref); terms != nil && !terms.NeededBy.IsZero() {
			all = append(all, due{terms.NeededBy, t.Ref})
		}
	}
	slices.SortFunc(all, due.compare)
	return all
}

// deadlines holds the pending threads of a table that expire, and no others, as a heap that knows where
// each is. It is not frozen: it follows from the threads and their terms.
type deadlines struct {
	table *table
	list  []deadline
	place map[uint32]int // by the number of the thread: where in list it is
}

type deadline struct {
	at     int64 // Unix milliseconds
	number uint32
}

// add adds a thread, where it is not there yet: when it expires never changes, since that comes with its
// first message.
func (d *deadlines) add(number uint32, at int64) {
	if _, known := d.place[number]; !known {
		heap.Push(d, deadline{at, number})
	}
}

func (d *deadlines) remove(number uint32) {
	if i, known := d.place[number]; known {
		heap.Remove(d, i)
	}
}

// each yields all in order without changing the heap: who comes next is always a child of who came before.
// It costs what is yielded.
func (d *deadlines) each(yield func(due) bool) bool {
	f := frontier{of: d}
	f.add(0)
	for f.Len() > 0 {
		i := heap.Pop(&f).(int)
		if !yield(due{fromMillis(d.list[i].at), d.table.ref(d.list[i].number)}) {
			return false
		}
		f.add(2*i + 1)
		f.add(2*i + 2)
	}
	return true
}

// The methods of heap.Interface.

func (d *deadlines) Len() int { return len(d.list) }

func (d *deadlines) Less(i, j int) bool {
	a, b := d.list[i], d.list[j]
	if a.at != b.at {
		return a.at < b.at
	}
	return d.table.ref(a.number) < d.table.ref(b.number)
}

func (d *deadlines) Swap(i, j int) {
	d.list[i], d.list[j] = d.list[j], d.list[i]
	d.place[d.list[i].number], d.place[d.list[j].number] = i, j
}

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	one := x.(deadline)
	d.place[one.number] = len(d.list)
	d.list = append(d.list, one)
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	last := len(d.list) - 1
	one := d.list[last]
	d.list = d.list[:last]
	delete(d.place, one.number)
	if last == 0 { // neither a map nor a list shrinks by itself
		d.list, d.place = nil, map[uint32]int{}
	}
	return one
}

// frontier is a heap of places in another heap, from which those behind them have not been looked at yet. So what is in
// that one is met in order, without changing it.
type frontier struct {
	of     heap.Interface
	places []int
}

func (f *frontier) add(i int) {
	if i < f.of.Len() {
		heap.Push(f, i)
	}
}

func (f *frontier) Len() int           { return len(f.places) }
func (f *frontier) Less(i, j int) bool { return f.of.Less(f.places[i], f.places[j]) }
func (f *frontier) Swap(i, j int)      { f.places[i], f.places[j] = f.places[j], f.places[i] }

// Push implements heap.Interface.
func (f *frontier) Push(x any) { f.places = append(f.places, x.(int)) }

// Pop implements heap.Interface.
func (f *frontier) Pop() any {
	last := len(f.places) - 1
	i := f.places[last]
	f.places = f.places[:last]
	return i
}
