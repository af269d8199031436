package exchange

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// step is one change of a thread's status. Executor is who holds the thread after it.
type step struct {
	from, to, executor string
	confirms           bool   // the requestor says yes to a needs_confirmation
	delegatedTo        string // who alone may claim the thread after it
	ifDenied           string // the status that a no to this needs_confirmation leads to, if it is not held
}

// situation is what decides about what may happen to a thread.
type situation struct {
	state  *State
	now    time.Time
	thread Thread
	terms  Terms
}

// situation returns that of a thread. Where it is due, that is the one after its expiry, and expired is
// the change that is to be committed first: whatever is decided at needed_by or later is too late.
func (s *State) situation(t Thread, now time.Time) (x *situation, expired []step) {
	x = &situation{state: s, now: now, thread: t, terms: s.Terms(t.Ref)}
	if t.Status == StatusPending && !x.terms.NeededBy.IsZero() && !now.Before(x.terms.NeededBy) {
		expired = []step{{from: t.Status, to: StatusExpired, executor: t.Executor}}
		x.thread.Status, x.thread.StatusBy = StatusExpired, actorExchange
	}
	return x, expired
}

// steps is the state machine: what happens to the thread when caller sets a status, which must be a known
// one. No step means that there is nothing to change.
//
// A thread is held by its Executor, whatever its status. One that nobody holds is claimed by any
// status of an executor, so exactly one executor wins it: whoever comes later finds it held.
func (x *situation) steps(caller, status string) ([]step, *Error) {
	t := &x.thread
	if t.repeated(caller, status) {
		return nil, nil
	}
	if code := x.bar(caller, status); code != "" {
		return nil, refuse(code, "%s", x.sentence(code, caller, status))
	}
	switch setterOf(status) {
	case byRequestor:
		return []step{{from: t.Status, to: status, executor: t.Executor}}, nil
	case byHolder:
		return []step{{from: t.Status, to: StatusPending}}, nil
	}
	if t.Executor == caller {
		return []step{{from: t.Status, to: status, executor: caller}}, nil
	}
	claim := step{from: t.Status, to: StatusClaimed, executor: caller}
	if status == StatusClaimed {
		return []step{claim}, nil
	}
	return []step{claim, {from: StatusClaimed, to: status, executor: caller}}, nil
}

// repeated reports that caller set the status before and it stands, so that a request sent twice does
// nothing the second time. Who holds an open thread owns its status, whoever moved it there.
func (t *Thread) repeated(caller, status string) bool {
	return status == t.Status && (caller == t.StatusBy || caller == t.Executor && !Terminal(status))
}

// bar is what stands in the way of caller setting a status; "" for nothing.
func (x *situation) bar(caller, status string) Code {
	t := &x.thread
	if Terminal(t.Status) {
		return CodeThreadClosed
	}
	switch setterOf(status) {
	case byRequestor:
		if caller != t.Requestor {
			return CodeForbidden
		}
		return ""
	case byHolder:
		if caller != t.Executor {
			return CodeForbidden
		}
		return ""
	case byExecutor:
		return x.barWork(caller, status)
	}
	return CodeForbidden
}

// barWork is bar for what executors set.
func (x *situation) barWork(caller, status string) Code {
	switch x.thread.Executor {
	case caller:
	case "":
		if code := x.barClaim(caller); code != "" {
			return code
		}
	default:
		return CodeAlreadyClaimed
	}
	if (status == StatusCompleted || status == StatusPartial) && x.terms.ConfirmBefore && !x.terms.Confirmed {
		return CodeUnconfirmed
	}
	return ""
}

// barClaim is what stands in the way of a claim of a thread that nobody holds. What is about the caller
// comes before what time will change.
func (x *situation) barClaim(caller string) Code {
	switch {
	case x.state.reserved(&x.terms, caller):
		return CodeReserved
	case len(x.lacking(caller)) > 0:
		return CodeMissingCapability
	case x.now.Before(x.terms.NotBefore):
		return CodeTooEarly
	case x.depends():
		return CodeDependencyOpen
	}
	return ""
}

