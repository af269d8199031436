package exchange_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

var (
	commands     = flag.Int("reference.commands", 20_000, "how many random commands the rules are held against the reference with")
	commandsSeed = flag.Int64("reference.seed", 1, "of those commands")
)

// match runs both side by side.
type match struct {
	*testing.T
	*rand.Rand
	reference
	state, fork *exchange.State
	pending     []exchange.Event // applied to fork and not to state
	seq         int64
	open        []*entry        // that commands are about: most of them are
	timed       []*entry        // that expire, if they are pending then
	last        []func() string // the last commands, for who looks for a difference
	met         map[string]int
	done        []keyedPatch // with a key, the last ones
	refusal     *exchange.Error
	notes       int // of the last command
	events      int
}

// keyedPatch is one that may be sent again.
type keyedPatch struct {
	asked
	key string
}

func (m *match) pick(from ...string) string { return from[m.Intn(len(from))] }

var people = []string{"agent", "phone", "tablet", "robot"}

// TestRulesAreTheProtocol holds the rules against the reference with random commands. The million takes
// -reference.commands=1000000.
func TestRulesAreTheProtocol(t *testing.T) {
	m := &match{
		T: t, Rand: rand.New(rand.NewSource(*commandsSeed)), state: exchange.New(), met: map[string]int{},
		reference: reference{now: time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC), threads: map[string]*entry{}, able: map[string][]string{}, keyed: map[string]*keyedAnswer{}},
	}
	m.fork = m.state.Fork()
	for _, id := range people {
		m.decide(&exchange.Register{ID: id, KeyHash: "key-" + id})
		m.able[id] = nil
	}
	for n := range *commands {
		if m.Intn(3) == 0 {
			m.now = m.now.Add(time.Duration(m.Intn(3000)) * time.Millisecond)
		}
		if m.Intn(1000) == 0 {
			m.now = m.now.Add(time.Duration(m.Intn(26)) * time.Hour) // keys live for 24
		}
		m.command(n)
		m.checkDue()
		if m.Intn(4) == 0 {
			m.land()
		}
		if n%max(997, *commands/50) == 0 {
			m.restore()
			m.checkAll()
		}
	}
	for _, answer := range strings.Fields("ok created expired thread_closed already_claimed forbidden reserved missing_capability too_early dependency_open unconfirmed invalid thread_not_found again idempotency_key_reused") {
		if m.met[answer] < *commands/400 {
			t.Errorf("%s was met %d times: that says little", answer, m.met[answer])
		}
	}
	t.Logf("%d commands: %v", *commands, m.met)
}

func (m *match) command(n int) {
	switch k := m.Intn(100); {
	case k < 12 || len(m.open) == 0:
		m.create(n)
	case k < 14:
		m.profile()
	case k < 18:
		m.expireDue()
	default:
		m.patch()
	}
}

// decide decides a command on the fork and applies its events there.
func (m *match) decide(c exchange.Command) (moves int, code string) {
	now := m.now
	m.last = append(m.last[max(0, len(m.last)-30):], func() string { return now.Format("15:04:05.000 ") + describe(c) })
	drafts, refusal := c.Decide(m.fork, m.now)
	m.refusal, m.notes, m.events = refusal, 0, len(drafts)
	for _, d := range drafts {
		if d.Type == exchange.NoteAnswered {
			m.notes++
		}
		m.seq++
		e := exchange.Event{Seq: m.seq, TS: m.now, Thread: d.Thread, Type: d.Type, Actor: d.Actor, Payload: d.Payload}
		m.fork.Apply(e)
		m.pending = append(m.pending, e)
		if d.Type == exchange.StatusChanged {
			moves++
		}
	}
	if refusal != nil {
		return moves, string(refusal.Code)
	}
	return moves, ""
}

// land makes what was decided durable.
func (m *match) land() {
	for _, e := range m.pending {
		m.state.Apply(e)
	}
	m.pending = nil
	m.fork = m.state.Fork()
	if m.Intn(5) == 0 {
		m.fork = m.fork.Fork()
	}
}

// restore goes on from a snapshot.
func (m *match) restore() {
	m.land()
	m.state = decoded(m.T, encoded(m.T, m.state.Freeze()))
	m.fork = m.state.Fork()
}

func (m *match) caller(id string) exchange.Caller {
	return exchange.Caller{Executor: id, KeyHash: "key-" + id}
}

