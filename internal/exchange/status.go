package exchange

import "strings"

// The statuses of a thread. It begins as pending, is active while an executor works on it, and ends
// in a terminal one.
const (
	StatusPending = "pending"

	StatusClaimed           = "claimed"
	StatusInProgress        = "in_progress"
	StatusWaiting           = "waiting"
	StatusHeld              = "held"
	StatusRetrying          = "retrying"
	StatusNeedsInput        = "needs_input"
	StatusNeedsConfirmation = "needs_confirmation"

	StatusCompleted  = "completed"
	StatusPartial    = "partial"
	StatusFailed     = "failed"
	StatusDeclined   = "declined"
	StatusExpired    = "expired"
	StatusCancelled  = "cancelled"
	StatusSuperseded = "superseded"
)

// Delegated is set like a status but is a move: the thread is pending again.
const Delegated = "delegated"

// setter is who may set a status.
type setter int

const (
	unknownStatus setter = iota
	byExecutor           // who holds the thread, or claims it by this where nobody does
	byHolder             // only who holds the thread
	byRequestor
	byExchange // nobody by hand
)

// statuses is the order in which they are named, with who may set each.
var statuses = []struct {
	name     string
	setter   setter
	terminal bool
}{
	{name: StatusPending, setter: byHolder},
	{name: StatusClaimed, setter: byExecutor},
	{name: StatusInProgress, setter: byExecutor},
	{name: StatusWaiting, setter: byExecutor},
	{name: StatusHeld, setter: byExecutor},
	{name: StatusRetrying, setter: byExecutor},
	{name: StatusNeedsInput, setter: byExecutor},
	{name: StatusNeedsConfirmation, setter: byExecutor},
	{name: StatusCompleted, setter: byExecutor, terminal: true},
	{name: StatusPartial, setter: byExecutor, terminal: true},
	{name: StatusFailed, setter: byExecutor, terminal: true},
	{name: StatusDeclined, setter: byExecutor, terminal: true},
	{name: StatusExpired, setter: byExchange, terminal: true},
	{name: StatusCancelled, setter: byRequestor, terminal: true},
	{name: StatusSuperseded, setter: byRequestor, terminal: true},
}

// spellings are other ways to write a status, all of them used by existing clients.
var spellings = map[string]string{
	"in-progress":        StatusInProgress,
	"needs-input":        StatusNeedsInput,
	"needs-confirmation": StatusNeedsConfirmation,
	"canceled":           StatusCancelled,
	"rejected":           StatusDeclined,
}

// canonical replaces another spelling of a status by the status, and leaves any other text alone.
func canonical(status string) string {
	if s, ok := spellings[status]; ok {
		return s
	}
	return status
}

// ParseStatus returns the status that a text in any accepted spelling names. ok is false for what a
// thread can't be in, Delegated included.
func ParseStatus(text string) (status string, ok bool) {
	status = canonical(text)
	if setterOf(status) == unknownStatus || status == Delegated {
		return "", false
	}
	return status, true
}

// Statuses returns the statuses that a thread can be in, in their order.
func Statuses() []string {
	names := make([]string, len(statuses))
	for i, s := range statuses {
		names[i] = s.name
	}
	return names
}

// Terminal reports whether a thread in that status is closed. An unknown status (in data of the
// original server) is not: such a thread can still be worked on and ended.
func Terminal(status string) bool {
	for _, s := range statuses {
		if s.name == status {
			return s.terminal
		}
	}
	return false
}

func setterOf(status string) setter {
	if status == Delegated {
		return byHolder
	}
	for _, s := range statuses {
		if s.name == status {
			return s.setter
		}
	}
	return unknownStatus
}

// settable names every status that someone may set, for messages.
func settable() string {
	var names []string
	for _, s := range statuses {
		if s.setter != byExchange {
			names = append(names, s.name)
		}
	}
	return strings.Join(append(names, Delegated), ", ")
}

// step is one change of a thread's status. Executor is who holds the thread after it.
type step struct{ from, to, executor string }

// steps is the state machine: what happens to a thread when caller sets a status, which must be a
// known one. No step means that there is nothing to change.
//
// A thread is held by its Executor, whatever its status. One that nobody holds is claimed by any
// status of an executor, so exactly one executor wins it: whoever comes later finds it held.
func (t *Thread) steps(caller, status string) ([]step, *Error) {
	if t.repeated(caller, status) {
		return nil, nil
	}
	if Terminal(t.Status) {
		return nil, refuse(CodeThreadClosed, "Thread is %s and takes no further status", t.Status)
	}
	switch setterOf(status) {
	case byRequestor:
		if caller != t.Requestor {
			return nil, refuse(CodeForbidden, "Only the requestor may set a thread to %s", status)
		}
		return []step{{t.Status, status, t.Executor}}, nil
	case byHolder:
		if caller != t.Executor {
			return nil, refuse(CodeForbidden, "Only the executor who claimed a thread may set it to %s", status)
		}
		return []step{{t.Status, StatusPending, ""}}, nil
	case byExecutor:
		return t.executorSteps(caller, status)
	}
	return nil, refuse(CodeForbidden, "A thread can't be set to %s: the exchange does that itself", status)
}

func (t *Thread) executorSteps(caller, status string) ([]step, *Error) {
	switch t.Executor {
	case caller:
		return []step{{t.Status, status, caller}}, nil
	case "":
		claim := step{t.Status, StatusClaimed, caller}
		if status == StatusClaimed {
			return []step{claim}, nil
		}
		return []step{claim, {StatusClaimed, status, caller}}, nil
	}
	return nil, refuse(CodeAlreadyClaimed, "Thread already claimed by %s", t.Executor)
}

// repeated reports that caller set the status before and it stands, so that a request sent twice does
// nothing the second time. Who holds an open thread owns its status, whoever moved it there.
func (t *Thread) repeated(caller, status string) bool {
	return status == t.Status && (caller == t.StatusBy || caller == t.Executor && !Terminal(status))
}
