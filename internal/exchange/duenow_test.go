package exchange

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Ensure that what is due comes in order, without what is skipped, and nothing that is not.
func TestUndeliveredDue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		s := New()
		o := &s.table.outbox
		o.open, o.queue.place = map[int64]*Undelivered{}, map[int64]int{}
		now, skipped := int64(random.IntN(50)), random.Int64N(5)
		skip := func(event int64) bool { return event%5 == skipped }
		var want []dueEvent
		for event := range random.Int64N(60) {
			d := dueEvent{at: int64(random.IntN(50)), event: event}
			o.open[event] = &Undelivered{Event: event, Due: time.UnixMilli(d.at)}
			heap.Push(&o.queue, d)
			if d.at <= now && !skip(event) {
				want = append(want, d)
			}
		}
		slices.SortFunc(want, func(a, b dueEvent) int {
			if a.at != b.at {
				return int(a.at - b.at)
			}
			return int(a.event - b.event)
		})
		want = want[:min(len(want), 7)]
		got := s.UndeliveredDue(time.UnixMilli(now), 7, skip)
		if len(got) != len(want) {
			t.Fatalf("%d of %d", len(got), len(want))
		}
		for i, u := range got {
			if u.Event != want[i].event {
				t.Fatalf("event %d in the place of %d", u.Event, want[i].event)
			}
		}
	}
}
