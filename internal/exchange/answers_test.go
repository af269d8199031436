package exchange_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	answersDoc   = "../../docs/protocol.md"
	answersBegin = "<!-- The table is written by the tests of internal/exchange, -rewrite. -->\n"
	answersEnd   = "<!-- The end of the table. -->\n"
)

// TestAnswersAreInTheDocs asks every command of everyone about a thread in every status, and wants the
// answers as the docs have them. With -rewrite (the flag of the scripts) it writes them there.
func TestAnswersAreInTheDocs(t *testing.T) {
	text, err := os.ReadFile(answersDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), answersBegin)
	written, after, ends := strings.Cut(rest, answersEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", answersDoc)
	}
	table := "\n```text\n" + answersTable(t) + "```\n\n"
	if written == table {
		return
	}
	if rewrite := flag.Lookup("rewrite"); rewrite == nil || rewrite.Value.String() != "true" {
		t.Fatalf("%s has another table than the rules give:\n%s", answersDoc, table)
	}
	if err := os.WriteFile(answersDoc, []byte(before+answersBegin+table+answersEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// standing is a thread and what is special about it.
type standing struct {
	name   string
	status string
	event  string // what led to the status has this beside it
	terms  string // of the request
	free   bool   // nobody holds it
	able   bool   // it makes a difference who is able to see
}

const answerNow = "2026-02-01T22:00:00Z"

// standings are a thread in each status, and then those that its request or what happened makes special.
func standings() []standing {
	var all []standing
	for _, status := range exchange.Statuses() {
		all = append(all, standing{name: status, status: status, free: status == exchange.StatusPending})
	}
	pending := func(name, terms string) standing {
		return standing{name: name, status: exchange.StatusPending, terms: terms, free: true}
	}
	return append(all,
		standing{name: "unknown status", status: "odd"},
		standing{name: "pending, requires", status: exchange.StatusPending, terms: `"requires":["see"]`, free: true, able: true},
		pending("pending, not_before", `"constraints":{"timing":{"not_before":"2026-02-01T22:00:01Z"}}`),
		pending("pending, depends_on", `"constraints":{"depends_on":["2026-02-01-AAAA"]}`),
		pending("pending, needed_by", `"needed_by":"`+answerNow+`"`),
		standing{name: "pending, delegated_to", status: exchange.StatusPending, event: `,"delegated_to":"able"`, free: true, able: true},
		pending("pending, confirm_before", `"confirm_before":true`),
		standing{name: "claimed, confirm_before", status: exchange.StatusClaimed, terms: `"confirm_before":true`},
		standing{name: "claimed, confirmed", status: exchange.StatusClaimed, terms: `"confirm_before":true`, event: `,"confirmed":true`},
		standing{name: "needs_conf…, if_denied", status: exchange.StatusNeedsConfirmation, event: `,"if_denied":"cancelled"`},
	)
}

// roles: who holds the thread, who posted it, who is able to see, and who is none of that.
var roles = []string{"holder", "requestor", "able", "other"}

const answersRef = "2026-02-01-XY1Z"

// state returns a state with the thread in it, and another one that is pending.
func (x standing) state() *exchange.State {
	s := exchange.New()
	var seq int64
	event := func(typ, thread, actor, payload string) {
		seq++
		s.Apply(exchange.Event{Seq: seq, Thread: thread, Type: typ, Actor: actor, Payload: json.RawMessage(payload)})
	}
	for _, id := range roles {
		capabilities := `[]`
		if id == "able" {
			capabilities = `["see"]`
		}
		event(exchange.ExecutorRegistered, "", id, `{"api_key_hash":"key-`+id+`","capabilities":`+capabilities+`}`)
	}
	event(exchange.ThreadCreated, "2026-02-01-AAAA", "able", `{"intent":"x"}`)
	event(exchange.ThreadCreated, answersRef, "requestor", `{"intent":"x"}`)
	event(exchange.MessageAdded, answersRef, "requestor", `{"mess":[{"request":{`+x.terms+`}}]}`)
	if x.free && x.event == "" {
		return s
	}
	event(exchange.StatusChanged, answersRef, "holder", `{"new_status":"claimed","executor_id":"holder"}`)
	by, holder := "holder", `"holder"`
	switch x.status {
	case exchange.StatusPending:
		holder = "null"
	case exchange.StatusCancelled, exchange.StatusSuperseded:
		by = "requestor"
	case exchange.StatusExpired:
		by = "-"
	}
	event(exchange.StatusChanged, answersRef, by, `{"new_status":"`+x.status+`","executor_id":`+holder+x.event+`}`)
	return s
}

// answerWords are the codes of refusals as the table has them.
var answerWords = map[exchange.Code]string{
	exchange.CodeThreadClosed: "409c", exchange.CodeAlreadyClaimed: "409h", exchange.CodeTooEarly: "409e", exchange.CodeDependencyOpen: "409d",
	exchange.CodeUnconfirmed: "409u", exchange.CodeForbidden: "403", exchange.CodeReserved: "403r", exchange.CodeMissingCapability: "403m",
}

// messages that say something of a status, and one that does not.
var answerMessages = []struct{ name, block string }{
	{"msg", `{"response":{}}`}, {"cancel", `{"cancel":{}}`}, {"reply", `{"reply":{}}`}, {"yes", `{"reply":{"confirm":true}}`}, {"no", `{"reply":{"confirm":false}}`},
}

// answerColumns are short words for the statuses, in their order.
var answerColumns = []string{"pend", "clai", "inpr", "wait", "held", "retr", "n_in", "n_co", "comp", "part", "fail", "decl", "expi", "canc", "supe", "dele"}

func answersTable(t *testing.T) string {
	var b strings.Builder
	row := func(first, second string, cells []string) {
		line := fmt.Sprintf("%-24s%-10s", first, second)
		for _, cell := range cells {
			line += fmt.Sprintf("%-5s", cell)
		}
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	heads := append([]string{}, answerColumns...)
	for _, m := range answerMessages {
		heads = append(heads, fmt.Sprintf("%.4s", m.name))
	}
	row("thread is", "asked by", heads)
	for _, x := range standings() {
		for _, role := range roles {
			if x.free && role == "holder" || !x.able && role == "able" {
				continue
			}
			var cells []string
			for _, status := range append(exchange.Statuses(), exchange.Delegated) {
				cells = append(cells, x.answer(t, role, status, ""))
			}
			for _, m := range answerMessages {
				cells = append(cells, x.answer(t, role, "", m.block))
			}
			row(x.name, role, cells)
		}
	}
	return b.String()
}

// answer is what the table says of one command: how many changes of the status it makes, or the refusal.
func (x standing) answer(t *testing.T, role, status, block string) string {
	c := &exchange.Update{Caller: exchange.Caller{Executor: role, KeyHash: "key-" + role}, Ref: answersRef, Status: status}
	if block != "" {
		c.Mess = []json.RawMessage{json.RawMessage(block)}
	}
	now, err := time.Parse(time.RFC3339, answerNow)
	if err != nil {
		t.Fatal(err)
	}
	drafts, refusal := c.Decide(x.state(), now)
	if refusal != nil {
		word, known := answerWords[refusal.Code]
		if !known || refusal.Message == "" {
			t.Fatalf("%s by %s of %s: refused with %v", status, role, x.name, refusal)
		}
		return word
	}
	changes := 0
	for _, d := range drafts {
		if d.Type == exchange.StatusChanged {
			changes++
		}
	}
	if changes == 0 {
		return "="
	}
	return fmt.Sprint(changes)
}
