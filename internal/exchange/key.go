package exchange

import (
	"errors"
	"time"
)

// RotateKey gives the caller another API key. The one before is dead with the event, wherever the log is
// followed.
type RotateKey struct {
	Caller
	ID      string
	KeyHash string // base64 SHA-256 of the whole new key
}

// Decide implements Command. The event is an executor_updated, which every version that can read the
// log folds.
func (c *RotateKey) Decide(s *State, _ time.Time) ([]Draft, *Error) {
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	if c.ID != c.Executor {
		return nil, refuse(CodeNotYourProfile, "Can only replace your own API key")
	}
	if c.KeyHash == "" {
		return nil, fault(errors.New("rotation without a key hash"))
	}
	return drafts(draft(ExecutorUpdated, "", c.ID, updated{KeyHash: c.KeyHash}))
}