func (m *match) create(n int) {
	e := &entry{status: "pending", requestor: m.pick(people...), messages: 1}
	e.setBy = e.requestor
	request := map[string]any{"intent": "x"}
	timing := map[string]any{}
	constraints := map[string]any{"timing": timing}
	soon := func() time.Time { return m.now.Add(time.Duration(1+m.Intn(9000)) * time.Millisecond) }
	if m.Intn(4) == 0 {
		e.requires = []string{m.pick("see", "hear", "lift")}
		request["requires"] = []any{e.requires[0], map[string]any{e.requires[0]: 1}}[m.Intn(2):]
	}
	if m.Intn(4) == 0 {
		timing["expires"] = soon()
		e.neededBy = timing["expires"].(time.Time)
	}
	if m.Intn(5) == 0 {
		e.neededBy = soon()
		request["needed_by"] = e.neededBy
	}
	if m.Intn(5) == 0 {
		e.notBefore = soon()
		timing["not_before"] = e.notBefore
	}
	if e.confirmBefore = m.Intn(4) == 0; e.confirmBefore || m.Intn(2) == 0 {
		request["confirm_before"] = e.confirmBefore
	}
	if m.Intn(4) == 0 && len(m.open) > 0 {
		e.dependsOn = []string{m.open[m.Intn(len(m.open))].ref}
		constraints["depends_on"] = e.dependsOn
	}
	request["constraints"] = constraints
	body, err := json.Marshal(request)
	if err != nil {
		m.Fatal(err)
	}
	c := &exchange.Create{Caller: m.caller(e.requestor), Intent: "x", Request: body, Suffixes: []string{fmt.Sprintf("N%d", n)}}
	if _, code := m.decide(c); code != "" {
		m.Fatalf("%s was refused: %s", body, code)
	}
	e.ref = c.Result.Ref
	m.threads[e.ref] = e
	m.open = append(m.open, e)
	if !e.neededBy.IsZero() {
		m.timed = append(m.timed, e)
	}
	m.met["created"]++
	m.checkThread(e)
}

func (m *match) profile() {
	id := m.pick(people...)
	m.able[id] = nil
	for _, c := range []string{"see", "hear", "lift"} {
		if m.Intn(2) == 0 {
			m.able[id] = append(m.able[id], c)
		}
	}
	able := slices.Clone(m.able[id])
	m.decide(&exchange.UpdateExecutor{Caller: m.caller(id), ID: id, Capabilities: &able})
}

func (m *match) expireDue() {
	due := 0
	for _, e := range m.timed {
		if m.due(e) {
			m.reference.expire(e)
			due++
		}
	}
	c := &exchange.Expire{}
	if moves, code := m.decide(c); moves != due || code != "" || c.Result.Expired != due || c.Result.More {
		m.fail("%d of %d expired (%+v) %s", moves, due, c.Result, code)
	}
	m.met["expired"] += due
	for _, e := range m.timed {
		m.checkThread(e)
	}
}

func (m *match) patch() {
	a := m.random()
	k := m.key(a)
	c := &exchange.Update{Caller: m.caller(a.who), Ref: a.ref, Status: a.body, Mess: a.mess()}
	if k != "" {
		c.Once = exchange.NewOnce(k, "PATCH", a.ref, []byte(a.request()))
	}
	before, again := m.reference.once(a, k)
	moves, code := m.decide(c)
	if code != a.wantsCode || moves != a.wantsMoves || code == "" && (c.Result.Status != a.wantsStatus || c.Result.Ref != a.ref) {
		m.fail("%+v\nanswers %q %s with %d moves", a, code, c.Result.Status, moves)
	}
	switch {
	case again && m.events > 0, !again && (k != "") != (m.notes == 1):
		m.fail("%+v with the key %q: %d events, %d notes", a, k, m.events, m.notes)
	case again && code != "idempotency_key_reused" && (before.refusal != nil) != (code != ""), again && code != "idempotency_key_reused" && code != "" && *before.refusal != *m.refusal:
		m.fail("%+v is refused with %v, was with %v", a, m.refusal, before.refusal)
	case k != "" && !again:
		before.refusal = m.refusal
		m.done = append(m.done[max(0, len(m.done)-200):], keyedPatch{*a, k})
	}
	switch {
	case again && code != "idempotency_key_reused":
		code = "again"
	case code == "":
		code = "ok"
	}
	m.met[code]++
	if e := m.threads[a.ref]; e != nil {
		m.checkThread(e)
	}
}

// key gives a PATCH a key, or makes it one that was sent before with its key, or another with that key.
func (m *match) key(a *asked) string {
	n := m.Intn(20)
	if n > 11 || len(m.done) == 0 && n < 2 {
		return ""
	}
	if n >= 2 {
		return fmt.Sprint("key ", m.Int63())
	}
	before := m.done[m.Intn(len(m.done))]
	if n == 0 || m.Intn(2) == 0 {
		*a = before.asked
	} else {
		a.who = before.who
	}
	a.wantsCode, a.wantsStatus, a.wantsMoves = "", "", 0
	return before.key
}

