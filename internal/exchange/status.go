package exchange

import (
	"encoding/json"
	"strings"
)

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

// asks reports whether a thread in that status waits for a reply of its requestor.
func asks(status string) bool { return status == StatusNeedsInput || status == StatusNeedsConfirmation }

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

// settableStatuses are those that someone may set.
func settableStatuses() []string {
	var names []string
	for _, s := range statuses {
		if s.setter != byExchange {
			names = append(names, s.name)
		}
	}
	return append(names, Delegated)
}

// settable names them for messages.
func settable() string { return strings.Join(settableStatuses(), ", ") }

// StatusGiven returns the status that an event gives its thread, "" where it gives none that is known.
func StatusGiven(e Event) string {
	switch e.Type {
	case ThreadCreated:
		return StatusPending
	case ThreadImported:
		return readImported(e.Payload).status
	case StatusChanged:
		status, _ := ParseStatus(text(object[struct {
			NewStatus json.RawMessage `json:"new_status"`
		}](e.Payload).NewStatus))
		return status
	}
	return ""
}
