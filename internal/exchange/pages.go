package exchange

import "slices"

// pages is an array that grows without moving what is in it, for values without pointers: the garbage
// collector sees one pointer for each page. A frozen copy of it costs a list of its pages; after that
// each page is copied before it is changed for the first time.
type pages[T any] struct {
	list  [][]T
	epoch []uint32 // of each page: the freezes before it was made or copied
	now   uint32   // freezes so far; a page of an earlier epoch may be in a frozen copy
	shift uint8    // a page holds 1 << shift values
}

// firstPage is how much room the first page of all begins with, since most exchanges are small. It
// grows to a whole page by doubling; later pages are made whole.
const firstPage = 4

func newPages[T any](shift uint8) pages[T] { return pages[T]{shift: shift} }

func (p *pages[T]) len() uint32 {
	if len(p.list) == 0 {
		return 0
	}
	last := len(p.list) - 1
	return uint32(last)<<p.shift + uint32(len(p.list[last]))
}

// at is for reading only.
func (p *pages[T]) at(i uint32) *T {
	return &p.list[i>>p.shift][i&(1<<p.shift-1)]
}

// change is for writing, until the next add or freeze.
func (p *pages[T]) change(i uint32) *T {
	n := i >> p.shift
	if p.epoch[n] != p.now {
		p.replace(n, cap(p.list[n]))
	}
	return p.at(i)
}

// add appends a value. It writes to a page that a frozen copy may have too, but behind all that the
// copy sees of it.
func (p *pages[T]) add(v T) uint32 {
	last := len(p.list) - 1
	switch size := 1 << p.shift; {
	case last < 0:
		p.list, p.epoch = append(p.list, make([]T, 0, min(firstPage, size))), append(p.epoch, p.now)
		last = 0
	case len(p.list[last]) == size:
		p.list, p.epoch = append(p.list, make([]T, 0, size)), append(p.epoch, p.now)
		last++
	case len(p.list[last]) == cap(p.list[last]):
		p.replace(uint32(last), min(2*len(p.list[last]), size))
	}
	p.list[last] = append(p.list[last], v)
	return uint32(last)<<p.shift + uint32(len(p.list[last])) - 1
}

// replace puts a copy in the place of a page.
func (p *pages[T]) replace(n uint32, room int) {
	p.list[n] = append(make([]T, 0, room), p.list[n]...)
	p.epoch[n] = p.now
}

// freeze returns a copy for reading, which later changes of p leave alone.
func (p *pages[T]) freeze() pages[T] {
	p.now++
	return pages[T]{list: slices.Clone(p.list), shift: p.shift}
}
