package exchange

import (
	"encoding/json"
	"slices"
	"time"
)

// Update is a PATCH of a thread.
type Update struct {
	Caller
	Ref     string
	Status  string            // "" for none; any accepted spelling
	Message string            // a note for the status block
	Mess    []json.RawMessage // blocks of a message; nil for none

	Result struct{ Ref, Status string }
}

type statusChanged struct {
	OldStatus  string  `json:"old_status"`
	NewStatus  string  `json:"new_status"`
	ExecutorID *string `json:"executor_id"` // of the thread after the event; null for none
	Message    string  `json:"message,omitempty"`
}

// Decide implements Command. All events of a PATCH are one commit, the changes of the status before
// the message. Result.Status is the thread's status after it.
func (c *Update) Decide(s *State, _ time.Time) ([]Draft, *Error) {
	c.Result.Ref, c.Result.Status = "", ""
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	status := canonical(c.Status)
	if status != "" && setterOf(status) == unknownStatus {
		return nil, refuse(CodeInvalid, "status: must be one of %s", settable())
	}
	blocks, refusal := readBlocks(s, c.Ref, c.Mess)
	if refusal != nil {
		return nil, refusal
	}
	t, ok := s.Thread(c.Ref)
	if !ok {
		return nil, refuse(CodeThreadNotFound, "Thread not found")
	}
	target, refusal := c.target(&t, status, blocks)
	if refusal != nil {
		return nil, refusal
	}
	var steps []step
	if target != "" {
		if steps, refusal = t.steps(c.Executor, target); refusal != nil {
			return nil, refusal
		}
	}
	return c.events(&t, steps, status, blocks)
}

// target is the status that the PATCH as a whole asks for: the body's, else that of a status block,
// else cancelled for a cancel block of the requestor; "" for none. They may not contradict each other.
func (c *Update) target(t *Thread, status string, blocks spoken) (string, *Error) {
	asked := status
	if asked == "" {
		asked = blocks.status
	} else if blocks.status != "" && blocks.status != asked {
		return "", refuse(CodeInvalid, "status: %s, but the status block in mess says %s", asked, blocks.status)
	}
	if blocks.cancel && c.Executor == t.Requestor {
		if asked == "" {
			return StatusCancelled, nil
		}
		if asked != StatusCancelled {
			return "", refuse(CodeInvalid, "status: %s, but mess holds a cancel block", asked)
		}
	}
	return asked, nil
}

func (c *Update) events(t *Thread, steps []step, status string, blocks spoken) ([]Draft, *Error) {
	note := c.Message
	if note == "" {
		note = blocks.message
	}
	var all []Draft
	current := t.Status
	for i, st := range steps {
		p := statusChanged{OldStatus: st.from, NewStatus: st.to}
		if st.executor != "" {
			p.ExecutorID = &st.executor
		}
		if i == len(steps)-1 {
			p.Message = note
		}
		d, refusal := draft(StatusChanged, t.Ref, c.Executor, p)
		if refusal != nil {
			return nil, refusal
		}
		all = append(all, d)
		current = st.to
	}
	if len(c.Mess) > 0 {
		mess, refusal := c.message(status, blocks)
		if refusal != nil {
			return nil, refusal
		}
		d, refusal := draft(MessageAdded, t.Ref, c.Executor, message{mess})
		if refusal != nil {
			return nil, refusal
		}
		all = append(all, d)
	}
	c.Result.Ref, c.Result.Status = t.Ref, current
	return all, nil
}

// message is the message as it is stored: as sent, with a status block in front where the body names
// a status and no block does.
func (c *Update) message(status string, blocks spoken) ([]json.RawMessage, *Error) {
	if status == "" || blocks.status != "" {
		return c.Mess, nil
	}
	var b statusBlock
	b.Status.Re, b.Status.Code, b.Status.Message = c.Ref, status, c.Message
	block, refusal := encode(b)
	if refusal != nil {
		return nil, refusal
	}
	return slices.Concat([]json.RawMessage{block}, c.Mess), nil
}

// applyStatus folds status_changed.
func (s *State) applyStatus(e Event) {
	t, ok := s.change(e)
	if !ok {
		return
	}
	p := object[struct {
		NewStatus  json.RawMessage `json:"new_status"`
		ExecutorID json.RawMessage `json:"executor_id"`
	}](e.Payload)
	status := canonical(text(p.NewStatus))
	if status == Delegated {
		status = StatusPending
	}
	if status != "" {
		t.Executor = holder(&t, e, status, p.ExecutorID)
		t.Status, t.StatusBy = status, e.Actor
	}
	s.put(&t)
}

// holder is who holds the thread after a status_changed event. This server's events say it. Those of
// the original repeat whom they knew, nobody perhaps, whatever was set: there a claim names the
// executor, a return to pending none, and a status of an executor that came without a claim its actor.
func holder(t *Thread, e Event, status string, named json.RawMessage) string {
	if e.Seq > 0 {
		return text(named)
	}
	switch {
	case status == StatusPending:
		return ""
	case status == StatusClaimed, t.Executor == "" && setterOf(status) == byExecutor:
		if given(named) {
			return text(named)
		}
		return e.Actor
	}
	return t.Executor
}

// applyMessage folds message_added. What it says stays in the log (MessageOf).
func (s *State) applyMessage(e Event) {
	if t, ok := s.change(e); ok {
		s.putMessage(&t, e.At)
	}
}
