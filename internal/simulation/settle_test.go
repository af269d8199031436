package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// settle is the quiet end of a run: nothing goes wrong any more, all that is under way arrives, and then the
// replicas, the store and the log must be the same thing.
func (w *world) settle(t *testing.T) {
	w.quiet = true
	w.tracef("quiet")
	for _, r := range w.replicas {
		r.suspended, r.cutOff = 0, 0
		r.skew.Store(0)
	}
	for _, c := range w.parked {
		if c.stage != lost {
			c.held = 0
		}
	}
	w.rest()
	author := w.author()
	if author == nil || !w.see() {
		return
	}
	w.jump(10 * 24 * time.Hour) // longer than any clock was ahead
	w.ask(author, create)
	w.jump(3 * 24 * time.Hour)
	for range 2 { // the second finds nothing more to do
		for _, r := range w.replicas {
			w.compact(r)
		}
		w.rest()
	}
	if w.see() && !w.failed() {
		w.judgeFolder()
		w.judgeReplay(t)
	}
}

// rest takes turns until nothing is under way.
func (w *world) rest() {
	resting := false
	for range maxTurns {
		w.takeTurn(func() {
			if resting = w.resting(); !resting {
				w.goOn()
			}
		})
		if resting || w.failed() {
			return
		}
	}
	w.fail("the world does not come to rest")
}

func (w *world) resting() bool {
	for _, r := range w.replicas {
		if !r.up || r.starting || r.merging {
			return false
		}
	}
	return len(w.parked)+len(w.late)+len(w.running) == 0
}

// author returns a client with a key.
func (w *world) author() *client {
	for _, c := range w.clients {
		if c.caller.Exchange != "" {
			return c
		}
	}
	w.fail("in %d days no client got a key", days)
	return nil
}

// ask has a client make one call at each replica, or the first only where it changes something, all of which
// must be answered.
func (w *world) ask(c *client, a action) {
	for _, r := range w.replicas {
		w.tokens++
		o := &operation{client: c, replica: r, action: a, token: fmt.Sprintf("tok-%d", w.tokens)}
		if a == list {
			o.token = ""
		}
		w.begin(o)
		w.rest()
		if w.failed() {
			return
		}
		if o.err != nil {
			w.fail("%s is answered %v, though nothing goes wrong", o, o.err)
			return
		}
		if a != list {
			return
		}
	}
}

// see wants each replica to show the whole log.
func (w *world) see() bool {
	author := w.author()
	w.shown = w.witness.head()
	w.ask(author, list)
	return !w.failed()
}

// judgeFolder wants what a query on the folder sees to be each event of the log once and nothing else, and
// each closed day to be one object.
func (w *world) judgeFolder() {
	seen := make([]int, len(w.witness.log))
	objects := map[string]int{}
	for _, key := range w.bucket.keys {
		if !strings.HasPrefix(key, folder) {
			continue
		}
		day, _, _ := at(key)
		objects[day]++
		for _, raw := range strings.Split(strings.TrimSpace(string(w.bucket.objects[key].Data)), "\n") {
			var l line
			if err := json.Unmarshal([]byte(raw), &l); err != nil && !strings.Contains(raw, `"-schema"`) {
				w.fail("%s holds a line that is no event: %v", key, err)
			}
			switch {
			case l.ExchangeID == "-schema":
			case l.Seq > w.witness.head() || w.witness.log[l.Seq].ID != l.EventID:
				w.fail("a query sees an event of seq %d that is not the log's", l.Seq)
			default:
				seen[l.Seq]++
			}
		}
	}
	for seq, n := range seen {
		if n != 1 {
			w.fail("a query sees seq %d %d times", seq, n)
		}
	}
	for day := range w.witness.closed {
		if objects[day] != 1 {
			w.fail("%s is %d objects in the end", day, objects[day])
		}
	}
}

// collector is a machine that only keeps what it is given.
type collector struct{ events []eventlog.Event }

func (r *collector) Apply(events []eventlog.Event) { r.events = append(r.events, events...) }
func (r *collector) Fork() eventlog.Tentative      { return nil }

// unanswered tells a note of a profile that nobody was told to have: its process ended between the
// registration and its answer.
func (w *world) unanswered(note string) bool {
	profile, ok := strings.CutPrefix(note, "executors/exchange="+home+"/")
	return ok && !slices.ContainsFunc(w.clients, func(c *client) bool {
		return c.id != "" && strings.HasPrefix(profile, c.id+".json ")
	})
}

// judgeReplay wants a cold start to read exactly the log, and Check to find nothing wrong with it.
func (w *world) judgeReplay(t *testing.T) {
	ctx := context.Background()
	v := newView(w.bucket, nil, 0, w.now)
	report, err := engine.Check(ctx, v, home)
	report.Notes = slices.DeleteFunc(report.Notes, w.unanswered)
	if err != nil || len(report.Findings)+len(report.Notes) > 0 || report.Events != w.witness.head() {
		w.fail("check: %v, of %d events: %q %q", err, report.Events, report.Findings, report.Notes)
	}
	r := &collector{}
	l, err := eventlog.Open(ctx, v, home, r, eventlog.Options{})
	if err != nil {
		w.fail("a cold start fails: %v", err)
		return
	}
	defer func() {
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	if len(r.events) != len(w.witness.log) {
		w.fail("a cold start reads %d of %d events", len(r.events), len(w.witness.log))
	}
	for _, e := range r.events {
		w.witness.applied(-1, exchange.Event(e))
	}
}
