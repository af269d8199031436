package simulation

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
)

// stage is how far a call has come.
type stage int

const (
	sent     stage = iota
	answered       // carried out, the answer is on its way
	lost           // nothing comes back; only the caller's patience ends it
)

// call is a request at the gate.
type call struct {
	request
	view   *view
	ctx    context.Context
	reply  chan answer
	gone   bool // its caller no longer waits; guarded by the world's lock
	number int
	stage  stage
	answer answer
	again  bool      // the SDK has sent it twice
	held   int       // turns before this one pass it by
	due    time.Time // of a late one
}

func (c *call) String() string {
	key := c.key
	if day, seq, ok := at(key); ok {
		key = fmt.Sprintf("%s #%d", day, seq)
	}
	return fmt.Sprintf("r%d %s %s (%d)", c.view.number, c.kind, key, c.number)
}

type clientKey struct{}

// client is the number of the client that reads for itself, -1 for a call of the process.
func (c *call) client() int {
	if n, ok := c.ctx.Value(clientKey{}).(int); ok {
		return n
	}
	return -1
}

// compare orders calls that arrived in one turn.
func (c *call) compare(o *call) int {
	return cmp.Or(cmp.Compare(c.view.number, o.view.number), cmp.Compare(c.client(), o.client()),
		strings.Compare(string(c.kind), string(o.kind)), strings.Compare(c.key, o.key), cmp.Compare(c.from, o.from))
}

// pass is the gate: it parks a call until the scheduler lets it on.
func (w *world) pass(ctx context.Context, v *view, r request) answer {
	c := &call{request: r, view: v, ctx: ctx, reply: make(chan answer, 1)}
	w.mu.Lock()
	if w.replicas[v.number].view != v { // the process has been killed
		w.mu.Unlock()
		return answer{err: callblob.ErrRefused}
	}
	w.arrived = append(w.arrived, c)
	w.mu.Unlock()
	select {
	case a := <-c.reply:
		return a
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		c.gone = true
		return answer{err: ctx.Err()}
	}
}

// dropGone takes calls from the gate whose callers no longer wait. A write among them may still be on its way.
func (w *world) dropGone() {
	w.parked = slices.DeleteFunc(w.parked, func(c *call) bool {
		w.mu.Lock()
		gone := c.gone
		w.mu.Unlock()
		if gone {
			w.tracef("%s is given up", c)
			if c.stage == sent && w.rng.IntN(2) == 0 {
				w.makeLate(c)
			}
		}
		return gone
	})
}

// makeLate lets a write be carried out within days.
func (w *world) makeLate(c *call) {
	if !c.kind.writes() {
		return
	}
	c.due = w.now().Add(time.Duration(w.rng.Int64N(int64(120 * time.Hour))))
	if w.rng.IntN(2) == 0 {
		c.due = w.now().Add(time.Duration(w.rng.Int64N(int64(time.Minute))))
	}
	w.late = append(w.late, c)
}

// advance lets a call go on by one stage, with what befalls it there.
func (w *world) advance(c *call) {
	if i := slices.Index(w.late, c); i >= 0 {
		w.late = slices.Delete(w.late, i, i+1)
		w.counts.landedLate++
		w.tracef("%s lands late: %v", c, c.evaluate().err)
		return
	}
	is := w.dice()
	switch {
	case w.turn < w.replicas[c.view.number].cutOff:
		w.counts.lost++
		err := callblob.ErrCut
		if c.stage == sent {
			switch w.rng.IntN(8) {
			case 0, 1: // this way it still works
				c.evaluate()
			case 2: // whatever is in the way says no
				err = callblob.ErrRefused
			}
		}
		w.answer(c, answer{err: err})
	case is(w.moods.hold):
		c.held = w.turn + w.rng.IntN(500)
		w.tracef("%s is held until %d", c, c.held)
	case c.stage == sent:
		w.carryOut(c, is)
	default:
		w.deliver(c, is)
	}
}

// carryOut lets a request that was sent come to the store, or not.
func (w *world) carryOut(c *call, is func(int) bool) {
	switch {
	case is(w.moods.refuse):
		w.answer(c, answer{err: callblob.ErrRefused})
	case is(w.moods.lose):
		w.lose(c)
	case c.kind.writes() && is(w.moods.late):
		w.makeLate(c)
		w.answer(c, answer{err: callblob.ErrCut})
	default:
		c.answer = c.evaluate()
		c.stage = answered
		w.tracef("%s is carried out: %v", c, c.answer.err)
		if w.rng.IntN(2) == 0 { // at once, as most are
			w.answer(c, c.answer)
		}
	}
}

// deliver lets an answer come back, or not.
func (w *world) deliver(c *call, is func(int) bool) {
	switch a := c.answer; {
	case is(w.moods.lose):
		w.lose(c)
	case c.kind.writes() && !c.again && is(w.moods.lose):
		c.stage, c.again = sent, true // by the SDK, which got no answer
		w.counts.again++
		w.tracef("%s is sent again", c)
	case c.kind == kindGet && bytes.Count(a.object.Data, []byte("\n")) > 1 && is(w.moods.cut):
		w.counts.cut++
		a.err = callblob.ErrCut
		w.answer(c, a)
	default:
		w.answer(c, a)
	}
}

// lose lets nothing come back, or the news that the connection is cut.
func (w *world) lose(c *call) {
	w.counts.lost++
	_, bounded := c.ctx.Deadline()
	if (bounded || c.kind == kindGet) && w.rng.IntN(6) == 0 { // others wait without end for an SDK that has an end of its own
		c.stage, c.held = lost, maxTurns
		w.tracef("%s is lost without a trace", c)
		return
	}
	w.answer(c, answer{err: callblob.ErrCut})
}

// answer lets an answer through. Where the SDK has sent twice, a store knows that the first may have been
// carried out: then the second one's refusal says nothing (internal/bucket, s3error.go).
func (w *world) answer(c *call, a answer) {
	if c.again && (errors.Is(a.err, callblob.ErrRefused) || errors.Is(a.err, callblob.ErrChanged)) {
		a.err = callblob.ErrCut
	}
	w.tracef("%s gets its answer: %v", c, a.err)
	w.unpark(c)
	c.reply <- a
}

func (w *world) unpark(c *call) {
	w.parked = slices.DeleteFunc(w.parked, func(other *call) bool { return other == c })
}
