package exchange_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// outboxSeeds is how many histories are tried; fewer under the race detector.
var outboxSeeds = int64(12)

// outboxWorld applies random events to a state and to a model of what is to be told, which is as simple as the rule:
// it keeps everything, and copies everybody for each event.
type outboxWorld struct {
	*testing.T
	*rand.Rand
	state *exchange.State
	seq   int64
	now   time.Time

	executors  []modelExecutor
	threads    map[string]*modelThread
	lease      exchange.Lease
	open       map[int64]*modelOpen
	external   map[string]string
	deliveries []exchange.Delivered
}

type modelExecutor struct {
	id, name string
	caps     []string
	hearing  exchange.Hearing
	removed  bool
}

type modelThread struct{ ref, requestor, status, executor string }

type modelOpen struct {
	created       bool
	before, after modelThread
	present       []modelExecutor
	told          int
	round         int64
	due           time.Time
	tries         map[string]modelTry // by executor and way
}

type modelTry struct {
	attempts int
	next     time.Time
	delivery int // in deliveries
}

func newOutboxWorld(t *testing.T, seed int64) *outboxWorld {
	return &outboxWorld{
		T: t, Rand: rand.New(rand.NewSource(seed)), state: exchange.New(), now: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		threads: map[string]*modelThread{}, open: map[int64]*modelOpen{}, external: map[string]string{},
	}
}

func (w *outboxWorld) pick(from ...string) string { return from[w.Intn(len(from))] }

func (w *outboxWorld) apply(typ, thread, actor string, payload any) {
	w.seq++
	w.now = w.now.Add(time.Duration(w.Intn(2000)) * time.Millisecond)
	encoded, err := json.Marshal(payload)
	if err != nil {
		w.Fatal(err)
	}
	w.state.Apply(exchange.Event{ID: fmt.Sprint(w.seq), Seq: w.seq, TS: w.now, Thread: thread, Type: typ, Actor: actor, Payload: encoded, At: exchange.At{byte(w.seq), byte(w.seq >> 8)}})
}

func (w *outboxWorld) step() {
	switch n := w.Intn(20); {
	case n < 2:
		w.profile()
	case n < 3 && len(w.executors) > 0:
		w.lastLease()
	case n < 7:
		w.create()
	case n < 13 && len(w.threads) > 0:
		w.change()
	default:
		w.deliver()
	}
}

// profile registers, changes or removes somebody.
func (w *outboxWorld) profile() {
	id := "e" + fmt.Sprint(w.Intn(8))
	at := slices.IndexFunc(w.executors, func(e modelExecutor) bool { return e.id == id })
	payload := map[string]any{"display_name": w.pick("A", "B", "C"), "capabilities": []string{w.pick("see", "hear")}}
	hearing := exchange.Hearing{}
	if at >= 0 {
		hearing = w.executors[at].hearing
	}
	if w.Intn(4) > 0 {
		kinds := [][]string{{}, {"channels"}, {"hooks"}, {"channels", "hooks", "pigeons"}}[w.Intn(4)]
		payload["notify"] = kinds
		hearing = exchange.Hearing{Known: true, Channels: slices.Contains(kinds, "channels"), Hooks: slices.Contains(kinds, "hooks")}
	}
	one := modelExecutor{id: id, name: payload["display_name"].(string), caps: payload["capabilities"].([]string), hearing: hearing}
	switch {
	case at < 0:
		w.apply(exchange.ExecutorRegistered, "", id, payload)
		w.executors = append(w.executors, one)
	case w.executors[at].removed:
	case w.Intn(6) == 0:
		w.apply(exchange.ExecutorRemoved, "", id, map[string]any{})
		w.executors[at] = modelExecutor{id: id, removed: true}
	default:
		w.apply(exchange.ExecutorUpdated, "", id, payload)
		w.executors[at] = one
	}
}

func (w *outboxWorld) lastLease() {
	holder := w.pick("first", "second")
	w.apply(exchange.NoteLease, "", "-", map[string]any{"holder": holder, "duration_ms": 20000})
	w.lease = exchange.Lease{Holder: holder, Duration: 20 * time.Second, Seq: w.seq}
}

func (w *outboxWorld) create() {
	t := &modelThread{ref: fmt.Sprintf("2026-02-01-%d", w.seq+1), requestor: w.pick("e0", "e1", "e2"), status: "pending"}
	w.threads[t.ref] = t
	w.apply(exchange.ThreadCreated, t.ref, t.requestor, map[string]any{"intent": "look", "requestor_id": t.requestor})
	w.happened(t.requestor, nil, t)
}

