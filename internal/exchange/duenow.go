package exchange

import (
	"container/heap"
	"time"
)

// UndeliveredDue returns events of which somebody is to be told by now, those due longest first, and not those that
// skip says are being told already. s must not be a fork. Cost: the logarithm of them, for each that is
// returned or skipped.
func (s *State) UndeliveredDue(now time.Time, most int, skip func(event int64) bool) []*Undelivered {
	o := &s.table.outbox
	var found []*Undelivered
	next := dueFrontier{queue: &o.queue}
	next.add(0, now.UnixMilli())
	for len(next.at) > 0 && len(found) < most {
		i := heap.Pop(&next).(int)
		next.add(2*i+1, now.UnixMilli())
		next.add(2*i+2, now.UnixMilli())
		if event := o.queue.list[i].event; !skip(event) {
			found = append(found, o.open[event])
		}
	}
	return found
}

// dueFrontier is a heap of places in a dueQueue whose parents were visited.
type dueFrontier struct {
	queue *dueQueue
	at    []int
}

// add adds a place, if what is there is due by then.
func (f *dueFrontier) add(i int, by int64) {
	if i < len(f.queue.list) && f.queue.list[i].at <= by {
		heap.Push(f, i)
	}
}

// The methods of heap.Interface.

func (f *dueFrontier) Len() int           { return len(f.at) }
func (f *dueFrontier) Less(i, j int) bool { return f.queue.Less(f.at[i], f.at[j]) }
func (f *dueFrontier) Swap(i, j int)      { f.at[i], f.at[j] = f.at[j], f.at[i] }

// Push implements heap.Interface.
func (f *dueFrontier) Push(x any) { f.at = append(f.at, x.(int)) }

// Pop implements heap.Interface.
func (f *dueFrontier) Pop() any {
	last := f.at[len(f.at)-1]
	f.at = f.at[:len(f.at)-1]
	return last
}
