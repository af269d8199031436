package exchange_test

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// view is all that a state shows, copied deeply enough to notice any change of what it handed out.
type view struct {
	Threads   []exchange.Thread
	Messages  map[string][]exchange.At
	ByStatus  map[string][]string
	Executors []exchange.Executor
	Taken     []string
	Keys      map[string]string
	Seen      map[string]time.Time
	ReadOnly  string
	Terms     map[string]exchange.Terms
	Due       time.Time
}

func look(s *exchange.State) view {
	v := view{Messages: map[string][]exchange.At{}, ByStatus: map[string][]string{}, Keys: map[string]string{}, Seen: map[string]time.Time{}, ReadOnly: s.ReadOnly(), Terms: map[string]exchange.Terms{}}
	v.Due, _ = s.NextDue()
	for _, t := range s.Threads(exchange.Filter{}) {
		v.Threads = append(v.Threads, t)
		v.Messages[t.Ref] = s.Messages(t.Ref)
		v.Terms[t.Ref] = copyTerms(s.Terms(t.Ref))
		v.ByStatus[t.Status] = nil
	}
	v.Taken = slices.Clone(s.TakenIDs())
	for status := range v.ByStatus {
		for _, t := range s.Threads(exchange.Filter{Status: status}) {
			v.ByStatus[status] = append(v.ByStatus[status], t.Ref)
		}
	}
	for _, e := range s.Executors() {
		v.Executors = append(v.Executors, copyExecutor(e))
		v.Seen[e.ID] = s.LastEvent(e.ID)
		if owner, ok := s.ExecutorByKeyHash(e.KeyHash); ok {
			v.Keys[e.KeyHash] = owner.ID
		}
	}
	return v
}

func copyExecutor(e *exchange.Executor) exchange.Executor {
	c := *e
	c.Capabilities = slices.Clone(e.Capabilities)
	return c
}

func copyTerms(t exchange.Terms) exchange.Terms {
	t.Requires, t.DependsOn = slices.Clone(t.Requires), slices.Clone(t.DependsOn)
	return t
}

// checkLists holds what must be true of the lists of any state: the newest first, each thread once, and
// the list of a status the list of all, filtered.
func checkLists(t *testing.T, s *exchange.State) {
	t.Helper()
	all := s.Threads(exchange.Filter{})
	newestFirst := func(a, b exchange.Thread) int {
		return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp.Compare(b.Seq, a.Seq))
	}
	if !slices.IsSortedFunc(all, newestFirst) {
		t.Fatal("the list is not in order of (UpdatedAt, Seq), the newest first")
	}
	byStatus := map[string][]exchange.Thread{}
	refs := map[string]bool{}
	for _, thread := range all {
		byStatus[thread.Status] = append(byStatus[thread.Status], thread)
		if refs[thread.Ref] {
			t.Fatalf("%s is listed twice", thread.Ref)
		}
		refs[thread.Ref] = true
		if got, ok := s.Thread(thread.Ref); !ok || got != thread {
			t.Fatalf("%s is listed as another thread than it is", thread.Ref)
		}
		if n := len(s.Messages(thread.Ref)); n != thread.Messages {
			t.Fatalf("%s has %d messages and says %d", thread.Ref, n, thread.Messages)
		}
	}
	for _, status := range exchange.Statuses() {
		if got := s.Threads(exchange.Filter{Status: status}); !slices.Equal(got, byStatus[status]) {
			t.Fatalf("the list of %s is not the list of all, filtered", status)
		}
	}
	for n := 1; n <= len(all); n += 7 {
		if got := s.Threads(exchange.Filter{Limit: n}); !slices.Equal(got, all[:n]) {
			t.Fatalf("a list of %d is not the beginning of the list of all", n)
		}
	}
}

// history is a random life of an exchange.
type history struct {
	*rand.Rand
	state  *exchange.State
	events []exchange.Event
	now    time.Time
	keys   map[string]string
}

func (h *history) pick(from ...string) string { return from[h.Intn(len(from))] }

func (h *history) caller() exchange.Caller {
	id := h.pick("agent", "phone", "tablet", "robot")
	key := h.keys[id]
	if h.Intn(30) == 0 {
		key = h.pick("", "stale", h.keys["agent"])
	}
	return exchange.Caller{Executor: id, KeyHash: key}
}

