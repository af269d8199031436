package exchange

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Register adds an executor. CodeAlreadyRegistered where the id is taken, or was.
//
// With an Idempotency-Key, the same registration again gives the executor another API key in the place of the
// first, which is dead from then on: the answer with the first is lost, and the server has but its hash. That
// is possible until the executor has caused another event, which shows that somebody has the key, and for KeyLife.
// Who asks proves nothing but that it knows the Idempotency-Key, so that must not be guessed (MinRegistrationKey).
//
// A refused registration is not recorded: nobody is known to be behind it, so it must not use up a key of the
// executor with that id. Since ids are not given out again, it is refused again anyway.
type Register struct {
	Once
	ID           string
	DisplayName  string // "" is replaced by ID
	Capabilities []string
	KeyHash      string    // base64 SHA-256 of the whole API key
	Notify       *[]string // the kinds of notification that its settings may have; nil is not known
}

type registered struct {
	DisplayName  string    `json:"display_name"`
	Capabilities []string  `json:"capabilities"`
	KeyHash      string    `json:"api_key_hash"`
	Notify       *[]string `json:"notify,omitempty"`
}

// Decide implements Command. The log is the arbiter of ids: of two registrations of one id, the one
// that commits first holds it.
func (c *Register) Decide(s *State, now time.Time) ([]Draft, *Error) {
	if refusal := s.writable(); refusal != nil {
		return nil, refusal
	}
	if !ValidID(c.ID) {
		return nil, refuse(CodeInvalid, "executor_id: must be letters, digits, _ and - (parts joined by single dots), at most %d characters, beginning with a letter or digit", maxIDLength)
	}
	if c.KeyHash == "" {
		return nil, fault(errors.New("registration without a key hash"))
	}
	if before, taken := s.everKnown(c.ID); taken {
		if refusal := c.again(s, before, now); refusal != nil {
			return nil, refusal
		}
	}
	p := registered{DisplayName: c.DisplayName, Capabilities: c.Capabilities, KeyHash: c.KeyHash, Notify: c.Notify}
	if p.DisplayName == "" {
		p.DisplayName = c.ID
	}
	if p.Capabilities == nil {
		p.Capabilities = []string{}
	}
	event, refusal := draft(ExecutorRegistered, "", c.ID, p)
	if refusal != nil || !c.Given() {
		return drafts(event, refusal)
	}
	// The note stands first: behind it, an event of the executor's own, the executor has done nothing yet.
	note, refusal := noteAnswered(c.Once, c.ID, statusCreated, Result{}, nil)
	return []Draft{note, event}, refusal
}

// again refuses a registration of an id that is taken, but for one that may be repeated.
func (c *Register) again(s *State, before *Executor, now time.Time) *Error {
	// The threads name their executors by id: who got one again would take over what was another's.
	if before.removed {
		return refuse(CodeAlreadyRegistered, "This executor_id was another's who has left; ids are not given out again")
	}
	if c.Given() {
		if first, ok := s.answered(c.ID, c.Once, now); ok {
			if refusal := first.again(c.Once, &Result{}); refusal != nil {
				return refusal
			}
			if s.Idle(c.ID) {
				return nil
			}
		}
	}
	return refuse(CodeAlreadyRegistered, "Executor already registered")
}

// identity is what events and the genesis say of an executor.
type identity struct {
	DisplayName  json.RawMessage `json:"display_name"`
	Capabilities json.RawMessage `json:"capabilities"`
	KeyHash      json.RawMessage `json:"api_key_hash"`
	Notify       json.RawMessage `json:"notify"`
}

// over returns e with what the identity names replaced.
func (i identity) over(e Executor) *Executor {
	if given(i.DisplayName) {
		e.DisplayName = text(i.DisplayName)
	}
	if e.DisplayName == "" {
		e.DisplayName = e.ID
	}
	if i.Capabilities != nil {
		e.Capabilities = texts(i.Capabilities)
	}
	if e.Capabilities == nil {
		e.Capabilities = []string{}
	}
	if given(i.KeyHash) {
		e.KeyHash = text(i.KeyHash)
	}
	e.Notify = hearingOf(i.Notify, e.Notify)
	return &e
}

// applyRegistered folds executor_registered. An id that is registered again (the original server let
// one do so whose profile file was deleted) stays where it is in the list.
func (s *State) applyRegistered(e Event) {
	if e.Actor == "" {
		return
	}
	executor := Executor{ID: strings.Clone(e.Actor), CreatedAt: e.TS}
	if before, known := s.everKnown(e.Actor); known {
		if before.removed {
			return // for good, whoever wrote this
		}
		executor = *before
	}
	s.putExecutor(object[identity](e.Payload).over(executor))
	if e.Seq > 0 {
		s.register.idle[executor.ID] = true
	}
}
