package exchange_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// TestScripts runs testdata/*.txt. Their commands:
//
//	now TIME                          the time of what follows
//	register ID [name=N] [caps=(C,…)] a registration; its key hash is "key-ID" unless key=K
//	create WHO [suffixes=(S,…)]       a POST of the request in the input
//	patch WHO REF [key=K]             a PATCH of the thread with the body in the input
//	profile WHO [of=ID]               a PATCH of a profile with the body in the input
//	rotate WHO [of=ID] [to=HASH]      another key for an executor
//	remove WHO [of=ID]                an executor leaves
//	apply                             folds events, one line of the log each, without deciding anything
//	import WHO [key=K]                an import of the threads in the input, each a JSON list of its documents on a line
//	expire                            what the exchange does at that time by itself
//	thread REF, list [status=(S,…)] [priority=(P,…)] [requestor=R] [executor=X] [eligible=X] [since=T] [limit=N] [next]
//	executors, whose KEYHASH, seen ACTOR
//	terms REF, eligible REF WHO, due, history REF
//	snapshot                          goes on with what a snapshot of the state gives
//
// register, create and patch take once=K, an Idempotency-Key; the request's body is the input.
//
// A command prints its events, then what it answers, or "refused" with the code and the sentence.
// Each is decided on a fork, and its events are then applied to the state and numbered, as the log does.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return // what a fuzz target found
		}
		s := &script{state: exchange.New(), now: time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC)}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	state *exchange.State
	seq   int64
	now   time.Time
	log   log
	next  int64 // of the list before
}

// log holds events by where they are, as the log does for the rules.
type log struct{ events []exchange.Event }

// keep gives an event its place.
func (l *log) keep(e exchange.Event) exchange.Event {
	binary.BigEndian.PutUint64(e.At[:], uint64(len(l.events)))
	binary.BigEndian.PutUint64(e.At[16:], ^uint64(len(l.events)))
	l.events = append(l.events, e)
	return e
}

func (l *log) at(at exchange.At) exchange.Event {
	return l.events[binary.BigEndian.Uint64(at[:])]
}

// messages returns what was said about a thread.
func (l *log) messages(s *exchange.State, ref string) []exchange.Message {
	var all []exchange.Message
	for _, at := range slices.Compact(s.Messages(ref)) { // an import has one place for all of its messages
		all = append(all, exchange.MessagesOf(l.at(at))...)
	}
	return all
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "now":
		s.now = parseTime(t, d.CmdArgs[0].Key)
		return ""
	case "register", "create", "patch", "profile", "rotate", "remove":
		return s.decide(s.command(t, d))
	case "apply":
		return s.apply(t, d.Input)
	case "import":
		return s.decide(s.imports(t, d))
	case "expire":
		return s.decide(&exchange.Expire{})
	case "snapshot":
		before := s.state
		s.state = decoded(t, encoded(t, before.Freeze()))
		return exchange.Difference(before, s.state, equalPlaces)
	case "terms", "eligible", "due", "history":
		return s.queryTerms(t, d)
	}
	return s.query(t, d)
}

func (s *script) queryTerms(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "history":
		return s.history(d.CmdArgs[0].Key)
	case "terms":
		return printTerms(s.state.Terms(d.CmdArgs[0].Key))
	case "eligible":
		thread, _ := s.state.Thread(d.CmdArgs[0].Key)
		e, ok := s.state.Executor(d.CmdArgs[1].Key)
		if !ok {
			t.Fatalf("%s: no such executor", d.Pos)
		}
		return fmt.Sprint(s.state.Eligible(thread, e))
	}
	at, ok := s.state.NextDue()
	if !ok {
		return "never"
	}
	return stamp(at)
}

