package exchange

import "slices"

// sparse is an array of the terms that few threads have, by the number of the thread. It has leaves only
// where there are some, so threads without any cost next to nothing. A frozen copy costs a list of leaves;
// after that each leaf is copied before it is changed for the first time. The records themselves are
// replaced and never changed.
type sparse struct {
	leaves []*leaf // nil where no thread has any
	now    uint32  // freezes so far; a leaf of an earlier epoch may be in a frozen copy
}

// leafShift: a leaf is for 1 << leafShift threads.
const leafShift = 6

type leaf struct {
	records [1 << leafShift]*Terms
	used    int
	epoch   uint32
}

// at returns the terms of a thread, nil for none.
func (x *sparse) at(number uint32) *Terms {
	if n := number >> leafShift; int(n) < len(x.leaves) && x.leaves[n] != nil {
		return x.leaves[n].records[number&(1<<leafShift-1)]
	}
	return nil
}

// set replaces the terms of a thread; nil removes them.
func (x *sparse) set(number uint32, t *Terms) {
	before := x.at(number)
	if before == t {
		return
	}
	n := int(number >> leafShift)
	l := x.change(n)
	l.records[number&(1<<leafShift-1)] = t
	if before == nil {
		l.used++
	}
	if t == nil {
		l.used--
	}
	if l.used == 0 {
		x.leaves[n] = nil
	}
}

// change returns a leaf to be written to.
func (x *sparse) change(n int) *leaf {
	if n >= len(x.leaves) {
		x.leaves = append(x.leaves, make([]*leaf, n+1-len(x.leaves))...)
	}
	switch l := x.leaves[n]; {
	case l == nil:
		x.leaves[n] = &leaf{epoch: x.now}
	case l.epoch != x.now:
		own := *l
		own.epoch = x.now
		x.leaves[n] = &own
	}
	return x.leaves[n]
}

// freeze returns a copy for reading, which later changes of x leave alone.
func (x *sparse) freeze() sparse {
	x.now++
	return sparse{leaves: slices.Clone(x.leaves)}
}