func (h *history) command() exchange.Command {
	if h.Intn(100) == 0 {
		c := h.caller()
		return &exchange.Remove{Caller: c, ID: h.pick(c.Executor, c.Executor, c.Executor, "agent")}
	}
	switch n := h.Intn(20); {
	case n == 0:
		id := h.pick("agent", "phone", "tablet", "robot", "late", "../x")
		return &exchange.Register{ID: id, KeyHash: "hash of " + id, Once: h.once()}
	case n == 1:
		c := h.caller()
		name := h.pick("", "a name")
		return &exchange.UpdateExecutor{Caller: c, ID: h.pick(c.Executor, c.Executor, "agent"), DisplayName: &name}
	case n == 2 && h.Intn(3) == 0:
		c := h.caller()
		return &exchange.RotateKey{Caller: c, ID: h.pick(c.Executor, c.Executor, "agent"), KeyHash: fmt.Sprint("key ", h.Int63())}
	case n < 5:
		return &exchange.Create{
			Caller: h.caller(), Intent: h.pick("see", "fetch", "fetch", ""), Priority: h.pick("", "urgent", "low"),
			Request: json.RawMessage(h.request()), Suffixes: []string{h.suffix(), h.suffix()}, Once: h.once(),
		}
	case n == 5:
		return &exchange.Expire{}
	case n == 6 && h.Intn(2) == 0:
		return &exchange.Import{Caller: h.caller(), Threads: []exchange.Imported{h.imported(), h.imported()}}
	}
	statuses := append(exchange.Statuses()[:8], exchange.Statuses()...)
	statuses = append(statuses, exchange.Delegated, "claimed", "in-progress", "canceled", "nonsense", "", "", "")
	u := &exchange.Update{Caller: h.caller(), Once: h.once(), Ref: h.ref(), Status: h.pick(statuses...), Message: h.pick("", "note")}
	if thread, ok := h.state.Thread(u.Ref); ok && thread.Executor != "" && h.Intn(2) == 0 {
		u.Caller = exchange.Caller{Executor: thread.Executor, KeyHash: h.keys[thread.Executor]}
	}
	if h.Intn(8) == 0 {
		u.Status = "" // so that a block may name one
	}
	for range h.Intn(3) {
		if h.Intn(2) == 0 {
			u.Mess = append(u.Mess, json.RawMessage(`{"response":{}}`))
			continue
		}
		u.Mess = append(u.Mess, json.RawMessage(h.pick(
			`{"response": {"content": ["done"]}}`, `{"status": {"code": "in_progress"}}`, `{"status":{"code":"completed"}}`, `{"cancel":{}}`, `7`, `{"reply":{"re":"last"}}`,
			`{"reply":{"confirm":true}}`, `{"reply":{"confirm":false}}`, `{"status":{"code":"needs_confirmation","if_denied":"cancelled"}}`, `{"status":{"code":"delegated","delegated_to":"phone"}}`)))
	}
	return u
}

// once is a key in every third command, one of a few, with one of two bodies.
func (h *history) once() exchange.Once {
	if h.Intn(3) > 0 {
		return exchange.Once{}
	}
	return exchange.NewOnce(fmt.Sprint(h.Intn(60)), "", "", fmt.Append(nil, h.Intn(2)))
}

// request is a request block; its times come within a few batches.
func (h *history) request() string {
	soon := h.now.Add(time.Duration(h.Intn(60)) * time.Millisecond).Format(time.RFC3339Nano)
	if h.Intn(2) == 0 {
		return `{"intent":"x"}`
	}
	return h.pick(`{"confirm_before":true,"requires":["see"]}`, `{"needed_by":"`+soon+`"}`, `{"needed_by":"`+soon+`","confirm_before":true}`,
		`{"constraints":{"timing":{"not_before":"`+soon+`"},"depends_on":"`+h.ref()+`"}}`, `{"constraints":5}`)
}