// history prints where a thread comes from, and its changes with the number of messages before each.
func (s *script) history(ref string) string {
	var b strings.Builder
	if at, ok := s.state.Imported(ref); ok {
		fmt.Fprintf(&b, "imported %d documents\n", len(exchange.ImportedDocuments(s.log.at(at))))
	}
	for _, c := range s.state.History(ref) {
		fmt.Fprintf(&b, "%s %s %s %d\n", stamp(c.At), c.Status, c.By, c.Messages)
	}
	return b.String()
}

// imports reads the input of an import: the refs are those in the envelopes.
func (s *script) imports(t *testing.T, d *datadriven.TestData) *exchange.Import {
	who := d.CmdArgs[0].Key
	key := "key-" + who
	d.MaybeScanArgs(t, "key", &key)
	c := &exchange.Import{Caller: exchange.Caller{Executor: who, KeyHash: key}}
	for line := range strings.Lines(d.Input) {
		var docs []json.RawMessage
		var envelope struct {
			Ref string `json:"ref"`
		}
		if err := json.Unmarshal([]byte(line), &docs); err != nil || json.Unmarshal(docs[0], &envelope) != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		one, refusal := exchange.NewImported(envelope.Ref, docs, nil)
		if refusal != nil {
			t.Fatalf("%s: %v", d.Pos, refusal)
		}
		c.Threads = append(c.Threads, one)
	}
	return c
}

func printTerms(t exchange.Terms) string {
	var all []string
	add := func(on bool, format string, args ...any) {
		if on {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(len(t.Requires) > 0, "requires=%q", t.Requires)
	add(!t.NeededBy.IsZero(), "needed_by=%s", stamp(t.NeededBy))
	add(!t.NotBefore.IsZero(), "not_before=%s", stamp(t.NotBefore))
	add(len(t.DependsOn) > 0, "depends_on=%q", t.DependsOn)
	add(t.ConfirmBefore, "confirm_before")
	add(t.Confirmed, "confirmed")
	add(t.ReservedFor != "", "reserved_for=%s", t.ReservedFor)
	add(t.Before != "", "before=%s", t.Before)
	add(t.DenialCancels, "denial_cancels")
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " ")
}

func (s *script) query(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "thread":
		thread, ok := s.state.Thread(d.CmdArgs[0].Key)
		if !ok {
			return "none"
		}
		return printThread(thread, s.log.messages(s.state, thread.Ref))
	case "list":
		return s.list(s.filter(t, d))
	case "executors":
		var b strings.Builder
		for _, e := range s.state.Executors() {
			fmt.Fprintf(&b, "%s %q %q key=%s created=%s\n", e.ID, e.DisplayName, e.Capabilities, e.KeyHash, stamp(e.CreatedAt))
		}
		return b.String()
	case "whose":
		e, ok := s.state.ExecutorByKeyHash(d.CmdArgs[0].Key)
		if !ok {
			return "nobody's"
		}
		return e.ID
	case "seen":
		return stamp(s.state.LastEvent(d.CmdArgs[0].Key))
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

func (s *script) filter(t *testing.T, d *datadriven.TestData) (f exchange.Filter) {
	d.MaybeScanArgs(t, "requestor", &f.Requestor)
	d.MaybeScanArgs(t, "executor", &f.Executor)
	d.MaybeScanArgs(t, "eligible", &f.Eligible)
	d.MaybeScanArgs(t, "limit", &f.Limit)
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "status":
			f.Status = strings.Join(arg.Vals, ",")
		case "priority":
			f.Priority = strings.Join(arg.Vals, ",")
		case "since":
			since, err := time.Parse(time.RFC3339Nano, arg.Vals[0])
			if err != nil {
				d.Fatalf(t, "since: %v", err)
			}
			f.Since = since
		case "next":
			f.Beyond = s.next
		}
	}
	return f
}

