package exchange_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// model is what a state is held against: the same rules, told in the plainest way, with everything in
// maps and nothing of how the state keeps it.
type model struct {
	threads   map[string]exchange.Thread
	changed   map[string]int // when it was last changed
	messages  map[string][]exchange.At
	imports   map[string]exchange.At
	history   map[string][]exchange.Change
	terms     map[string]exchange.Terms
	executors []exchange.Executor
	taken     []string
	gone      map[string]bool
	keys      map[string]string
	seen      map[string]time.Time
	readOnly  string
	answers   map[string]fact // by actor and key
	idle      map[string]bool
	now       time.Time
	events    int
}

func newModel() *model {
	return &model{threads: map[string]exchange.Thread{}, changed: map[string]int{}, messages: map[string][]exchange.At{}, imports: map[string]exchange.At{}, history: map[string][]exchange.Change{}, terms: map[string]exchange.Terms{}, gone: map[string]bool{}, answers: map[string]fact{}, idle: map[string]bool{}, keys: map[string]string{}, seen: map[string]time.Time{}}
}

// fact is an event before its payload is written.
type fact struct {
	exchange.Event
	intent, priority, requestor string // of thread_created
	status, executor            string // of status_changed
	confirmed                   bool
	delegatedTo, ifDenied       string
	terms                       exchange.Terms // of the request in message_added
	said                        int            // messages of thread_imported, which has the terms, the intent and so on of the others too
	created                     time.Time      // of thread_imported
	name, key                   string         // of an executor
	once, request               int            // of note_answered
	code                        exchange.Code
}

func (f *fact) encode() {
	all := map[string]any{}
	switch f.Type {
	case exchange.ThreadCreated:
		all = map[string]any{"intent": f.intent, "priority": f.priority, "requestor_id": f.requestor}
	case exchange.ThreadImported:
		docs := []any{map[string]any{"intent": f.intent, "priority": f.priority, "requestor": f.requestor, "executor": f.executor, "status": f.status, "created": f.created}}
		for range f.said {
			docs = append(docs, map[string]any{"from": f.Actor, "received": f.created, "MESS": []any{map[string]any{"request": requestWith(f.terms)}}})
		}
		all = map[string]any{"documents": docs}
	case exchange.StatusChanged:
		all = map[string]any{"new_status": f.status, "executor_id": f.executor, "confirmed": f.confirmed, "delegated_to": f.delegatedTo, "if_denied": f.ifDenied}
	case exchange.MessageAdded:
		all = map[string]any{"mess": []any{map[string]any{"request": requestWith(f.terms)}}}
	case exchange.ExecutorRegistered, exchange.ExecutorUpdated:
		all = map[string]any{"display_name": f.name, "capabilities": []string{f.name, ""}, "api_key_hash": f.key}
	}
	f.Payload, _ = json.Marshal(all) // texts only
	if f.Type == exchange.NoteAnswered {
		f.Payload = json.RawMessage(onceOf(f.once, f.request).Payload(f.answer()))
	}
}

// onces are all there are, since hashing them again and again would take most of the time.
var onces = func() (all [keys + 1][2]exchange.Once) {
	for key := range all {
		for request := range all[key] {
			all[key][request] = exchange.NewOnce(fmt.Sprint(key), "PATCH", "/", fmt.Append(nil, request))
		}
	}
	return all
}()

func onceOf(key, request int) exchange.Once { return onces[key][request] }

func requestWith(t exchange.Terms) map[string]any {
	timing := map[string]any{"expires": t.NeededBy, "not_before": t.NotBefore}
	return map[string]any{
		"requires": t.Requires, "confirm_before": t.ConfirmBefore, "constraints": map[string]any{"timing": timing, "depends_on": t.DependsOn},
	}
}

// answer is what a note_answered says.
func (f *fact) answer() (status int, code exchange.Code, sentence string, r exchange.Result) {
	if f.code != "" {
		return 409, f.code, f.intent, r
	}
	return 200, "", "", exchange.Result{Ref: f.Thread, Status: f.status}
}

