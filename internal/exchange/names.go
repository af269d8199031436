package exchange

import (
	"math"
	"slices"
	"strings"
)

// names numbers the words that many threads have in common: statuses, priorities, and who did
// something. Number 0 is the empty one. There are no more than events have used, and none is ever
// forgotten. Beside each stands when an actor of that name last caused an event.
type names struct {
	numbers map[string]uint32
	list    []string
	classes []uint8 // classOf each
	seen    []int64 // Unix milliseconds, or never
}

const never = math.MinInt64

func newNames() names {
	return names{numbers: map[string]uint32{"": 0}, list: []string{""}, classes: []uint8{classOf("")}, seen: []int64{never}}
}

func (n *names) number(name string) uint32 {
	if i, known := n.numbers[name]; known {
		return i
	}
	return n.add(strings.Clone(name)) // may be a part of a whole object of the log
}

func (n *names) add(name string) uint32 {
	i := uint32(len(n.list))
	n.numbers[name] = i
	n.list = append(n.list, name)
	n.classes = append(n.classes, classOf(name))
	n.seen = append(n.seen, never)
	return i
}

// set changes a number so that it stands for name, without a look-up where it already does.
func (n *names) set(number *uint32, name string) {
	if n.list[*number] != name {
		*number = n.number(name)
	}
}

// freeze returns a copy for reading, without the numbers and the classes.
func (n *names) freeze() names {
	return names{list: slices.Clip(n.list), seen: slices.Clone(n.seen)}
}