// list prints a page, and says where it does not hold for ever or is not the last.
func (s *script) list(f exchange.Filter) string {
	var b strings.Builder
	page := s.state.Page(f, s.now)
	for _, thread := range page.Threads {
		fmt.Fprintln(&b, printLine(thread))
	}
	if !page.Until.IsZero() {
		fmt.Fprintln(&b, "until", stamp(page.Until))
	}
	if page.Next != 0 {
		fmt.Fprintln(&b, "more")
	}
	s.next = page.Next
	return b.String()
}

func (s *script) command(t *testing.T, d *datadriven.TestData) exchange.Command {
	who := d.CmdArgs[0].Key
	key := "key-" + who
	d.MaybeScanArgs(t, "key", &key)
	caller := exchange.Caller{Executor: who, KeyHash: key}
	once := onceIn(t, d)
	switch d.Cmd {
	case "register":
		c := &exchange.Register{Once: once, ID: who, KeyHash: key}
		for _, arg := range d.CmdArgs[1:] {
			switch arg.Key {
			case "name":
				c.DisplayName = strings.Join(arg.Vals, ", ")
			case "caps":
				c.Capabilities = arg.Vals
			}
		}
		return c
	case "create":
		c := &exchange.Create{Caller: caller, Once: once, Suffixes: []string{"XY1Z"}}
		if i := slices.IndexFunc(d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == "suffixes" }); i > 0 {
			c.Suffixes = d.CmdArgs[i].Vals
		}
		body := decode[struct {
			Intent       string          `json:"intent"`
			Context      json.RawMessage `json:"context"`
			Priority     string          `json:"priority"`
			ResponseHint json.RawMessage `json:"response_hint"`
		}](t, d)
		c.Intent, c.Context, c.Priority, c.ResponseHint = body.Intent, body.Context, body.Priority, body.ResponseHint
		c.Request = json.RawMessage(d.Input)
		return c
	case "patch":
		body := decode[struct {
			Status  string            `json:"status"`
			Message string            `json:"message"`
			Mess    []json.RawMessage `json:"mess"`
		}](t, d)
		return &exchange.Update{Caller: caller, Once: once, Ref: d.CmdArgs[1].Key, Status: body.Status, Message: body.Message, Mess: body.Mess}
	}
	of := who
	d.MaybeScanArgs(t, "of", &of)
	switch d.Cmd {
	case "rotate":
		c := &exchange.RotateKey{Caller: caller, ID: of}
		d.MaybeScanArgs(t, "to", &c.KeyHash)
		return c
	case "remove":
		return &exchange.Remove{Caller: caller, ID: of}
	}
	body := decode[struct {
		DisplayName  *string   `json:"display_name"`
		Capabilities *[]string `json:"capabilities"`
	}](t, d)
	return &exchange.UpdateExecutor{Caller: caller, ID: of, DisplayName: body.DisplayName, Capabilities: body.Capabilities}
}

// onceIn is the Idempotency-Key of a command.
func onceIn(t *testing.T, d *datadriven.TestData) (none exchange.Once) {
	if !d.HasArg("once") {
		return none
	}
	var key string
	d.ScanArgs(t, "once", &key)
	path := d.CmdArgs[0].Key
	if d.Cmd == "patch" {
		path = d.CmdArgs[1].Key
	}
	return exchange.NewOnce(key, d.Cmd, path, []byte(d.Input+fmt.Sprint(d.HasArg("caps"))))
}

func decode[T any](t *testing.T, d *datadriven.TestData) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(d.Input), &v); err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	return v
}

