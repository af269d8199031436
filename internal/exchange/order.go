package exchange

import (
	"cmp"
	"slices"
)

// The lists that a thread is in, the last updated first in each. Every update moves it to the front of all
// of them, in constant time, and needs no comparing because what comes later has the greater place.
const (
	ofAll       = iota
	ofStatus    // those of its status and priority
	ofRequestor // those of its requestor and status
	ofDoer      // those of its executor and status; where it waits for one, those that demand the same
	listsOfEach
)

// link is a place in a list: the numbers of the neighbours, 0 for none.
type link struct{ newer, older uint32 }

// chain is a list. A chain that threads have left costs nothing but its own memory.
type chain struct {
	newest, oldest uint32
	count          uint32
	marks          []uint32 // its threads that are marked, the oldest first
}

// marked chooses one of 64 places at random, but always the same. In every list the threads at these places
// are kept in an array as well, so that any place in it is found by a search and some sixty steps, and
// threads that come and go hardly ever touch the array.
func marked(place int64) bool {
	x := uint64(place)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x^x>>31)&63 == 0
}

// push puts a thread that is not in the list at its front. Its place is the greatest of the list.
func (t *table) push(c *chain, list int, number uint32) {
	s := t.slots.change(number)
	s.links[list] = link{older: c.newest}
	if marked(s.place) {
		c.marks = append(c.marks, number)
	}
	if c.newest != 0 {
		t.slots.change(c.newest).links[list].newer = number
	} else {
		c.oldest = number
	}
	c.newest = number
	c.count++
}

// remove takes a thread out of the list. Its place must still be the one with which it came.
func (t *table) remove(c *chain, list int, number uint32) {
	s := t.slots.at(number)
	if marked(s.place) {
		i := t.mark(c, s.place)
		c.marks = slices.Delete(c.marks, i, i+1)
	}
	at := s.links[list]
	if at.newer != 0 {
		t.slots.change(at.newer).links[list].older = at.older
	} else {
		c.newest = at.older
	}
	if at.older != 0 {
		t.slots.change(at.older).links[list].newer = at.newer
	} else {
		c.oldest = at.newer
	}
	if c.count--; c.count == 0 {
		c.marks = nil
	}
}

// mark returns which is the oldest mark of a list that is not older than the place.
func (t *table) mark(c *chain, place int64) int {
	i, _ := slices.BinarySearchFunc(c.marks, place, func(n uint32, place int64) int {
		return cmp.Compare(t.slots.at(n).place, place)
	})
	return i
}

// seek returns the newest thread of a list that is older than the place, 0 for none; the newest of all for
// place 0. It costs a search among the marks and, on average, sixty steps from there.
func (t *table) seek(c *chain, list int, beyond int64) uint32 {
	number := c.newest
	if beyond == 0 {
		return number
	}
	if i := t.mark(c, beyond); i < len(c.marks) {
		number = c.marks[i]
	}
	for number != 0 && t.slots.at(number).place >= beyond {
		number = t.slots.at(number).links[list].older
	}
	return number
}

// merge goes through several lists of one kind at once, the last updated first. A step costs the logarithm
// of their number.
type merge struct {
	table *table
	list  int
	heads []head // a heap, the newest on top
}

// head is the next thread of a list.
type head struct {
	place  int64
	number uint32
}

// merge returns a merge of lists from the newest thread of each that is older than the place.
func (t *table) merge(list int, chains []*chain, beyond int64) merge {
	m := merge{table: t, list: list, heads: make([]head, 0, len(chains))}
	for _, c := range chains {
		if number := t.seek(c, list, beyond); number != 0 {
			m.heads = append(m.heads, head{t.slots.at(number).place, number})
		}
	}
	for i := len(m.heads)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m
}

// next returns the next thread, 0 after the last.
func (m *merge) next() uint32 {
	if len(m.heads) == 0 {
		return 0
	}
	number := m.heads[0].number
	if older := m.table.slots.at(number).links[m.list].older; older != 0 {
		m.heads[0] = head{m.table.slots.at(older).place, older}
	} else {
		last := len(m.heads) - 1
		m.heads[0] = m.heads[last]
		m.heads = m.heads[:last]
	}
	m.sink(0)
	return number
}

// sink puts a head where it belongs in the heap below it.
func (m *merge) sink(i int) {
	for {
		newest := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heads); child++ {
			if m.heads[child].place > m.heads[newest].place {
				newest = child
			}
		}
		if newest == i {
			return
		}
		m.heads[i], m.heads[newest] = m.heads[newest], m.heads[i]
		i = newest
	}
}
