package exchange

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// UpdateExecutor announces a changed profile. Nil fields stay as they are. It always commits an
// executor_updated event, for other replicas to read the profile object again.
type UpdateExecutor struct {
	Caller
	ID           string
	DisplayName  *string // "" is replaced by ID
	Capabilities *[]string
	Notify       *[]string // the kinds of notification that its settings may have
}

type updated struct {
	DisplayName  *string   `json:"display_name,omitempty"`
	Capabilities *[]string `json:"capabilities,omitempty"`
	KeyHash      string    `json:"api_key_hash,omitempty"`
	Notify       *[]string `json:"notify,omitempty"`
}

// Decide implements Command. The settings themselves are no part of it: they may be secret, so they
// are in the profile object and never in an event (docs/storage.md).
func (c *UpdateExecutor) Decide(s *State, _ time.Time) ([]Draft, *Error) {
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	if c.ID != c.Executor {
		return nil, refuse(CodeNotYourProfile, "Can only update your own profile")
	}
	p := updated{DisplayName: c.DisplayName, Capabilities: c.Capabilities, Notify: c.Notify}
	if p.DisplayName != nil && *p.DisplayName == "" {
		p.DisplayName = &c.ID
	}
	if p.Capabilities != nil && *p.Capabilities == nil {
		p.Capabilities = &[]string{}
	}
	return drafts(draft(ExecutorUpdated, "", c.ID, p))
}

// applyUpdated folds executor_updated. One that holds an api_key_hash gives the executor another key,
// and the one before is dead from here on.
func (s *State) applyUpdated(e Event) {
	if before, known := s.Executor(e.Actor); known {
		s.putExecutor(object[identity](e.Payload).over(*before))
	}
}

// applyOpened adopts the executors of the original server, which kept the truth about them in their
// profiles: their edits wrote no events.
func (s *State) applyOpened(e Event) {
	adopted := object[struct {
		Executors json.RawMessage `json:"executors"`
	}](e.Payload)
	profiles := members(adopted.Executors)
	for _, id := range slices.Sorted(maps.Keys(profiles)) {
		executor := Executor{ID: id, CreatedAt: e.TS}
		if before, known := s.everKnown(id); known {
			if before.removed {
				continue
			}
			executor = *before
		}
		s.putExecutor(object[identity](profiles[id]).over(executor))
	}
}
