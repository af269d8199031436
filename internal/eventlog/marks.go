package eventlog

import "slices"

// mark says where in its day a position stands: that many bytes of the day lie before it. Marks are how
// events are found again by their seq (events.go), which no key and no listing says of those inside of a
// merged day. They hold before and after a merge, because that is the exact concatenation of the day's commits.
type mark struct{ seq, base int64 }

// A mark is kept at the first commit that begins markSeqs positions or markBytes behind the one before, so
// that to find an event is to read at most that much and one commit; and one of 16 bytes for 16 events or more
// is little beside what a state keeps of them.
const (
	markSeqs  = 16
	markBytes = 64 << 10
)

// markObject adds what is worth a mark of an object that is applied at h: its beginning, and what lies inside of
// a merged day, which is found by its place alone. days are those up to the object's, events those of it that
// are new.
func markObject(marks []mark, h head, o object, events []Event) []mark {
	last := mark{seq: h.dayFirst}
	if n := len(marks); n > 0 && marks[n-1].seq > last.seq {
		last = marks[n-1]
	}
	whole := o.first() == h.dayFirst && o.closes() // the day, in the object that it stays in for good
	for i, e := range events {
		if i > 0 && !whole {
			break
		}
		p := positionOf(e.At)
		m := mark{seq: e.Seq, base: p.base + int64(p.offset)}
		if m.seq-last.seq >= markSeqs || m.base-last.base >= markBytes {
			marks, last = append(marks, m), m
		}
	}
	return marks
}

// marksIn returns the marks of a day, its beginning among them and its end: the first position behind it and
// how many bytes it has.
func marksIn(marks []mark, first int64, end mark) []mark {
	from, _ := slices.BinarySearchFunc(marks, first+1, bySeq)
	to, _ := slices.BinarySearchFunc(marks, end.seq, bySeq)
	in := make([]mark, 0, to-from+2)
	in = append(append(in, mark{seq: first}), marks[from:to]...)
	return append(in, end)
}

func bySeq(m mark, seq int64) int {
	switch {
	case m.seq < seq:
		return -1
	case m.seq > seq:
		return 1
	}
	return 0
}