// note keeps the first answer to a key for a day.
func (m *model) note(f fact) {
	delete(m.idle, f.Actor)
	name := fmt.Sprint(f.Actor, " ", f.once)
	before, known := m.answers[name]
	if known && f.TS.Sub(before.TS) < exchange.KeyLife || f.Actor == "" {
		return
	}
	if _, there := m.threads[f.Thread]; there || f.Thread == "" || f.code != "" {
		m.answers[name] = f
	}
}

// checkActors asks of everyone for what they did last, for every key, and for one that was never used.
func (m *model) checkActors(t *testing.T, s *exchange.State) {
	t.Helper()
	for _, actor := range []string{"", "agent", "phone", "tablet", "ghost", "nobody"} {
		if got := s.LastEvent(actor); got != m.seen[actor] {
			t.Fatalf("%q was last seen %v, not %v", actor, got, m.seen[actor])
		}
		if s.Idle(actor) != m.idle[actor] {
			t.Fatalf("%q is idle: %v", actor, s.Idle(actor))
		}
		for key := range keys + 1 {
			want := ""
			if f, ok := m.answers[fmt.Sprint(actor, " ", key)]; ok && m.now.Sub(f.TS) < exchange.KeyLife {
				status, code, sentence, result := f.answer()
				want = fmt.Sprint(status, code, sentence, result, f.request == 0)
			}
			if got := exchange.AnswerTo(s, actor, onceOf(key, 0), m.now); got != want {
				t.Fatalf("%s was answered to key %d of %q, not %s", got, key, actor, want)
			}
		}
	}
}

// keys is of how many the facts are.
const keys = 12

func (m *model) apply(f fact) {
	m.events++
	ts := f.TS.UTC().Truncate(time.Millisecond)
	m.now = ts
	switch f.Type {
	case exchange.NoteAnswered:
		m.note(f)
		return
	case exchange.ExecutorRegistered, exchange.ExecutorUpdated:
		m.profile(f, ts)
	case exchange.ExecutorRemoved:
		m.remove(f)
	case exchange.ThreadCreated, exchange.StatusChanged, exchange.MessageAdded:
		m.change(f, ts)
	case exchange.ThreadImported:
		m.imported(f, ts)
	case exchange.DayClosed:
		return
	default:
		if m.readOnly == "" && f.Seq > 0 && !strings.HasPrefix(f.Type, "note_") {
			m.readOnly = f.Type
		}
		return
	}
	if f.Actor != "" {
		m.seen[f.Actor] = ts
	}
	delete(m.idle, f.Actor)
	if f.Actor != "" && f.Type == exchange.ExecutorRegistered && f.Seq > 0 && !m.gone[f.Actor] {
		m.idle[f.Actor] = true
	}
}

func (m *model) profile(f fact, ts time.Time) {
	i := slices.IndexFunc(m.executors, func(e exchange.Executor) bool { return e.ID == f.Actor })
	if f.Actor == "" || m.gone[f.Actor] || i < 0 && f.Type == exchange.ExecutorUpdated {
		return
	}
	if i < 0 {
		m.taken = append(m.taken, f.Actor)
		i = len(m.executors)
		m.executors = append(m.executors, exchange.Executor{ID: f.Actor, CreatedAt: ts})
	}
	e := &m.executors[i]
	if f.name != "" {
		e.DisplayName = f.name
	}
	if e.DisplayName == "" {
		e.DisplayName = e.ID
	}
	e.Capabilities = []string{f.name, ""}
	if f.key != "" {
		if e.KeyHash != f.key && m.keys[e.KeyHash] == e.ID {
			delete(m.keys, e.KeyHash)
		}
		e.KeyHash = f.key
	}
	// A hash that two have is the first one's until that one gives it up and the other is told of again.
	if _, taken := m.keys[e.KeyHash]; !taken && e.KeyHash != "" {
		m.keys[e.KeyHash] = e.ID
	}
}

