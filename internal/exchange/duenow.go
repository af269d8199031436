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
	f := frontier{of: &o.queue}
	f.add(0)
	for f.Len() > 0 && len(found) < most {
		i := heap.Pop(&f).(int)
		if o.queue.list[i].at > now.UnixMilli() {
			break
		}
		f.add(2*i + 1)
		f.add(2*i + 2)
		if event := o.queue.list[i].event; !skip(event) {
			found = append(found, o.open[event])
		}
	}
	return found
}