// random is a PATCH, more often than not by someone whom the thread concerns.
func (m *match) random() *asked {
	if len(m.open) > 40 {
		for _, e := range m.open[:20] {
			e.forgotten = true
		}
		m.open = m.open[20:]
	}
	e := m.open[m.Intn(len(m.open))]
	for tries := 0; in(ends, e.status) && tries < 3; tries++ {
		e = m.open[m.Intn(len(m.open))]
	}
	a := &asked{who: m.pick(append(people, e.requestor, e.holder, e.holder, e.holder)...), ref: e.ref}
	if a.who == "" {
		a.who = m.pick(people...)
	}
	statuses := append(strings.Fields(work+" pending delegated cancelled superseded expired"), "claimed", "claimed", "needs_confirmation", "needs_confirmation", "completed",
		"in-progress", "needs-input", "needs-confirmation", "rejected", "delegated", "delegated", "delegated", "canceled", "nonsense")
	switch m.Intn(6) {
	case 0, 1:
		a.body = m.pick(statuses...)
	case 2, 3:
		a.block = m.pick(statuses...)
	case 4:
		a.body, a.block = m.pick(statuses...), m.pick(statuses...)
		if m.Intn(3) > 0 {
			a.block = a.body
		}
	}
	if a.block != "" {
		a.delegatedTo, a.ifDenied = m.pick("", "phone", "tablet", "nobody"), m.pick("", "cancelled", "held", "canceled")
	}
	if strings.HasPrefix(e.status, "needs") && m.Intn(2) == 0 {
		a.who, a.body, a.block = e.requestor, "", ""
		a.reply = true
	}
	a.reply = a.reply || m.Intn(10) == 0
	if a.reply {
		a.confirm = m.pick("", "true", "true", "false", "1")
	}
	a.cancel = m.Intn(50) == 0
	a.message = m.Intn(4) == 0
	if m.Intn(100) == 0 {
		a.ref = "2026-02-01-NONE"
	}
	return a
}

func (a *asked) mess() []json.RawMessage {
	var all []json.RawMessage
	add := func(format string, args ...any) { all = append(all, fmt.Appendf(nil, format, args...)) }
	if a.message {
		add(`{"response":{}}`)
	}
	if a.block != "" {
		add(`{"status":{"code":%q,"delegated_to":%q,"if_denied":%q}}`, a.block, a.delegatedTo, a.ifDenied)
	}
	if a.reply && a.confirm != "" {
		add(`{"reply":{"re":"last","confirm":%s}}`, a.confirm)
	} else if a.reply {
		add(`{"reply":{"re":"last"}}`)
	}
	if a.cancel {
		add(`{"cancel":{}}`)
	}
	return all
}

func (m *match) checkThread(e *entry) {
	m.Helper()
	t, ok := m.fork.Thread(e.ref)
	if !ok || t.Status != e.status || t.Executor != e.holder || t.StatusBy != e.setBy || t.Messages != e.messages {
		m.fail("%+v\nis %+v", *e, t)
	}
	for _, id := range people {
		x, _ := m.fork.Executor(id)
		want := (e.reserved == "" || e.reserved == id) && !slices.ContainsFunc(e.requires, func(c string) bool { return !slices.Contains(m.able[id], c) })
		if got := m.fork.Eligible(t, x); e.status == "pending" && got != want {
			m.fail("%s is eligible for %+v: %v", id, *e, got)
		}
	}
}

// checkDue holds NextDue against the open threads.
func (m *match) checkDue() {
	var want time.Time
	m.timed = slices.DeleteFunc(m.timed, func(e *entry) bool { return in(ends, e.status) || e.forgotten && e.status != "pending" })
	for _, e := range m.timed {
		if e.status == "pending" && (want.IsZero() || e.neededBy.Before(want)) {
			want = e.neededBy
		}
	}
	if got, ok := m.fork.NextDue(); ok == want.IsZero() || !got.Equal(want) {
		m.fail("the next thread expires at %v (%v), want %v", got, ok, want)
	}
}

func (m *match) checkAll() {
	for _, e := range m.threads {
		m.checkThread(e)
	}
}

func (m *match) fail(format string, args ...any) {
	m.Helper()
	for _, c := range m.last {
		m.Log(c())
	}
	m.Fatalf(format, args...)
}

func describe(c exchange.Command) string {
	switch c := c.(type) {
	case *exchange.Create:
		return fmt.Sprintf("%s creates %s %s", c.Executor, c.Result.Ref, c.Request)
	case *exchange.Update:
		return fmt.Sprintf("%s patches %s %q %s", c.Executor, c.Ref, c.Status, c.Mess)
	}
	return fmt.Sprintf("%T %+v", c, c)
}
