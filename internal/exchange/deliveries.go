package exchange

import "time"

// maxDeliveries is how many deliveries a State remembers, the last ones of the exchange. At some 150 bytes each, they
// take at most 5 MB; older ones are in the log.
const maxDeliveries = 1 << 15

// Delivered is a delivery and what has become of it so far.
type Delivered struct {
	Event    int64 // its seq
	Created  bool  // of a new thread; else of a change
	Ref      string
	Executor string
	Way      string
	Outcome  string
	Attempts int // that were made
	Status   int // of the last answer, 0 for none
	Reason   string
	Next     time.Time // of the next attempt; zero for none
	First    time.Time // of the first round that named it
	Last     time.Time
}

// deliveredRow is a Delivered with the number of the one before it of the same executor.
type deliveredRow struct {
	Delivered
	before uint64
}

// delivered is a ring of the last deliveries. They are numbered from 1, and one that goes on keeps its number.
type delivered struct {
	rows  pages[deliveredRow]
	total uint64            // of all there ever were
	last  map[string]uint64 // by executor: the number of its newest
	words map[string]string // ways and reasons, which are few, each kept once
}

// maxWords bounds words; a log that was written by this server has some hundred.
const maxWords = 1 << 12

func newDelivered() delivered {
	return delivered{rows: newPages[deliveredRow](8), last: map[string]uint64{}, words: map[string]string{}}
}

// oldest is the number of the oldest delivery that is remembered.
func (d *delivered) oldest() uint64 { return d.total - min(d.total, maxDeliveries) + 1 }

func (d *delivered) word(s string) string {
	if w, known := d.words[s]; known {
		return w
	}
	if len(d.words) < maxWords && s != "" {
		d.words[s] = s
	}
	return s
}

// add remembers a delivery in the place of the oldest, and returns its number.
func (d *delivered) add(one Delivered) uint64 {
	d.total++
	row := deliveredRow{Delivered: one, before: d.last[one.Executor]}
	row.Way, row.Reason = d.word(one.Way), d.word(one.Reason)
	if at := uint32((d.total - 1) % maxDeliveries); at < d.rows.len() {
		gone := d.rows.change(at)
		if d.last[gone.Executor] == d.total-maxDeliveries {
			delete(d.last, gone.Executor)
		}
		*gone = row
	} else {
		d.rows.add(row)
	}
	d.last[row.Executor] = d.total
	return d.total
}

// at returns a delivery that is remembered.
func (d *delivered) at(number uint64) *deliveredRow {
	return d.rows.at(uint32((number - 1) % maxDeliveries))
}

// follow notes what has become of the delivery of that number, or begins one where it is forgotten or has none.
func (d *delivered) follow(number uint64, one Delivered) uint64 {
	if number < d.oldest() || number > d.total {
		return d.add(one)
	}
	row := d.rows.change(uint32((number - 1) % maxDeliveries))
	row.Outcome, row.Attempts, row.Next, row.Last = one.Outcome, max(row.Attempts, one.Attempts), one.Next, one.Last
	row.Status, row.Reason = one.Status, d.word(one.Reason)
	return number
}

func (d *delivered) freeze() delivered { return delivered{rows: d.rows.freeze(), total: d.total} }

// Deliveries returns those of an executor that are remembered, the newest first, from before the one of that number
// on (0: from the newest), at most limit, and the number before which there are more, 0 for none. s must not be a
// fork. Cost: a step for each that is returned, where before was returned by it, else one for each that is newer.
func (s *State) Deliveries(executor string, before uint64, limit int) (all []Delivered, more uint64) {
	d := &s.table.outbox.delivered
	number := d.last[executor]
	if before > 0 && before <= d.total && before >= d.oldest() && d.at(before).Executor == executor {
		number = d.at(before).before
	} else {
		for before > 0 && number >= before && number >= d.oldest() {
			number = d.at(number).before
		}
	}
	for number >= d.oldest() && number > 0 {
		if len(all) == limit {
			return all, more
		}
		row := d.at(number)
		all, more, number = append(all, row.Delivered), number, row.before
	}
	return all, 0
}

// restore fills an empty ring, behind its count, so that each row is where its number says.
func (d *delivered) restore(rows []Delivered) {
	if d.total > 0 { // then the ring is full
		for range maxDeliveries {
			d.rows.add(deliveredRow{})
		}
	}
	for _, one := range rows {
		d.add(one)
	}
}