func (w *outboxWorld) change() {
	refs := make([]string, 0, len(w.threads))
	for ref := range w.threads {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	t := w.threads[refs[w.Intn(len(refs))]]
	before := *t
	actor := w.pick("e0", "e1", "e3", "e4", "-")
	t.status, t.executor = w.pick("claimed", "in_progress", "completed", "pending", "needs_input", "cancelled"), actor
	if t.status == "pending" {
		t.executor = ""
	}
	w.apply(exchange.StatusChanged, t.ref, actor, map[string]any{"old_status": before.status, "new_status": t.status, "executor_id": t.executor})
	w.happened(actor, &before, t)
}

// happened is the rule of what opens.
func (w *outboxWorld) happened(actor string, before, after *modelThread) {
	if before != nil && before.status == after.status && before.executor == after.executor {
		return
	}
	begun, concerned := w.lease.Seq > 0, false
	for _, e := range w.executors {
		if e.removed {
			continue
		}
		unknown := !e.hearing.Known && begun
		party := e.id != actor && (e.id == after.requestor || e.id == after.executor)
		concerned = concerned || unknown || e.hearing.Hooks || e.hearing.Channels && (before == nil || party)
	}
	if !concerned {
		return
	}
	o := &modelOpen{created: before == nil, after: *after, present: slices.Clone(w.executors), due: w.now, tries: map[string]modelTry{}}
	if before != nil {
		o.before = *before
	}
	w.open[w.seq] = o
}

// deliver records a round of an event that is open, most of the time one that can be.
func (w *outboxWorld) deliver() {
	events := make([]int64, 0, len(w.open))
	for event := range w.open {
		events = append(events, event)
	}
	if len(events) == 0 {
		return
	}
	slices.Sort(events)
	event := events[w.Intn(len(events))]
	o := w.open[event]
	round, told := o.round+1, o.told+w.Intn(len(o.present)-o.told+1)
	stale := w.Intn(6) == 0
	if stale {
		round = o.round + w.pickInt(0, 2)
	}
	var outcomes []map[string]any
	for range w.Intn(4) {
		outcome := w.pick("delivered", "retry", "deferred", "failed", "dropped")
		one := map[string]any{"executor": w.pick("e0", "e1", "e5"), "channel": w.pick("channel 0 ntfy", "on_request_created 1 todoist"), "attempt": w.Intn(4), "outcome": outcome, "status": w.Intn(2) * 200, "reason": w.pick("", "why")}
		if outcome == "retry" || outcome == "deferred" {
			one["next"] = w.now.Add(time.Duration(w.Intn(1e6)) * time.Millisecond).Format(time.RFC3339Nano)
		}
		if w.Intn(4) == 0 {
			one["external_id"] = fmt.Sprint("x", w.Intn(9))
		}
		outcomes = append(outcomes, one)
	}
	w.apply(exchange.NoteDelivery, "", "-", map[string]any{"event": event, "ref": o.after.ref, "round": round, "told": told, "outcomes": outcomes})
	if !stale {
		w.recorded(event, o, told, outcomes)
	}
}

func (w *outboxWorld) pickInt(from ...int64) int64 { return from[w.Intn(len(from))] }

func (w *outboxWorld) recorded(event int64, o *modelOpen, told int, outcomes []map[string]any) {
	named := map[string]bool{}
	for _, one := range outcomes {
		executor, way := one["executor"].(string), one["channel"].(string)
		key := executor + " " + way
		if named[key] {
			continue
		}
		named[key] = true
		d := exchange.Delivered{
			Event: event, Created: o.created, Ref: o.after.ref, Executor: executor, Way: way, Outcome: one["outcome"].(string), Attempts: one["attempt"].(int),
			Status: one["status"].(int), Reason: one["reason"].(string), First: w.now, Last: w.now,
		}
		if next, ok := one["next"].(string); ok {
			at, err := time.Parse(time.RFC3339, next)
			if err != nil {
				w.Fatal(err)
			}
			d.Next = at
		}
		t, again := o.tries[key]
		if again {
			before := w.deliveries[t.delivery]
			d.First, d.Attempts = before.First, max(d.Attempts, before.Attempts)
			w.deliveries[t.delivery] = d
		} else {
			t.delivery = len(w.deliveries)
			w.deliveries = append(w.deliveries, d)
		}
		delete(o.tries, key)
		if !d.Next.IsZero() {
			o.tries[key] = modelTry{one["attempt"].(int), d.Next, t.delivery}
		}
		if id, ok := one["external_id"].(string); ok {
			w.external[executor+" "+o.after.ref] = id
		}
	}
	o.told, o.due = told, w.now
	o.round++
	if told < len(o.present) {
		return
	}
	if len(o.tries) == 0 {
		delete(w.open, event)
		return
	}
	o.due = time.Time{}
	for _, t := range o.tries {
		if o.due.IsZero() || t.next.Before(o.due) {
			o.due = t.next
		}
	}
}

// check holds a state against the model.
func (w *outboxWorld) check(s *exchange.State) {
	w.Helper()
	tries, earliest := 0, time.Time{}
	for event, o := range w.open {
		tries += len(o.tries)
		if earliest.IsZero() || o.due.Before(earliest) {
			earliest = o.due
		}
		u, ok := s.Undelivered(event)
		if !ok {
			w.Fatalf("event %d is not open", event)
		}
		w.checkOpen(s, event, o, u)
	}
	if got := s.Outbox(); got != (exchange.Outbox{Events: len(w.open), Tries: tries}) {
		w.Fatalf("%+v, want %d events with %d tries", got, len(w.open), tries)
	}
	if next, ok := s.NextUndelivered(); ok != (len(w.open) > 0) || ok && !next.Due.Equal(earliest) {
		w.Fatalf("the next is %+v, want one at %v", next, earliest)
	}
	if s.Lease() != w.lease {
		w.Fatalf("the lease is %+v, want %+v", s.Lease(), w.lease)
	}
	for _, id := range []string{"e0", "e1", "e5", "nobody"} {
		var want []exchange.Delivered
		for _, d := range slices.Backward(w.deliveries) {
			if d.Executor == id {
				want = append(want, d)
			}
		}
		var got []exchange.Delivered
		for before := uint64(0); ; {
			page, more := s.Deliveries(id, before, 3)
			if got = append(got, page...); more == 0 {
				break
			}
			before = more
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			w.Fatalf("deliveries of %s:\n%v, want\n%v", id, got, want)
		}
		for ref := range w.threads {
			if got := s.ExternalID(id, ref); got != w.external[id+" "+ref] {
				w.Fatalf("what %s has elsewhere for %s is %q, want %q", id, ref, got, w.external[id+" "+ref])
			}
		}
	}
}

func (w *outboxWorld) checkOpen(s *exchange.State, event int64, o *modelOpen, u *exchange.Undelivered) {
	w.Helper()
	got := fmt.Sprint(u.Created, u.After.Ref, u.After.Status, u.After.Executor, u.Before.Status, u.Before.Executor, u.Executors, u.Told, u.Round)
	if want := fmt.Sprint(o.created, o.after.ref, o.after.status, o.after.executor, o.before.status, o.before.executor, len(o.present), o.told, o.round); got != want {
		w.Fatalf("event %d is %s, want %s", event, got, want)
	}
	if !u.Due.Equal(o.due) || len(u.Tries) != len(o.tries) {
		w.Fatalf("event %d is due at %v with the tries %v, want %v with %v", event, u.Due, u.Tries, o.due, o.tries)
	}
	for _, t := range u.Tries {
		if want := o.tries[t.Executor+" "+t.Way]; t.Attempts != want.attempts || !t.Next.Equal(want.next) {
			w.Fatalf("event %d: the try %+v, want %+v", event, t, want)
		}
	}
	var roll, present []string
	for _, e := range s.Roll(u).Executors() {
		roll = append(roll, fmt.Sprint(e.ID, e.DisplayName, e.Capabilities))
	}
	for i, e := range o.present {
		if !e.removed && w.executors[i].hearing != (exchange.Hearing{Known: true}) {
			present = append(present, fmt.Sprint(e.id, e.name, e.caps))
		}
	}
	if o.told < len(o.present) && !slices.Equal(roll, present) { // who was told needs nobody as they were
		w.Fatalf("event %d: the roll is %s, want %s", event, strings.Join(roll, ", "), strings.Join(present, ", "))
	}
}

// Ensure that what is open, when it is due, who was there, what became of deliveries and what was opened elsewhere is
// what the rule says, after any events, and in what a snapshot gives back.
func TestOutboxIsThatOfTheModel(t *testing.T) {
	opened := 0
	for seed := range outboxSeeds {
		w := newOutboxWorld(t, seed)
		for i := range 400 {
			w.step()
			if i%7 > 0 {
				continue
			}
			w.check(w.state)
			b := encoded(t, w.state.Freeze())
			again := decoded(t, b)
			w.check(again)
			if d := exchange.Difference(w.state, again, equalPlaces); d != "" {
				t.Fatal(d)
			}
			if !bytes.Equal(encoded(t, again.Freeze()), b) {
				t.Fatal("what was decoded is encoded in another way")
			}
			if w.Intn(4) == 0 {
				w.state = again // and goes on from there
			}
		}
		opened += len(w.open) + len(w.deliveries)
	}
	if opened < int(25*outboxSeeds) {
		t.Errorf("only %d events and deliveries", opened)
	}
}
