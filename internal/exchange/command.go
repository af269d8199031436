package exchange

import (
	"fmt"
	"time"
)

// A Command asks for a change. Decide is pure: the same state, command and time give the same
// outcome; ids and candidates for new names come inside the command.
type Command interface {
	// Decide returns the events that carry out the command, or an *Error, or none of both where nothing
	// has to change. What the command answers is left in its Result field.
	//
	// Beside an *Error there may be events too: what has come due by now, which is to be committed
	// although the command is refused. The refusal counts only once they are durable, as an answer would.
	Decide(s *State, now time.Time) ([]Draft, *Error)
}

// Caller proves in Decide that the key with which a request was let in still is its executor's: it
// may have been revoked by another replica meanwhile (CodeUnauthorized).
type Caller struct {
	Executor string
	KeyHash  string
}

// writable refuses every command on a state that holds what this version does not know.
func (s *State) writable() *Error {
	if s.readOnly == "" {
		return nil
	}
	return refuse(CodeReadOnly, "This exchange was written to by a newer version of the server; this one can only read it")
}

// admit is the first question of every command of an executor.
func (s *State) admit(c Caller) *Error {
	if refusal := s.writable(); refusal != nil {
		return refusal
	}
	if e, ok := s.Executor(c.Executor); !ok || !e.hasKey(c.KeyHash) {
		return refuse(CodeUnauthorized, "Invalid API key")
	}
	return nil
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// fault is a mistake of this program, whose cause is for the log.
func fault(err error) *Error {
	return &Error{Code: CodeInternal, Message: "Internal error", Err: err}
}

// drafts is the outcome of a command with a single event.
func drafts(d Draft, refusal *Error) ([]Draft, *Error) {
	if refusal != nil {
		return nil, refusal
	}
	return []Draft{d}, nil
}