func (m *model) remove(f fact) {
	i := slices.IndexFunc(m.executors, func(e exchange.Executor) bool { return e.ID == f.Actor })
	if i < 0 {
		return
	}
	if hash := m.executors[i].KeyHash; m.keys[hash] == f.Actor {
		delete(m.keys, hash)
	}
	m.gone[f.Actor] = true
	m.executors = slices.Delete(m.executors, i, i+1)
}

func (m *model) change(f fact, ts time.Time) {
	t, known := m.threads[f.Thread]
	if !known {
		if f.Thread == "" || f.Seq > 0 && f.Type != exchange.ThreadCreated {
			return
		}
		t = exchange.Thread{Ref: f.Thread, Status: "pending", Priority: "normal", CreatedAt: ts}
	}
	switch f.Type {
	case exchange.ThreadCreated:
		t.Intent, t.CreatedAt, t.Priority, t.Requestor = f.intent, ts, f.priority, f.requestor
		if t.Priority == "" {
			t.Priority = "normal"
		}
		if t.Requestor == "" {
			t.Requestor = f.Actor
		}
		if t.StatusBy == "" {
			t.StatusBy = t.Requestor
		}
	case exchange.StatusChanged:
		from := t.Status
		m.move(&t, f)
		m.course(&t, from, f)
	case exchange.MessageAdded:
		if t.Messages++; t.Messages == 1 {
			m.terms[t.Ref] = f.terms
		}
		m.messages[t.Ref] = append(m.messages[t.Ref], f.At)
	}
	t.UpdatedAt, t.Seq = ts, f.Seq
	m.threads[t.Ref] = t
	m.changed[t.Ref] = m.events
}

func (m *model) move(t *exchange.Thread, f fact) {
	if f.status == "" {
		return
	}
	claims := f.status != "cancelled" && f.status != "delegated" && !strings.HasPrefix(f.status, "odd") && t.Executor == ""
	to := f.status
	if to == "delegated" {
		to = "pending"
	}
	switch {
	case f.Seq > 0:
		t.Executor = f.executor
	case to == "pending":
		t.Executor = ""
	case to == "claimed" || claims:
		t.Executor = f.executor
		if f.executor == "" {
			t.Executor = f.Actor
		}
	}
	t.Status, t.StatusBy = to, f.Actor
	m.history[t.Ref] = append(m.history[t.Ref], exchange.Change{Status: to, By: f.Actor, At: f.TS.UTC().Truncate(time.Millisecond), Messages: t.Messages})
}

// course is what a change of the status means for the terms.
func (m *model) course(t *exchange.Thread, from string, f fact) {
	if f.Seq > 0 && strings.Contains("completed cancelled declined", t.Status) {
		delete(m.terms, t.Ref)
		return
	}
	terms := m.terms[t.Ref]
	terms.ReservedFor = f.delegatedTo
	terms.DenialCancels = t.Status == "needs_confirmation" && f.ifDenied == "cancelled"
	terms.Confirmed = terms.Confirmed || terms.ConfirmBefore && f.confirmed
	if !strings.HasPrefix(t.Status, "needs_") {
		terms.Before = ""
	} else if !strings.HasPrefix(from, "needs_") {
		terms.Before = map[string]string{"in_progress": from, "waiting": from}[from]
	}
	m.terms[t.Ref] = terms
}

// due is when the next thread expires.
func (m *model) due() (next time.Time) {
	for ref, t := range m.terms {
		if m.threads[ref].Status == "pending" && !t.NeededBy.IsZero() && (next.IsZero() || t.NeededBy.Before(next)) {
			next = t.NeededBy
		}
	}
	return next
}

// list is the list of a status, "" for all.
func (m *model) list(status string) []exchange.Thread {
	list := []exchange.Thread{}
	for _, t := range m.threads {
		if status == "" || t.Status == status {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b exchange.Thread) int { return m.changed[b.Ref] - m.changed[a.Ref] })
	return list
}