// imported is a thread from elsewhere, which may be here already.
func (h *history) imported() exchange.Imported {
	ref := h.ref()
	if h.Intn(2) == 0 {
		ref = exchange.NewRef(h.now, h.suffix())
	}
	docs := []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"ref":%q,"requestor":%q,"executor":%q,"status":%q,"intent":"x"}`,
		ref, h.pick("agent", "phone", "stranger"), h.pick("", "phone", "stranger"), h.pick(exchange.Statuses()...)))}
	for range h.Intn(3) {
		docs = append(docs, json.RawMessage(`{"from":"agent","MESS":[{"request":`+h.request()+`},{"status":{"code":"delegated","delegated_to":"phone"}}]}`))
	}
	one, _ := exchange.NewImported(ref, docs, nil) // fails for no documents only
	return one
}

func (h *history) suffix() string { return fmt.Sprintf("AA%02d", h.Intn(40)) }

func (h *history) ref() string {
	if threads := h.state.Threads(exchange.Filter{Limit: 8}); len(threads) > 0 && h.Intn(10) > 0 {
		return threads[h.Intn(len(threads))].Ref
	}
	return exchange.NewRef(h.now, h.suffix())
}

// batch decides some commands one after the other on a fork, as the log does, and returns their events.
func (h *history) batch(t *testing.T) (*exchange.State, []exchange.Event) {
	fork := h.state.Fork()
	var events []exchange.Event
	add := func(d exchange.Draft) {
		e := exchange.Event{
			Seq: int64(len(h.events) + len(events) + 1), TS: h.now, Thread: d.Thread, Type: d.Type, Actor: d.Actor, Payload: d.Payload,
		}
		binary.BigEndian.PutUint64(e.At[:], uint64(e.Seq))
		fork.Apply(e)
		events = append(events, e)
	}
	for range 1 + h.Intn(5) {
		h.now = h.now.Add(time.Duration(h.Intn(3)) * time.Millisecond)
		c := h.command()
		before := look(fork)
		drafts, refusal := c.Decide(fork, h.now)
		if !reflect.DeepEqual(look(fork), before) {
			t.Fatalf("deciding %+v changed the state", c)
		}
		again, refusalAgain := c.Decide(fork, h.now)
		if !reflect.DeepEqual(drafts, again) || !reflect.DeepEqual(refusal, refusalAgain) {
			t.Fatalf("%+v was decided in two ways", c)
		}
		done := slices.DeleteFunc(slices.Clone(drafts), func(d exchange.Draft) bool { return d.Type == exchange.NoteAnswered })
		if refusal != nil && len(done) > 0 && (len(done) > 1 || done[0].Actor != "-") {
			t.Fatalf("%+v was refused, and did %+v", c, drafts)
		}
		if len(drafts)-len(done) > 1 {
			t.Fatalf("%+v has two notes: %+v", c, drafts)
		}
		for _, d := range drafts {
			add(d)
		}
		if c, ok := c.(*exchange.RotateKey); ok && refusal == nil {
			h.keys[c.ID] = c.KeyHash
		}
		if h.Intn(40) == 0 { // a new key, as another replica may have given one
			id := h.pick("phone", "robot")
			if _, there := fork.Executor(id); !there {
				continue
			}
			h.keys[id] = fmt.Sprint("key ", len(h.events))
			add(exchange.Draft{Type: exchange.ExecutorUpdated, Actor: id, Payload: json.RawMessage(`{"api_key_hash":"` + h.keys[id] + `"}`)})
		}
	}
	return fork, events
}

// historySeeds is how many histories are tried; fewer under the race detector.
var historySeeds = int64(60)

// Whatever is asked: a fork shows what its base will show once the events are in it, and changes
// nothing in it; what was handed out stays as it was; and the events alone give the same state again.
func TestEventsTellTheWholeState(t *testing.T) {
	changes, seeds := 0, historySeeds
	for seed := range seeds {
		h := newHistory(t, seed)
		handedOut := map[*exchange.Executor]exchange.Executor{}
		for range 100 {
			before := look(h.state)
			keys := fmt.Sprint(h.keys)
			fork, events := h.batch(t)
			checkLists(t, fork)
			tentative := look(fork)
			if !reflect.DeepEqual(look(h.state), before) {
				t.Fatalf("seed %d: a fork changed its base", seed)
			}
			if keys == fmt.Sprint(h.keys) && h.Intn(4) == 0 {
				continue // the position was lost: the batch is dropped
			}
			for _, e := range h.state.Executors() {
				handedOut[e] = copyExecutor(e)
			}
			for _, e := range events {
				h.state.Apply(e)
			}
			h.events = append(h.events, events...)
			if !reflect.DeepEqual(look(h.state), tentative) {
				t.Fatalf("seed %d: the state is not what its fork showed", seed)
			}
		}
		for e, then := range handedOut {
			if !reflect.DeepEqual(copyExecutor(e), then) {
				t.Fatalf("seed %d: %s was changed after it was handed out", seed, then.ID)
			}
		}
		checkLists(t, h.state)
		changes += checkHistory(t, h.events)
		again := exchange.New()
		for _, e := range h.events {
			again.Apply(e)
		}
		if !reflect.DeepEqual(look(again), look(h.state)) {
			t.Fatalf("seed %d: the events give another state", seed)
		}
		if diff := exchange.Difference(again, h.state, equalPlaces); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
	t.Logf("%d changes of a status", changes)
	if changes < 20*int(seeds) {
		t.Errorf("only %d changes of a status in %d histories: they say little", changes, seeds)
	}
}

func newHistory(t *testing.T, seed int64) *history {
	t.Helper()
	h := &history{Rand: rand.New(rand.NewSource(seed)), state: exchange.New(), now: time.Date(2026, 2, 1, 23, 59, 59, 900e6, time.UTC), keys: map[string]string{}}
	for _, id := range []string{"agent", "phone", "tablet", "robot"} {
		h.keys[id] = "hash of " + id
		events, refusal := (&exchange.Register{ID: id, KeyHash: h.keys[id]}).Decide(h.state, h.now)
		if refusal != nil {
			t.Fatal(refusal)
		}
		e := exchange.Event{Seq: int64(len(h.events) + 1), TS: h.now, Type: events[0].Type, Actor: events[0].Actor, Payload: events[0].Payload}
		h.state.Apply(e)
		h.events = append(h.events, e)
	}
	return h
}

// told is what payloads say of a thread.
type told struct {
	RequestorID string     `json:"requestor_id"`
	OldStatus   string     `json:"old_status"`
	NewStatus   string     `json:"new_status"`
	ExecutorID  *string    `json:"executor_id"`
	Documents   []envelope `json:"documents"`
}

type envelope struct {
	Requestor string `json:"requestor"`
	Executor  string `json:"executor"`
	Status    string `json:"status"`
}

// holder is who holds an imported thread.
func (e envelope) holder() string {
	if e.Status == "pending" {
		return ""
	}
	return e.Executor
}

// checkHistory reads the events as an outsider would, without the rules: no thread goes from one
// executor to another without being free in between, only its holder or its requestor moves it, nothing
// moves it from its end, and each change begins where the last one ended. Who was removed does nothing any
// more and holds nothing. It returns how many changes there were.
func checkHistory(t *testing.T, events []exchange.Event) (changes int) {
	t.Helper()
	type last struct{ status, executor, requestor string }
	threads := map[string]*last{}
	ends := []string{"completed", "partial", "failed", "declined", "expired", "cancelled", "superseded"}
	gone := map[string]bool{}
	for _, e := range events {
		if gone[e.Actor] {
			t.Fatalf("%s of %s, who was removed", e.Type, e.Actor)
		}
		var p told
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			t.Fatalf("%s: %v", e.Payload, err)
		}
		switch e.Type {
		case "executor_removed":
			gone[e.Actor] = true
			for ref, l := range threads {
				if l.executor == e.Actor && !slices.Contains(ends, l.status) {
					t.Fatalf("%s was removed and holds %s", e.Actor, ref)
				}
			}
		case "thread_created":
			if threads[e.Thread] != nil {
				t.Fatalf("%s was created twice", e.Thread)
			}
			threads[e.Thread] = &last{status: "pending", requestor: p.RequestorID}
		case "thread_imported":
			if threads[e.Thread] != nil {
				t.Fatalf("%s was there before its import", e.Thread)
			}
			envelope := p.Documents[0]
			threads[e.Thread] = &last{envelope.Status, envelope.holder(), envelope.Requestor}
		case "status_changed":
			changes++
			l := threads[e.Thread]
			executor := ""
			if p.ExecutorID != nil {
				executor = *p.ExecutorID
			}
			switch {
			case p.OldStatus != l.status:
				t.Fatalf("%s goes on from %s, but it is %s", e.Payload, p.OldStatus, l.status)
			case slices.Contains(ends, l.status):
				t.Fatalf("%s: a closed thread moved", e.Payload)
			case l.executor != "" && executor != "" && executor != l.executor:
				t.Fatalf("%s: the thread was %s's", e.Payload, l.executor)
			case p.NewStatus == "expired" && (e.Actor != "-" || l.status != "pending"):
				t.Fatalf("%s by %s: only the exchange lets threads expire, and only pending ones", e.Payload, e.Actor)
			case p.NewStatus == "expired":
			case e.Actor != executor && e.Actor != l.executor && e.Actor != l.requestor:
				t.Fatalf("%s: %s moved what is not theirs", e.Payload, e.Actor)
			case (p.NewStatus == "pending") != (executor == "") && p.NewStatus != "cancelled" && p.NewStatus != "superseded":
				t.Fatalf("%s: pending is what nobody holds", e.Payload)
			}
			l.status, l.executor = p.NewStatus, executor
		}
	}
	return changes
}