func (s *script) decide(c exchange.Command) string {
	events, refusal := c.Decide(s.state.Fork(), s.now)
	var b strings.Builder
	for _, e := range events {
		s.seq++
		s.state.Apply(s.log.keep(exchange.Event{
			ID: fmt.Sprint(s.seq), Seq: s.seq, TS: s.now, Thread: e.Thread, Type: e.Type, Actor: e.Actor, Payload: e.Payload,
		}))
		fmt.Fprintf(&b, "%s %s %s %s\n", e.Type, orDash(e.Thread), e.Actor, e.Payload)
	}
	if refusal != nil {
		fmt.Fprintf(&b, "refused %s: %v", refusal.Code, refusal)
		return b.String()
	}
	if len(events) == 0 {
		fmt.Fprintln(&b, "no event")
	}
	switch c := c.(type) {
	case *exchange.Expire:
		fmt.Fprintf(&b, "expired %d more=%v\n", c.Result.Expired, c.Result.More)
	case *exchange.Import:
		fmt.Fprintf(&b, "answers %v\n", c.Result.Threads)
	case *exchange.Create:
		fmt.Fprintf(&b, "answers %s %s\n", c.Result.Ref, c.Result.Status)
	case *exchange.Update:
		fmt.Fprintf(&b, "answers %s %s\n", c.Result.Ref, c.Result.Status)
	}
	return b.String()
}

// apply folds lines of a log. A line without seq is the original server's; seq may also be "next".
func (s *script) apply(t *testing.T, input string) string {
	for line := range strings.Lines(input) {
		var e struct {
			ID        string          `json:"event_id"`
			Seq       int64           `json:"seq"`
			TS        time.Time       `json:"ts"`
			ThreadRef string          `json:"thread_ref"`
			EventType string          `json:"event_type"`
			ActorID   string          `json:"actor_id"`
			Payload   json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		s.seq = max(s.seq, e.Seq)
		s.now = e.TS
		s.state.Apply(s.log.keep(exchange.Event{ID: e.ID, Seq: e.Seq, TS: e.TS, Thread: e.ThreadRef, Type: e.EventType, Actor: e.ActorID, Payload: e.Payload}))
	}
	if typ := s.state.ReadOnly(); typ != "" {
		return "read-only since " + typ
	}
	return ""
}

func printThread(t exchange.Thread, messages []exchange.Message) string {
	var b strings.Builder
	fmt.Fprintln(&b, printLine(t))
	fmt.Fprintf(&b, "created=%s seq=%d status_by=%s\n", stamp(t.CreatedAt), t.Seq, orDash(t.StatusBy))
	for _, m := range messages {
		fmt.Fprintf(&b, "  %s %s %s\n", stamp(m.TS), orDash(m.From), m.Mess)
	}
	return b.String()
}

func printLine(t exchange.Thread) string {
	return fmt.Sprintf("%s %s %q requestor=%s executor=%s priority=%s updated=%s",
		t.Ref, t.Status, t.Intent, orDash(t.Requestor), orDash(t.Executor), t.Priority, stamp(t.UpdatedAt))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stamp(ts time.Time) string {
	if ts.IsZero() {
		return "never"
	}
	return ts.UTC().Format("2006-01-02T15:04:05Z")
}

func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	ts, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

// threadIn returns a state with a thread of "requestor" in that status, held by "holder" unless it is
// pending, and set by whoever may.
func threadIn(status string) *exchange.State {
	s := exchange.New()
	event := func(typ, thread, actor, payload string) {
		s.Apply(exchange.Event{Seq: 1, Thread: thread, Type: typ, Actor: actor, Payload: json.RawMessage(payload)})
	}
	for _, id := range []string{"holder", "requestor", "other"} {
		event(exchange.ExecutorRegistered, "", id, `{"api_key_hash":"key-`+id+`"}`)
	}
	event(exchange.ThreadCreated, "2026-02-01-XY1Z", "requestor", `{"intent":"x"}`)
	if status == exchange.StatusPending {
		return s
	}
	event(exchange.StatusChanged, "2026-02-01-XY1Z", "holder", `{"new_status":"claimed","executor_id":"holder"}`)
	by := "holder"
	switch status {
	case exchange.StatusCancelled, exchange.StatusSuperseded:
		by = "requestor"
	case exchange.StatusExpired:
		by = "exchange"
	}
	event(exchange.StatusChanged, "2026-02-01-XY1Z", by, `{"new_status":"`+status+`","executor_id":"holder"}`)
	return s
}