// check holds a state against the model.
func (m *model) check(t *testing.T, s *exchange.State) {
	t.Helper()
	statuses := map[string]bool{"": true, "nonsense": true, "declined": true}
	for _, want := range m.threads {
		if got, ok := s.Thread(want.Ref); !ok || got != want {
			t.Fatalf("got  %+v, %v\nwant %+v", got, ok, want)
		}
		if got := s.Messages(want.Ref); !slices.Equal(got, m.messages[want.Ref]) {
			t.Fatalf("messages of %s: got %x, want %x", want.Ref, got, m.messages[want.Ref])
		}
		if got := s.Terms(want.Ref); !reflect.DeepEqual(got, m.terms[want.Ref]) {
			t.Fatalf("terms of %s: got %+v, want %+v", want.Ref, got, m.terms[want.Ref])
		}
		m.checkPast(t, s, want.Ref)
		statuses[want.Status] = true
	}
	for status := range statuses {
		want := m.list(status)
		if got := s.Threads(exchange.Filter{Status: status}); !slices.Equal(got, want) {
			t.Fatalf("the list of %q is not as it should be", status)
		}
		if got := s.Threads(exchange.Filter{Status: status, Limit: 3}); !slices.Equal(got, want[:min(3, len(want))]) {
			t.Fatalf("the list of three of %q is not as it should be", status)
		}
	}
	m.checkAbsent(t, s)
	if got, ok := s.NextDue(); ok == m.due().IsZero() || !got.Equal(m.due()) {
		t.Fatalf("the next thread expires at %v (%v), want %v", got, ok, m.due())
	}
	var executors []exchange.Executor
	for _, e := range s.Executors() {
		executors = append(executors, *e)
	}
	if len(executors)+len(m.executors) > 0 && !reflect.DeepEqual(executors, m.executors) {
		t.Fatalf("executors\ngot  %+v\nwant %+v", executors, m.executors)
	}
	if got := s.TakenIDs(); !slices.Equal(got, m.taken) {
		t.Fatalf("ids that are taken: got %q, want %q", got, m.taken)
	}
	for _, id := range m.taken {
		if _, there := s.Executor(id); there == m.gone[id] {
			t.Fatalf("%s is there: %v, and is removed: %v", id, there, m.gone[id])
		}
	}
	for key := range 6 {
		hash := keyName(key)
		if e, ok := s.ExecutorByKeyHash(hash); ok != (m.keys[hash] != "") || ok && e.ID != m.keys[hash] {
			t.Fatalf("key %s opens %+v, not %q", hash, e, m.keys[hash])
		}
	}
	m.checkActors(t, s)
	if s.ReadOnly() != m.readOnly {
		t.Fatalf("read-only since %q, not %q", s.ReadOnly(), m.readOnly)
	}
}

func (m *model) checkAbsent(t *testing.T, s *exchange.State) {
	t.Helper()
	if _, ok := s.Thread("2026-02-01-NONE"); ok {
		t.Fatal("a thread that was never made is there")
	}
}

func keyName(n int) string { return []string{"", "ka", "kb", "kc", "kd", "ke"}[n] }

