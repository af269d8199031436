package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// reference is the protocol's state machine, told a second time: the table below, and the conditions
// beside it in as few words as they have.
type reference struct {
	now     time.Time
	threads map[string]*entry
	able    map[string][]string // capabilities of each executor
	keyed   map[string]*keyedAnswer
}

// keyedAnswer is how a PATCH with a key was answered.
type keyedAnswer struct {
	asked
	at      time.Time
	refusal *exchange.Error // of the rules, whose sentence the reference does not know
}

// once carries out a PATCH with a key, "" for none, unless it was answered within 24 hours.
func (r *reference) once(a *asked, key string) (before *keyedAnswer, again bool) {
	name := a.who + " " + key
	before = r.keyed[name]
	switch {
	case key == "":
		r.patch(a)
		return nil, false
	case before == nil || r.now.Sub(before.at) >= 24*time.Hour:
		r.patch(a)
		before = &keyedAnswer{asked: *a, at: r.now}
		r.keyed[name] = before
		return before, false
	case before.ref != a.ref || before.request() != a.request():
		a.wantsCode = "idempotency_key_reused"
	default:
		a.wantsCode, a.wantsStatus = before.wantsCode, before.wantsStatus
	}
	return before, true
}

// request is the body.
func (a *asked) request() string { return fmt.Sprintf("%s %s", a.body, a.mess()) }

// entry is a thread in the reference.
type entry struct {
	ref, status, setBy, requestor, holder string
	messages                              int

	requires, dependsOn      []string
	neededBy, notBefore      time.Time
	confirmBefore, confirmed bool
	noCancels                bool   // a no to the question that stands cancels
	before                   string // the last status in which it did not ask
	reserved                 string // for whom
	forgotten                bool   // nobody will touch it any more
}

const (
	work   = "claimed in_progress waiting held retrying needs_input needs_confirmation completed partial failed declined"
	ends   = "completed partial failed declined expired cancelled superseded"
	anyone = "anyone"
)

// answers: the first row that fits is the answer. A thread is open, free (open, held by nobody), held or
// closed; who asks is its holder, its requestor or anyone; and the answer what becomes of it or why not.
var answers = []struct{ thread, who, sets, answer string }{
	{"closed", anyone, "", "thread_closed"},
	{"open", "requestor", "cancelled superseded", "moves"},
	{"held", "holder", "pending delegated", "frees"},
	{"held", "holder", work, "moves"},
	{"held", anyone, work, "already_claimed"},
	{"free", anyone, work, "claims"},
	{"open", anyone, "", "forbidden"},
}

func (e *entry) is(thread string) bool {
	closed := in(ends, e.status)
	return map[string]bool{"closed": closed, "open": !closed, "held": !closed && e.holder != "", "free": !closed && e.holder == ""}[thread]
}

func in(words, word string) bool { return words == "" || slices.Contains(strings.Fields(words), word) }

// asked is a PATCH.
type asked struct {
	who, ref      string
	body, block   string // statuses, in any spelling
	delegatedTo   string
	ifDenied      string
	reply, cancel bool
	confirm       string // "", "true", "false"; anything else is no boolean
	message       bool   // a block that says nothing of a status

	// What it should be answered, and how many changes of the status it makes.
	wantsCode, wantsStatus string
	wantsMoves             int
}

var spelled = strings.NewReplacer("in-progress", "in_progress", "needs-input", "needs_input", "needs-confirmation", "needs_confirmation", "canceled", "cancelled", "rejected", "declined")

// patch carries out a PATCH and fills in what it should answer.
func (r *reference) patch(a *asked) {
	body, block := spelled.Replace(a.body), spelled.Replace(a.block)
	for _, s := range []string{body, block} {
		if s != "" && !in(work+" pending cancelled superseded expired delegated", s) {
			a.wantsCode = "invalid"
			return
		}
	}
	if body != "" && block != "" && body != block || !in("true false", a.confirm) && a.confirm != "" && a.reply {
		a.wantsCode = "invalid"
		return
	}
	e, known := r.threads[a.ref]
	if !known {
		a.wantsCode = "thread_not_found"
		return
	}
	if r.due(e) {
		r.expire(e)
		a.wantsMoves++
	}
	status := body + block
	if body != "" {
		status = body
	}
	asks := e.status == "needs_input" || e.status == "needs_confirmation"
	switch mine := a.who == e.requestor; {
	case mine && a.cancel && status != "" && status != "cancelled":
		a.wantsCode = "invalid"
	case mine && a.cancel:
		r.set(e, a, "cancelled")
	case mine && a.reply && asks && status == "":
		r.reply(e, a)
	case status != "":
		r.set(e, a, status)
	}
	if a.wantsCode == "" {
		if a.block != "" || a.reply || a.cancel || a.message {
			e.messages++
		}
		a.wantsStatus = e.status
	}
}

func (r *reference) reply(e *entry, a *asked) {
	to := e.before
	if a.confirm == "true" && e.status == "needs_confirmation" {
		e.confirmed = true
	}
	if a.confirm == "false" {
		to = "held"
		if e.noCancels {
			to = "cancelled"
		}
	}
	r.move(e, a, to)
}

func (r *reference) set(e *entry, a *asked, status string) {
	if status == e.status && (a.who == e.setBy || a.who == e.holder && !in(ends, status)) {
		return // twice is once
	}
	for _, row := range answers {
		if !e.is(row.thread) || row.who == "holder" && a.who != e.holder || row.who == "requestor" && a.who != e.requestor || !in(row.sets, status) {
			continue
		}
		a.wantsCode = r.refusal(row.answer, e, a.who, status)
		switch {
		case a.wantsCode != "":
		case row.answer == "frees":
			e.holder = ""
			r.move(e, a, "pending")
			if _, there := r.able[a.delegatedTo]; there && status == "delegated" && a.block != "" {
				e.reserved = a.delegatedTo
			}
		default:
			if row.answer == "claims" {
				e.holder, e.reserved = a.who, ""
				r.move(e, a, "claimed")
			}
			if e.status != status {
				r.move(e, a, status)
			}
			e.noCancels = status == "needs_confirmation" && in("cancelled canceled", a.ifDenied) && a.ifDenied != "" && a.block != ""
		}
		return
	}
}

// refusal is what stands beside the table.
func (r *reference) refusal(answer string, e *entry, who, status string) string {
	unmet := func(needs []string, met func(string) bool) bool {
		return slices.ContainsFunc(needs, func(s string) bool { return !met(s) })
	}
	switch {
	case !in("moves frees claims", answer):
		return answer
	case answer == "claims" && e.reserved != "" && e.reserved != who:
		return "reserved"
	case answer == "claims" && unmet(e.requires, func(c string) bool { return slices.Contains(r.able[who], c) }):
		return "missing_capability"
	case answer == "claims" && r.now.Before(e.notBefore):
		return "too_early"
	case answer == "claims" && unmet(e.dependsOn, func(ref string) bool { return r.threads[ref].status == "completed" }):
		return "dependency_open"
	case (status == "completed" || status == "partial") && e.confirmBefore && !e.confirmed:
		return "unconfirmed"
	}
	return ""
}

func (r *reference) move(e *entry, a *asked, to string) {
	if !strings.HasPrefix(e.status, "needs_") {
		e.before = e.status
	}
	e.status, e.setBy = to, a.who
	a.wantsMoves++
}

func (r *reference) due(e *entry) bool {
	return e.status == "pending" && !e.neededBy.IsZero() && !r.now.Before(e.neededBy)
}

func (r *reference) expire(e *entry) { e.status, e.setBy = "expired", "-" }
