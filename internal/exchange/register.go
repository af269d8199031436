package exchange

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Register adds an executor. CodeAlreadyRegistered where the id is taken, or was.
type Register struct {
	ID           string
	DisplayName  string // "" is replaced by ID
	Capabilities []string
	KeyHash      string // base64 SHA-256 of the whole API key
}

type registered struct {
	DisplayName  string   `json:"display_name"`
	Capabilities []string `json:"capabilities"`
	KeyHash      string   `json:"api_key_hash"`
}

// Decide implements Command. The log is the arbiter of ids: of two registrations of one id, the one
// that commits first holds it.
func (c *Register) Decide(s *State, _ time.Time) ([]Draft, *Error) {
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
		// The threads name their executors by id: who got one again would take over what was another's.
		if before.removed {
			return nil, refuse(CodeAlreadyRegistered, "This executor_id was another's who has left; ids are not given out again")
		}
		return nil, refuse(CodeAlreadyRegistered, "Executor already registered")
	}
	p := registered{DisplayName: c.DisplayName, Capabilities: c.Capabilities, KeyHash: c.KeyHash}
	if p.DisplayName == "" {
		p.DisplayName = c.ID
	}
	if p.Capabilities == nil {
		p.Capabilities = []string{}
	}
	return drafts(draft(ExecutorRegistered, "", c.ID, p))
}

// identity is what events and the genesis say of an executor.
type identity struct {
	DisplayName  json.RawMessage `json:"display_name"`
	Capabilities json.RawMessage `json:"capabilities"`
	KeyHash      json.RawMessage `json:"api_key_hash"`
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
}