// facts returns n random events: first those of an original server, then this one's. Few refs make long
// lives, many make more than one page of threads.
func facts(seed int64, n, refs int) []fact {
	r := rand.New(rand.NewSource(seed))
	pick := func(from ...string) string { return from[r.Intn(len(from))] }
	ts := time.Date(2026, 2, 1, 0, 0, 0, 0, time.FixedZone("", 7200))
	old := r.Intn(n)
	all := make([]fact, n)
	for i := range all {
		ts = ts.Add(time.Duration(r.Intn(3)) * 700 * time.Microsecond)
		if r.Intn(n/3) == 0 {
			ts = ts.Add(time.Duration(r.Intn(30)) * time.Hour)
		}
		f := fact{Event: exchange.Event{TS: ts}}
		if i >= old {
			f.Seq = int64(i - old + 1)
			f.TS = ts.Truncate(time.Millisecond)
		}
		f.Type = pick(exchange.ThreadCreated, exchange.ThreadCreated, exchange.StatusChanged, exchange.StatusChanged, exchange.StatusChanged, exchange.MessageAdded,
			exchange.MessageAdded, exchange.MessageAdded, exchange.ThreadImported, exchange.ExecutorRegistered, exchange.ExecutorUpdated, exchange.DayClosed, exchange.NoteAnswered, exchange.NoteAnswered)
		if r.Intn(n) == 0 {
			f.Type = pick("note_x", "unheard_of", "never_heard_of")
		}
		if r.Intn(n) < 3 {
			f.Type = exchange.ExecutorRemoved
		}
		f.Actor = pick("agent", "phone", "tablet", "ghost", "")
		binary.LittleEndian.PutUint64(f.At[r.Intn(16):], r.Uint64())
		if f.Type != exchange.DayClosed {
			f.Thread = fmt.Sprintf("2026-02-01-%d", r.Intn(refs))
		}
		switch {
		case f.Seq == 0 && r.Intn(20) == 0:
			f.Thread = pick("", "?", strings.Repeat("long ref ", 20), "ein ünding", "\x00")
		case f.Seq > 0 && (f.Type == exchange.ThreadCreated || f.Type == exchange.ThreadImported):
			f.Thread = fmt.Sprintf("2026-02-01-N%d", i) // this server makes none twice
		}
		f.intent = strings.Repeat(pick("look", "ä", "see"), 1<<r.Intn(6))
		if r.Intn(150) == 0 {
			f.intent = strings.Repeat(pick("1 ", "2 "), 1<<(10+r.Intn(8))) // a chunk takes 64 KiB
		}
		f.priority = pick("", "normal", "urgent", "odd priority")
		f.requestor = pick("", "agent", "robot")
		f.status = pick("", "claimed", "in_progress", "completed", "pending", "cancelled", "delegated", "odd", fmt.Sprint("odd", r.Intn(50)), "waiting", "needs_input", "needs_confirmation", "pending")
		f.executor = pick("", "phone", "tablet")
		f.confirmed, f.delegatedTo, f.ifDenied = r.Intn(2) == 0, pick("", "", "phone"), pick("", "cancelled", "held")
		f.once, f.request, f.code = r.Intn(keys), r.Intn(2), exchange.Code(pick("", "", "thread_closed", "odd code"))
		if f.Type == exchange.NoteAnswered && r.Intn(3) == 0 {
			f.Thread = ""
		}
		f.terms = someTermsOf(r)
		f.said, f.created = r.Intn(4), ts.Add(-time.Hour).UTC().Truncate(time.Millisecond)
		f.name, f.key = pick("", "see", "hear"), keyName(r.Intn(6))
		f.encode()
		all[i] = f
	}
	return all
}

// someTermsOf returns what a request asks for, mostly nothing.
func someTermsOf(r *rand.Rand) (t exchange.Terms) {
	when := func() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, r.Intn(1000)*1e6, time.UTC) }
	if r.Intn(3) == 0 {
		t.NeededBy = when()
	}
	if r.Intn(5) == 0 {
		t.NotBefore = when()
	}
	if r.Intn(5) == 0 {
		t.Requires = []string{"see", "hear"}[:1+r.Intn(2)]
	}
	if r.Intn(5) == 0 {
		t.DependsOn = []string{"2026-02-01-1"}
	}
	t.ConfirmBefore = r.Intn(5) == 0
	return t
}

// sizes are of histories: short ones, long lives of few threads, and many threads, which fill several
// pages and chunks.
var sizes = []struct{ events, refs int }{{30, 3}, {400, 10}, {400, 10}, {800, 300}, {2400, 1500}}

// Whatever the events are, a state shows what the model says, and so does a fork at any moment of it.
func TestStateIsWhatTheModelSays(t *testing.T) {
	for seed := range int64(20) {
		size := sizes[seed%int64(len(sizes))]
		s, m := exchange.New(), newModel()
		all := facts(seed, size.events, size.refs)
		for len(all) > 0 {
			n := min(len(all), size.events/5)
			fork := s.Fork()
			for i, f := range all[:n] {
				if i == n/2 {
					fork = fork.Fork()
				}
				fork.Apply(f.Event)
				m.apply(f)
			}
			m.check(t, fork)
			for _, f := range all[:n] {
				s.Apply(f.Event)
			}
			m.check(t, s)
			all = all[n:]
		}
	}
}
