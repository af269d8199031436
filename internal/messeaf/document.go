package messeaf

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Envelope is what the first document of a thread says.
type Envelope struct {
	Ref       string
	ClientID  string // the id that the requestor's client gave it; "" for none
	Requestor string
	Executor  string // "" while nobody has claimed
	Status    string // one that exchange.ParseStatus returns, whatever its spelling in the file
	Created   time.Time
	Updated   time.Time
	Expires   time.Time // zero for never
	Intent    string
	Priority  string // normal where the file gives none
	History   []Entry
}

// Entry is one line of the history: what changed the state of the thread, and who did it.
type Entry struct {
	Action string // created, dispatched, replied, or a status
	At     time.Time
	By     string
	Ref    string // of the message that brought it; "" for none
}

// Message is what a further document of a thread says.
type Message struct {
	From    string
	TS      time.Time       // received, in the file
	Channel string          // by which it came; "" where the file doesn't say
	Re      string          // ref of the thread or message that it is about; "" where the file doesn't say
	Mess    json.RawMessage // the list of blocks
}

const normalPriority = "normal"

var priorities = []string{"background", normalPriority, "elevated", "urgent"}

// fields reads the members of an object one by one, and keeps the first problem.
type fields struct {
	members []member
	problem *problem
}

func (f *fields) fail(name, text string) {
	if f.problem == nil {
		f.problem = &problem{path: []any{name}, text: text}
	}
}

// get returns a member; nil if it is absent or null.
func (f *fields) get(name string) json.RawMessage {
	i := slices.IndexFunc(f.members, func(m member) bool { return m.name == name })
	if i < 0 || string(f.members[i].raw) == "null" {
		return nil
	}
	return f.members[i].raw
}

// optional reads a text of one line; "" if it is absent or null.
func (f *fields) optional(name string) string {
	raw := f.get(name)
	if raw == nil {
		return ""
	}
	s, ok := unquote(raw)
	switch {
	case !ok:
		f.fail(name, "must be a text, in quotes where it looks like a number or another value")
	case len(s) > maxName:
		f.fail(name, "is too long")
	case strings.ContainsAny(s, "\r\n\t"):
		f.fail(name, "must be on one line")
	}
	return s
}

func (f *fields) required(name string) string {
	s := f.optional(name)
	if strings.TrimSpace(s) == "" {
		f.fail(name, "is required, a text that is not empty")
	}
	return s
}

// optionalTime reads a time; zero if it is absent or null.
func (f *fields) optionalTime(name string) time.Time {
	raw := f.get(name)
	if raw == nil {
		return time.Time{}
	}
	s, _ := unquote(raw)
	t, ok := parseTime(s)
	if !ok {
		f.fail(name, "must be a time such as 2026-02-01T22:00:00Z")
	}
	return t
}

func (f *fields) time(name string) time.Time {
	if f.get(name) == nil {
		f.fail(name, "is required, a time such as 2026-02-01T22:00:00Z")
	}
	return f.optionalTime(name)
}

// rfc3339 is the form of a time. Package time holds no one to it: it takes T9:00 and a comma.
var rfc3339 = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})$`)

// parseTime reads a time as RFC 3339 has it, with any offset. What a time.Time can't hold, as more than
// nine digits of a second, is refused.
func parseTime(s string) (time.Time, bool) {
	if !rfc3339.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err == nil
}

// formatTime spells a time as the exchange does.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// readEnvelope reads the first document of a thread, which is JSON.
func readEnvelope(doc json.RawMessage) (Envelope, *problem) {
	all, ok := members(doc)
	if !ok {
		return Envelope{}, &problem{text: "the envelope must be an object"}
	}
	f := &fields{members: all}
	e := Envelope{
		Ref:       f.required("ref"),
		ClientID:  f.optional("client_id"),
		Requestor: f.required("requestor"),
		Executor:  f.optional("executor"),
		Status:    f.required("status"),
		Created:   f.time("created"),
		Updated:   f.time("updated"),
		Expires:   f.optionalTime("expires"),
		Priority:  f.optional("priority"),
	}
	if _, _, ok := exchange.ParseRef(e.Ref); !ok {
		f.fail("ref", "must be the ref of a thread such as 2026-02-01-XY1Z")
	}
	if e.Status, ok = exchange.ParseStatus(e.Status); !ok {
		f.fail("status", "must be one of "+strings.Join(exchange.Statuses(), ", "))
	}
	if e.Priority == "" {
		e.Priority = normalPriority
	} else if !slices.Contains(priorities, e.Priority) {
		f.fail("priority", "must be one of "+strings.Join(priorities, ", "))
	}
	if e.Intent, ok = unquote(f.get("intent")); !ok || strings.TrimSpace(e.Intent) == "" {
		f.fail("intent", "is required, a text that is not empty")
	}
	var p *problem
	if e.History, p = readHistory(f.get("history")); f.problem == nil {
		f.problem = p.under("history")
	}
	return e, f.problem
}

func readHistory(raw json.RawMessage) ([]Entry, *problem) {
	if raw == nil {
		return nil, nil
	}
	entries, ok := items(raw)
	if !ok {
		return nil, &problem{text: "must be a list"}
	}
	history := make([]Entry, len(entries))
	for i, entry := range entries {
		all, ok := members(entry)
		if !ok {
			return nil, (&problem{text: "must be an object"}).under(i)
		}
		f := &fields{members: all}
		history[i] = Entry{Action: f.required("action"), At: f.time("at"), By: f.required("by"), Ref: f.optional("ref")}
		if f.problem != nil {
			return nil, f.problem.under(i)
		}
	}
	return history, nil
}

// readMessage reads a further document of a thread, which is JSON.
func readMessage(doc json.RawMessage) (Message, *problem) {
	all, ok := members(doc)
	if !ok {
		return Message{}, &problem{text: "a message must be an object"}
	}
	f := &fields{members: all}
	if f.get("MESS") == nil && f.get("from") == nil && f.get("requestor") != nil {
		return Message{}, &problem{text: "another envelope begins here, but a file holds one thread"}
	}
	m := Message{
		From:    f.required("from"),
		TS:      f.time("received"),
		Channel: f.optional("channel"),
		Re:      f.optional("re"),
		Mess:    f.get("MESS"),
	}
	if m.Mess == nil {
		f.fail("MESS", "is required, a list of blocks")
		return m, f.problem
	}
	blocks, ok := items(m.Mess)
	if !ok {
		f.fail("MESS", "must be a list of blocks")
	}
	for i, block := range blocks {
		if block[0] != '{' && f.problem == nil {
			f.problem = &problem{path: []any{"MESS", i}, text: "must be an object"}
		}
	}
	return m, f.problem
}
