package exchange

import "time"

// Remove takes the caller out of the exchange: the key is dead with the event, and the id is nobody's for
// good. What the executor holds is pending again in the same commit, since nobody else could move it.
// Requests that the executor has posted stay as they are: whoever does them can end them.
type Remove struct {
	Caller
	ID string

	// Result.Left: more threads are held than one commit may give back, so this one has given back a part
	// of them and removed nobody. The same command goes on.
	Result struct{ Left bool }
}

// maxReleases is how many threads one commit gives back. At some 400 bytes each, it stays far below what
// one commit may hold (15 MiB).
const maxReleases = 10_000

// releaseNote is the note of the change of status with which the thread of a removed executor is given back.
const releaseNote = "The executor has left the exchange"

// Decide implements Command.
func (c *Remove) Decide(s *State, _ time.Time) ([]Draft, *Error) {
	c.Result.Left = false
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	if c.ID != c.Executor {
		return nil, refuse(CodeNotYourProfile, "Can only remove yourself")
	}
	held := s.heldBy(c.ID)
	if len(held) > maxReleases {
		held, c.Result.Left = held[:maxReleases], true
	}
	var all []Draft
	for _, t := range held {
		d, refusal := draft(StatusChanged, t.Ref, c.ID, statusChanged{OldStatus: t.Status, NewStatus: StatusPending, Message: releaseNote})
		if refusal != nil {
			return nil, refusal
		}
		all = append(all, d)
	}
	if c.Result.Left {
		return all, nil
	}
	d, refusal := draft(ExecutorRemoved, "", c.ID, struct{}{})
	if refusal != nil {
		return nil, refusal
	}
	return append(all, d), nil
}

// applyRemoved folds executor_removed. Only the id stays, so that nobody gets it again, and the date.
func (s *State) applyRemoved(e Event) {
	if before, known := s.Executor(e.Actor); known {
		s.putExecutor(&Executor{ID: before.ID, Capabilities: []string{}, CreatedAt: before.CreatedAt, removed: true})
	}
}
