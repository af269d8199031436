//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// deed is one call, as far as it concerns one thread or one executor.
type deed struct {
	kind   string // create, update, expire, read, listed; register, present
	who    string // the caller; for register and present the executor it is about
	status string // that an update sets; that a list asks for
	mark   string // of the message in an update, used nowhere else; "" for none
	timed  bool   // a create with a needed_by, by which the thread expires where it is pending
	late   bool   // it was sent when that had come for certain
}

// happened is what a call was answered. An unknown one is a change that got no answer, or that of a
// server which does not know either: it may take effect at any time after it was sent, or never.
type happened struct {
	unknown bool
	status  int
	code    string // of a refusal
	there   bool   // a read or list shows it
	now     threadState
}

// threadState is a thread as it can be seen from outside, and who set its status.
type threadState struct {
	there     bool
	requestor string
	timed     bool
	status    string
	setBy     string
	holder    string
	messages  string // who:mark:code of each status block; … in their order
}

// threadModel is docs/protocol.md, written down a second time for the calls that the histories hold.
//
// An unknown change needs no branching: its call never returns (record.add), so there is always an
// order with it at the very end, where nobody sees what it did. That is the one in which it never happened.
//
// A call with an Idempotency-Key that was sent again until it was answered is one call, from when it was first sent
// to that answer: that is all there is to say about keys. If it is done twice, or answered otherwise than it was done,
// the reads and the answers to others have no explanation.
//
// A thread expires by a change of its own, which nobody is told of and which may come at any time from its
// needed_by on. Whoever comes when that must have passed finds the thread expired, or expires it.
//
// A call that was refused as not stored is not in the history at all. So if it did have an effect, the
// first read that shows it has no explanation.
var threadModel = porcupine.Model{
	Init: func() any { return threadState{} },
	Step: func(state, input, output any) (bool, any) {
		t, in, out := state.(threadState), input.(deed), output.(happened)
		switch in.kind {
		case "create":
			if in.timed && out.code == "invalid" {
				return !t.there, t // too late for its needed_by
			}
			created := threadState{there: true, requestor: in.who, timed: in.timed, status: "pending", setBy: in.who}
			return !t.there && (out.unknown || out.status == http.StatusCreated), created
		case "expire":
			return true, t.expired()
		case "update":
			after, refusal := t.update(in)
			return out.unknown || out.explained(after.status, refusal), after
		case "read":
			return out.there == t.there && (!t.there || out.now.same(t) && out.now.messages == t.messages), t
		default: // listed
			shown := t.there && (in.status == "" || in.status == t.status)
			return out.there == shown && (!shown || out.now.same(t)), t
		}
	},
	DescribeOperation: describe,
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

// same compares what summaries show.
func (t threadState) same(o threadState) bool {
	return t.requestor == o.requestor && t.status == o.status && t.holder == o.holder
}

// explained reports whether an answer is the one that the rules give.
func (h happened) explained(status, refusal string) bool {
	if refusal == "" {
		return h.status == http.StatusOK && h.now.status == status
	}
	return h.code == refusal
}

var closed = []string{"completed", "cancelled", "expired"}

// expired is the thread when its needed_by has come.
func (t threadState) expired() threadState {
	if t.there && t.timed && t.status == "pending" {
		t.status, t.setBy = "expired", "-"
	}
	return t
}

// update is what a PATCH does: the code of its refusal, or the thread afterwards.
func (t threadState) update(in deed) (threadState, string) {
	if !t.there {
		return t, "thread_not_found"
	}
	if in.late {
		t = t.expired()
	}
	if in.status != "" {
		refusal := t.set(in.who, in.status)
		if refusal != "" {
			return t, refusal
		}
	}
	if in.mark != "" {
		t.messages += fmt.Sprintf("%s:%s:%s;", in.who, in.mark, in.status)
	}
	return t, ""
}

// set changes the status, or says why it may not be.
func (t *threadState) set(who, status string) string {
	ended := slices.Contains(closed, t.status)
	switch {
	case status == t.status && (who == t.setBy || who == t.holder && !ended):
		return "" // twice is once
	case ended:
		return "thread_closed"
	case status == "cancelled":
		if who != t.requestor {
			return "forbidden"
		}
	case status == "pending":
		if who != t.holder {
			return "forbidden"
		}
		t.holder = ""
	case t.holder != "" && t.holder != who:
		return "already_claimed"
	default:
		t.holder = who
	}
	t.status, t.setBy = status, who
	return ""
}

// executorModel: an id is registered once.
var executorModel = porcupine.Model{
	Init: func() any { return false },
	Step: func(state, input, output any) (bool, any) {
		there, in, out := state.(bool), input.(deed), output.(happened)
		if in.kind == "present" {
			return out.there == there, there
		}
		if there {
			return out.unknown || out.code == "already_registered", there
		}
		return out.unknown || out.status == http.StatusCreated, true
	},
	DescribeOperation: describe,
}

func describe(input, output any) string {
	in, out := input.(deed), output.(happened)
	said := strings.TrimSpace(fmt.Sprintf("%s %s %s %s", in.who, in.kind, in.status, in.mark))
	switch {
	case out.unknown:
		return said + ": unknown"
	case in.kind == "read" || in.kind == "listed" || in.kind == "present":
		return fmt.Sprintf("%s: there=%v %s %s %s", said, out.there, out.now.status, out.now.holder, out.now.messages)
	}
	return fmt.Sprintf("%s: %d %s %s", said, out.status, out.now.status, out.code)
}
