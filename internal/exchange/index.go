package exchange

import "hash/maphash"

// index finds the number of a thread by the hash of its ref. It is a hash table of its own because it
// is the largest thing beside the threads and their text: this one takes 11 to 16 bytes per thread, a
// map of the language about half as much again, and with a map Decode took a fifth longer.
//
// It has parts that grow one by one, so that no single event has to move the entries of all threads.
type index struct {
	parts [1 << partBits]part
	seed  maphash.Seed // so that nobody can choose refs that share a place; shows in nothing
}

const partBits = 6

// part is a table with linear probing, at most three quarters full. An entry is 32 bits of the hash
// and, in the lower half, the number, or 0 where none is. Nothing is ever removed.
type part struct {
	entries []uint64
	used    int
}

// leastPart is how many entries a part begins with.
const leastPart = 4

func newIndex() index { return index{seed: maphash.MakeSeed()} }

func (x *index) part(hash uint64) *part { return &x.parts[hash>>(64-partBits)] }

// find returns the number under that hash that is the wanted one, 0 for none.
func (x *index) find(hash uint64, wanted func(number uint32) bool) uint32 {
	p := x.part(hash)
	for i := p.place(uint32(hash)); i < len(p.entries); i = p.after(i) {
		switch e := p.entries[i]; {
		case e == 0:
			return 0
		case uint32(e>>32) == uint32(hash) && wanted(uint32(e)):
			return uint32(e)
		}
	}
	return 0 // no entries at all
}

// add puts a number that is not there under its hash.
func (x *index) add(hash uint64, number uint32) {
	p := x.part(hash)
	if 4*p.used >= 3*len(p.entries) {
		grown := part{entries: make([]uint64, max(leastPart, len(p.entries)*3/2)), used: p.used}
		for _, e := range p.entries {
			if e != 0 {
				grown.put(e)
			}
		}
		*p = grown
	}
	p.put(hash<<32 | uint64(number))
	p.used++
}

func (p *part) put(entry uint64) {
	i := p.place(uint32(entry >> 32))
	for p.entries[i] != 0 {
		i = p.after(i)
	}
	p.entries[i] = entry
}

// place is where to begin looking for a hash.
func (p *part) place(hash uint32) int {
	return int(uint64(hash) * uint64(len(p.entries)) >> 32)
}

func (p *part) after(i int) int {
	if i++; i < len(p.entries) {
		return i
	}
	return 0
}
