package simulation

import (
	"fmt"
	"slices"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// judge holds an answer against the log. An answer shows the log up to some seq, at least what had been shown
// to anyone when its call began. Taking the least seq that explains each answer, this is linearizability:
// there is one order of all calls, the log's, that agrees with every answer and with real time.
func (w *world) judge(o *operation) {
	w.counts.answers++
	if o.process != o.replica.process {
		w.counts.unknown++
		w.mayRepeat(o, true)
		return // the process is gone, and with it the answer
	}
	seq, problem := w.explain(o)
	if problem == "" && o.keyed && o.final() && o.repeats == nil && w.rng.IntN(8) == 0 && w.mayRepeat(o, true) {
		o.client.again.repeats = o
	}
	if problem != "" {
		w.fail("%s, begun when %d was shown, answered %q with the log at %d: %s", o, o.begun, o.code(), w.witness.head(), problem)
	}
	w.shown = max(w.shown, seq)
}

// final tells an answer that stands from one that says that nobody knows, or that nothing was done.
func (o *operation) final() bool {
	switch o.code() {
	case exchange.CodeOutcomeUnknown, exchange.CodeUnavailable, exchange.CodeOverloaded:
		return false
	}
	return true
}

// repeated: what was answered before is answered again, unless the key may be forgotten by now.
func (w *world) repeated(o *operation) bool {
	was := o.repeats
	if was.code() == o.code() && was.ref == o.ref && was.status == o.status && fmt.Sprint(was.err) == fmt.Sprint(o.err) {
		return true
	}
	if !w.witness.forgotten(o.since, w.witness.log[w.witness.head()].TS) {
		w.fail("%s was answered %q, %s of %s (%v), and again %q, %s of %s (%v)", o, was.code(), was.status, was.ref, was.err, o.code(), o.status, o.ref, o.err)
	}
	return false
}

// explain returns the least seq of the log that explains an answer, or what is wrong with it.
func (w *world) explain(o *operation) (seq int64, problem string) {
	if o.repeats != nil && o.final() && w.repeated(o) {
		return o.begun, ""
	}
	switch code := o.code(); code {
	case "":
		switch o.action {
		case authenticate:
			return w.authenticated(o)
		case register:
			return w.registered(o)
		case look:
			return w.looked(o)
		case list:
			return w.listed(o)
		}
		return w.acknowledged(o)
	case exchange.CodeOutcomeUnknown:
		w.counts.unknown++
		w.mayRepeat(o, true)
		return o.begun, ""
	case exchange.CodeUnavailable, exchange.CodeOverloaded:
		w.counts.unknown++
		if o.token != "" && !o.doubt {
			w.witness.bar(o.token, "was answered that nothing was stored")
		}
		if w.mayRepeat(o, false) {
			w.witness.unbar(o.token)
		}
		return o.begun, ""
	default:
		w.counts.refused++
		w.bar(o, "was refused")
		return w.refused(o, code)
	}
}

// acknowledged: the command is in the log, or there was nothing to change.
func (w *world) acknowledged(o *operation) (int64, string) {
	commit, there := w.witness.commits[o.token]
	if !there {
		w.bar(o, "changed nothing")
		return w.refused(o, "")
	}
	w.counts.acknowledged++
	end := w.witness.end(commit)
	if end <= o.since {
		return 0, fmt.Sprintf("it is in the log at %d already", end)
	}
	var last entry // of the command
	for seq := commit; seq <= end; seq++ {
		if tokens.FindString(string(w.witness.log[seq].Payload)) == o.token {
			last = w.witness.log[seq]
		}
	}
	if want := o.wants(); last.Thread != o.ref || want != "" && want != o.status {
		return 0, fmt.Sprintf("it says %s of %s, and the log %s of %s", o.status, o.ref, want, last.Thread)
	}
	return max(o.begun, last.Seq), ""
}

// bar notes that an answered command must never be in the log from now on: for good, or as long as its key is known.
func (w *world) bar(o *operation, why string) {
	if o.token == "" {
		return
	}
	w.witness.bar(o.token, why)
	if o.keyed {
		w.witness.until[o.token] = o.since
	}
}

// wants is the status that a command leaves, "" where it leaves any.
func (o *operation) wants() string {
	if o.action == create {
		return exchange.StatusPending
	}
	return statuses[o.action]
}

// refused: at some seq within the call the log says just that. The code "" is an answer that nothing had to
// change.
func (w *world) refused(o *operation, code exchange.Code) (int64, string) {
	switch {
	case o.action == register && code == exchange.CodeAlreadyRegistered:
		for seq, e := range w.witness.log {
			if e.Type == exchange.ExecutorRegistered && e.Actor == o.name {
				return max(o.begun, int64(seq)), ""
			}
		}
		return 0, "nobody has that name"
	case o.thread == nil:
		return 0, fmt.Sprintf("nothing explains it: %v", o.err)
	case code == exchange.CodeThreadNotFound && o.thread.versions[0].from > o.since:
		return o.begun, ""
	}
	for _, v := range o.thread.versions {
		if v.until >= o.since && o.expects(v.thread) == outcome(code) {
			return max(o.begun, v.from), ""
		}
	}
	return 0, fmt.Sprintf("the thread was nothing that explains it: %v", o.err)
}

// outcome is what the rules make of a command: a code, or one of these two.
type outcome exchange.Code

const (
	nothing outcome = ""
	events  outcome = "events"
)

// expects says what the rules make of the command on a thread. It is written down once more here, in the few
// lines that the clients need, so that it does not rest on what is tested.
func (o *operation) expects(t exchange.Thread) outcome {
	status, me := statuses[o.action], o.client.id
	if o.action == say || o.action == look {
		return events
	}
	terminal := t.Status == exchange.StatusCompleted || t.Status == exchange.StatusCancelled
	switch {
	case t.Status == status && (t.StatusBy == me || t.Executor == me && !terminal):
		return nothing
	case terminal:
		return outcome(exchange.CodeThreadClosed)
	case o.action == cancel && t.Requestor != me, o.action == release && t.Executor != me:
		return outcome(exchange.CodeForbidden)
	case o.action != cancel && t.Executor != "" && t.Executor != me:
		return outcome(exchange.CodeAlreadyClaimed)
	}
	return events
}

func (w *world) authenticated(o *operation) (int64, string) {
	if o.caller.Executor != o.client.id {
		return 0, fmt.Sprintf("the key is taken for that of %q", o.caller.Executor)
	}
	o.client.caller = o.caller
	return o.begun, ""
}

// registered: the log holds the id with that key's hash, from a commit made during the call.
func (w *world) registered(o *operation) (int64, string) {
	w.counts.acknowledged++
	o.client.id, o.client.key = o.name, o.key
	commit, there := w.witness.commits[o.token]
	executor, _ := w.witness.state.Executor(o.name)
	switch {
	case !there:
		return 0, "it is not in the log"
	case commit <= o.begun && w.witness.end(commit) <= o.begun:
		return 0, fmt.Sprintf("it is in the log at %d already", commit)
	case executor.KeyHash != auth.Hash(o.key):
		return 0, "the log has another key's hash"
	}
	return max(o.begun, commit), ""
}

// looked: the thread was just that at some seq within the call, at the end of a commit.
func (w *world) looked(o *operation) (int64, string) {
	w.counts.reads++
	t := o.shown[0]
	i := slices.IndexFunc(o.thread.versions, func(v version) bool { return v.from == t.Seq })
	if i < 0 {
		return 0, fmt.Sprintf("no event at %d changed the thread", t.Seq)
	}
	v := o.thread.versions[i]
	seq := w.witness.end(max(o.begun, v.from))
	switch {
	case !same(t, v.thread):
		return 0, fmt.Sprintf("it shows %+v, and at %d the thread was %+v", t, v.from, v.thread)
	case !slices.EqualFunc(o.said, o.thread.messages[:v.thread.Messages], sameMessage):
		return 0, fmt.Sprintf("it shows other messages than the thread's first %d", v.thread.Messages)
	case seq > v.until:
		return 0, fmt.Sprintf("it shows the thread as of %d, which changed at %d", v.from, v.until+1)
	}
	return seq, ""
}

// listed: the threads were just these at some seq within the call, at the end of a commit. Later than the
// least one possible, all the less is as it was shown.
func (w *world) listed(o *operation) (int64, string) {
	w.counts.reads++
	seq := o.begun
	for _, t := range o.shown {
		seq = max(seq, t.Seq)
	}
	seq = w.witness.end(seq)
	if !slices.IsSortedFunc(o.shown, func(a, b exchange.Thread) int { return int(b.Seq - a.Seq) }) {
		return 0, "the list is not in order"
	}
	for _, h := range w.witness.threads {
		i := slices.IndexFunc(o.shown, func(t exchange.Thread) bool { return t.Ref == h.ref })
		j := slices.IndexFunc(h.versions, func(v version) bool { return v.from <= seq && seq <= v.until })
		switch {
		case i < 0 && j < 0:
		case i < 0:
			return 0, fmt.Sprintf("%s is missing, which is there since %d", h, h.versions[0].from)
		case j < 0 || !same(o.shown[i], h.versions[j].thread):
			return 0, fmt.Sprintf("it shows %s as of %d, which is wrong at %d", h, o.shown[i].Seq, seq)
		}
	}
	return seq, ""
}

// same compares two states of a thread in all that they say.
func same(a, b exchange.Thread) bool {
	if !a.CreatedAt.Equal(b.CreatedAt) || !a.UpdatedAt.Equal(b.UpdatedAt) {
		return false
	}
	a.CreatedAt, a.UpdatedAt = b.CreatedAt, b.UpdatedAt
	return a == b
}

func sameMessage(a, b exchange.Message) bool {
	return a.From == b.From && a.TS.Equal(b.TS) && string(a.Mess) == string(b.Mess)
}
