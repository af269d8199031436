package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// TestScripts runs testdata/*.txt against the rules themselves. Their commands:
//
//	now TIME                  the time of what follows
//	register ID [caps=(C,…)]  a registration
//	create WHO                a POST of the request in the input; its ref is 2026-02-01-XY1Z
//	patch WHO STATUS [to=ID]  a PATCH of that thread
//	remove WHO                an executor leaves
//	expire                    what the exchange does at that time by itself
//
// A command prints, for each event that someone may have to hear of, who is told what.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{state: exchange.New(), now: time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC)}
		datadriven.RunTest(t, path, s.run)
	})
}

const theRef = "2026-02-01-XY1Z"

type script struct {
	state *exchange.State
	now   time.Time
	seq   int64
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "now" {
		now, err := time.Parse(time.RFC3339, d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = now
		return ""
	}
	return s.decide(t, d, s.command(t, d))
}

func (s *script) command(t *testing.T, d *datadriven.TestData) exchange.Command {
	if d.Cmd == "expire" {
		return &exchange.Expire{}
	}
	who := d.CmdArgs[0].Key
	caller := exchange.Caller{Executor: who, KeyHash: "key-" + who}
	switch d.Cmd {
	case "register":
		c := &exchange.Register{ID: who, DisplayName: "The " + who, KeyHash: caller.KeyHash}
		if i := slices.IndexFunc(d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == "caps" }); i > 0 {
			c.Capabilities = d.CmdArgs[i].Vals
		}
		return c
	case "create":
		var body struct{ Intent, Priority string }
		if err := json.Unmarshal([]byte(d.Input), &body); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		return &exchange.Create{
			Caller: caller, Suffixes: []string{"XY1Z"},
			Intent: body.Intent, Priority: body.Priority, Request: json.RawMessage(d.Input),
		}
	case "patch":
		c := &exchange.Update{Caller: caller, Ref: theRef, Status: d.CmdArgs[1].Key}
		var to string
		if d.MaybeScanArgs(t, "to", &to); to != "" {
			c.Mess = []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"status":{"code":"delegated","delegated_to":%q}}`, to))}
		}
		return c
	case "remove":
		return &exchange.Remove{Caller: caller, ID: who}
	}
	t.Fatalf("%s: no such command", d.Pos)
	return nil
}

// decide commits what a command decides, and prints what is told because of it.
func (s *script) decide(t *testing.T, d *datadriven.TestData, c exchange.Command) string {
	drafts, refusal := c.Decide(s.state.Fork(), s.now)
	if refusal != nil {
		t.Fatalf("%s: %v", d.Pos, refusal)
	}
	var changes []Change
	for _, e := range drafts {
		s.seq++
		before, _ := s.state.Thread(e.Thread)
		s.state.Apply(exchange.Event{
			ID: fmt.Sprint(s.seq), Seq: s.seq, TS: s.now, Thread: e.Thread, Type: e.Type, Actor: e.Actor, Payload: e.Payload,
			At: exchange.At{byte(s.seq)},
		})
		after, _ := s.state.Thread(e.Thread)
		if typ := EventType(e.Type); typ == ThreadCreated || typ == StatusChanged {
			changes = append(changes, Change{Type: typ, Actor: e.Actor, Before: before, After: after})
		}
	}
	var out strings.Builder
	for _, change := range changes {
		printTelling(&out, Tell(change, s.state))
	}
	return out.String()
}

func printTelling(out *strings.Builder, told Telling) {
	fmt.Fprintf(out, "%s: %s\n", told.Notification.Type, told.Notification.Title)
	for _, n := range told.Notices {
		fmt.Fprintf(out, "  %s", n.Executor)
		if n.Tell {
			out.WriteString(" is told")
		}
		if n.Moment != "" {
			fmt.Fprintf(out, " %s", n.Moment.Setting())
		}
		out.WriteByte('\n')
	}
	if len(told.Notices) == 0 {
		out.WriteString("  nobody\n")
	}
	if o := told.Occasion; o.Moment != "" {
		fmt.Fprintf(out, "  hooks hear: %s by %s, %q became %q, held by %q\n", o.Moment, o.Actor, o.OldStatus, o.Thread.Status, o.Thread.HeldBy())
	}
}

// Ensure that what is told is in the words of the original server, and what a receiver gets of the thread.
func TestWords(t *testing.T) {
	thread := exchange.Thread{
		Ref: theRef, Status: "needs_input", Intent: "Is the garage door <closed>?", Requestor: "agent", Executor: "phone", Priority: "elevated",
		CreatedAt: time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 2, 1, 22, 0, 0, 7e6, time.UTC),
	}
	told := Tell(Change{Type: ThreadCreated, Actor: "agent", After: thread}, exchange.New()).Notification
	if told.Title != "🆕 New MESS Request" || told.Body != "Is the garage door <closed>?\n\nRef: 2026-02-01-XY1Z\nPriority: elevated" {
		t.Errorf("%q %q", told.Title, told.Body)
	}
	if told := Tell(Change{Type: StatusChanged, After: thread}, exchange.New()).Notification; told.Title != "📬 MESS Update: needs_input" {
		t.Errorf("%q", told.Title)
	}
	want := `{"ref":"2026-02-01-XY1Z","status":"needs_input","intent":"Is the garage door <closed>?","requestor_id":"agent","executor_id":"phone",` +
		`"priority":"elevated","created_at":"2026-02-01T22:00:00.000Z","updated_at":"2026-02-01T22:00:00.007Z"}`
	if got := string(JSON(told.Thread)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	thread.Executor, thread.Intent = "", strings.Repeat("€", 10<<20/3)
	if got := string(JSON(ThreadOf(thread))); !strings.Contains(got, `"executor_id":null`) || len(got) > 9<<10 || !strings.Contains(got, "€…") {
		t.Errorf("%d bytes: %.100s", len(got), got)
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "…"}, {"abcde", 4, "a…"}, {"€€", 6, "€€"}, {"€€€", 8, "€…"}, {"€€€", 6, "€…"}, {"", 3, ""},
		{"a\xffb", 5, "a\uFFFDb"}, {"a\xffb", 4, "a…"}, {"\xff\xff\xff", 5, "\uFFFD"},
	} {
		if got := Clip(c.s, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

// Ensure that a delivery has the same id for ever, and no other delivery has it.
func TestDeliveryID(t *testing.T) {
	if got, want := DeliveryID("home", 42, "my-phone", Way{Index: 0, Type: "ntfy"}), "msg_2SOBGTK5CDCAUTGO6KLW3ESABPNC3X7M"; got != want {
		t.Errorf("got %s, want %s: receivers would take what is sent again for something new", got, want)
	}
	seen := map[string]string{}
	for _, exchangeID := range []string{"home", "home4", "hom"} {
		for _, seq := range []int64{2, 42, 1<<63 - 1} {
			for _, executor := range []string{"a", "2a", "a.b", "channel 0 ntfy"} {
				for _, way := range []Way{{"", 0, "ntfy"}, {"", 0, "slack"}, {"", 1, "ntfy"}, {Created, 0, "webhook"}, {Created, 1, "webhook"}, {Claimed, 0, "webhook"}, {"", 0, "webhook"}} {
					id, name := DeliveryID(exchangeID, seq, executor, way), fmt.Sprint(exchangeID, seq, executor, way)
					if other, taken := seen[id]; taken {
						t.Errorf("%s and %s have one id", name, other)
					}
					if seen[id] = name; strings.Contains(id, ".") {
						t.Errorf("%s has a dot", id)
					}
				}
			}
		}
	}
}