func (x *situation) lacking(caller string) []string {
	if len(x.terms.Requires) == 0 {
		return nil
	}
	e, _ := x.state.Executor(caller) // was let in, so it is there
	return x.terms.missing(e)
}

// depends reports whether one of the threads that this one depends on is not completed.
func (x *situation) depends() bool {
	return slices.ContainsFunc(x.terms.DependsOn, func(ref string) bool {
		t, _ := x.state.Thread(ref)
		return t.Status != StatusCompleted
	})
}

// unfinished returns which of the threads that this one depends on are not completed, with their status.
// In old data there may be some that are not there; nothing can be said about them.
func (x *situation) unfinished() []string {
	var open []string
	for _, ref := range x.terms.DependsOn {
		t, ok := x.state.Thread(ref)
		if !ok {
			open = append(open, ref+" (not in this exchange)")
		} else if t.Status != StatusCompleted {
			open = append(open, fmt.Sprintf("%s (%s)", ref, t.Status))
		}
	}
	return open
}

// sentence says what stands in the way, and what is possible instead.
func (x *situation) sentence(code Code, caller, status string) string {
	t := &x.thread
	switch code {
	case CodeThreadClosed:
		return fmt.Sprintf("%s → %s is not possible; the request is closed", t.Status, status)
	case CodeAlreadyClaimed:
		return fmt.Sprintf("Thread already claimed by %s; %s", t.Executor, x.instead(caller))
	case CodeReserved:
		return fmt.Sprintf("Thread was delegated to %s, who alone may claim it; %s", x.terms.ReservedFor, x.instead(caller))
	case CodeMissingCapability:
		return fmt.Sprintf("Thread requires capabilities that %s does not have: %s; %s", caller, enumerate(x.lacking(caller)), x.instead(caller))
	case CodeTooEarly:
		return fmt.Sprintf("Thread can't be claimed before %s; %s", x.terms.NotBefore.Format(time.RFC3339Nano), x.instead(caller))
	case CodeDependencyOpen:
		return fmt.Sprintf("Thread can be claimed once the threads it depends on are completed: %s; %s", enumerate(x.unfinished()), x.instead(caller))
	case CodeUnconfirmed:
		return fmt.Sprintf("Thread can be set to %s once its requestor has answered a needs_confirmation with confirm: true; %s", status, x.instead(caller))
	}
	switch setterOf(status) {
	case byRequestor:
		return fmt.Sprintf("Only the requestor may set a thread to %s; %s", status, x.instead(caller))
	case byHolder:
		return fmt.Sprintf("Only the executor who claimed a thread may set it to %s; %s", status, x.instead(caller))
	}
	return fmt.Sprintf("A thread can't be set to %s: the exchange does that itself; %s", status, x.instead(caller))
}

// instead says what caller may do with the thread.
func (x *situation) instead(caller string) string {
	var may []string
	for _, status := range settableStatuses() {
		if status != x.thread.Status && x.bar(caller, status) == "" {
			may = append(may, status)
		}
	}
	if len(may) == 0 {
		return "you may add messages"
	}
	return "you may set " + strings.Join(may, ", ")
}

// reply is what a reply of the requestor does where the thread asks: it goes on where it was, or after a
// no it is held or cancelled.
func (x *situation) reply(confirm string) []step {
	t := &x.thread
	st := step{from: t.Status, executor: t.Executor, confirms: confirm == "true" && t.Status == StatusNeedsConfirmation}
	switch {
	case confirm == "false" && x.terms.DenialCancels:
		st.to = StatusCancelled
	case t.Executor == "": // in old data: nobody is there to go on
		st.to = StatusPending
	case confirm == "false":
		st.to = StatusHeld
	case x.terms.Before != "":
		st.to = x.terms.Before
	default:
		st.to = StatusClaimed
	}
	return []step{st}
}
