package exchange

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Update is a PATCH of a thread.
type Update struct {
	Caller
	Once
	Ref     string
	Status  string            // "" for none; any accepted spelling
	Message string            // a note for the status block
	Mess    []json.RawMessage // blocks of a message; nil for none
	// Attachments are what was taken out of Mess, or is named by it.
	Attachments []Attachment

	Result Result
}

type statusChanged struct {
	OldStatus   string  `json:"old_status"`
	NewStatus   string  `json:"new_status"`
	ExecutorID  *string `json:"executor_id"` // of the thread after the event; null for none
	Message     string  `json:"message,omitempty"`
	Confirmed   bool    `json:"confirmed,omitempty"`    // the requestor said yes to a needs_confirmation
	DelegatedTo string  `json:"delegated_to,omitempty"` // the executor who alone may claim the thread now
	IfDenied    string  `json:"if_denied,omitempty"`    // cancelled, where a no to this needs_confirmation cancels
}

// Decide implements Command. All events of a PATCH are one commit, the changes of the status before
// the message. Result.Status is the thread's status after it. A thread that is due expires first.
func (c *Update) Decide(s *State, now time.Time) ([]Draft, *Error) {
	c.Result = Result{}
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	return s.once(c.Once, c.Executor, now, &c.Result, statusOK, func() ([]Draft, *Error) { return c.decide(s, now) })
}

func (c *Update) decide(s *State, now time.Time) ([]Draft, *Error) {
	status := canonical(c.Status)
	if status != "" && setterOf(status) == unknownStatus {
		return nil, refuse(CodeInvalid, "status: must be one of %s", settable())
	}
	blocks, refusal := readBlocks(s, c.Ref, c.Mess)
	if refusal != nil {
		return nil, refusal
	}
	if status != "" && blocks.status != "" && blocks.status != status {
		return nil, refuse(CodeInvalid, "status: %s, but the status block in mess says %s", status, blocks.status)
	}
	t, ok := s.Thread(c.Ref)
	if !ok {
		return nil, refuse(CodeThreadNotFound, "Thread not found")
	}
	x, overdue := s.situation(t, now)
	due, refusal := changes(t.Ref, actorExchange, overdue, "")
	if refusal != nil {
		return nil, refusal
	}
	steps, refusal := c.steps(x, status, blocks)
	if refusal != nil {
		return due, refusal
	}
	events, refusal := c.events(x, steps, status, blocks)
	if refusal != nil {
		return nil, refusal
	}
	return append(due, events...), nil
}

// steps is what the PATCH as a whole does to the thread's status.
func (c *Update) steps(x *situation, status string, blocks spoken) ([]step, *Error) {
	target, refusal := c.target(&x.thread, cmp.Or(status, blocks.status), blocks.cancel)
	switch {
	case refusal != nil:
		return nil, refusal
	case target == "" && blocks.reply && c.Executor == x.thread.Requestor && asks(x.thread.Status):
		return x.reply(blocks.confirm), nil
	case target == "":
		return nil, nil
	}
	steps, refusal := x.steps(c.Executor, target)
	if len(steps) > 0 {
		last := &steps[len(steps)-1]
		if _, known := x.state.Executor(blocks.delegatedTo); target == Delegated && known {
			last.delegatedTo = blocks.delegatedTo
		}
		if target == StatusNeedsConfirmation && blocks.ifDenied == StatusCancelled {
			last.ifDenied = blocks.ifDenied
		}
	}
	return steps, refusal
}

// target is the status that the PATCH as a whole asks for: the one it names, else cancelled for a cancel
// block of the requestor; "" for none. They may not contradict each other.
func (c *Update) target(t *Thread, asked string, cancel bool) (string, *Error) {
	if !cancel || c.Executor != t.Requestor || asked == StatusCancelled {
		return asked, nil
	}
	if asked != "" {
		return "", refuse(CodeInvalid, "status: %s, but mess holds a cancel block", asked)
	}
	return StatusCancelled, nil
}

func (c *Update) events(x *situation, steps []step, status string, blocks spoken) ([]Draft, *Error) {
	note := c.Message
	if note == "" {
		note = blocks.message
	}
	all, refusal := changes(c.Ref, c.Executor, steps, note)
	if refusal != nil {
		return nil, refusal
	}
	if len(c.Mess) > 0 {
		mess, refusal := c.message(status, blocks)
		if refusal != nil {
			return nil, refusal
		}
		d, refusal := draft(MessageAdded, c.Ref, c.Executor, message{mess, behind(len(mess)-len(c.Mess), c.Attachments)})
		if refusal != nil {
			return nil, refusal
		}
		all = append(all, d)
	}
	c.Result = Result{c.Ref, x.thread.Status}
	if len(steps) > 0 {
		c.Result.Status = steps[len(steps)-1].to
	}
	return all, nil
}

// changes are the events of steps. The note goes with the last.
func changes(ref, actor string, steps []step, note string) ([]Draft, *Error) {
	var all []Draft
	for i, st := range steps {
		p := statusChanged{OldStatus: st.from, NewStatus: st.to, Confirmed: st.confirms, DelegatedTo: st.delegatedTo, IfDenied: st.ifDenied}
		if st.executor != "" {
			p.ExecutorID = &st.executor
		}
		if i == len(steps)-1 {
			p.Message = note
		}
		d, refusal := draft(StatusChanged, ref, actor, p)
		if refusal != nil {
			return nil, refusal
		}
		all = append(all, d)
	}
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
	p := object[changed](e.Payload)
	status := canonical(text(p.NewStatus))
	if status == Delegated {
		status = StatusPending
	}
	from := t.Status
	if status != "" {
		t.Executor = holder(&t, e, status, p.ExecutorID)
		t.Status, t.StatusBy = status, e.Actor
		s.putStatus(&t)
	} else {
		s.put(&t)
	}
	s.applyCourse(e, from, t.Status, &p)
}

// changed is statusChanged as it is read.
type changed struct {
	NewStatus   json.RawMessage `json:"new_status"`
	ExecutorID  json.RawMessage `json:"executor_id"`
	Confirmed   json.RawMessage `json:"confirmed"`
	DelegatedTo json.RawMessage `json:"delegated_to"`
	IfDenied    json.RawMessage `json:"if_denied"`
}

// applyCourse folds what a change of a thread's status means for its terms.
func (s *State) applyCourse(e Event, from, to string, p *changed) {
	before := s.Terms(e.Thread)
	after := before
	switch {
	case Terminal(to) && e.Seq > 0:
		after = Terms{} // nothing is decided about it any more; the original server let threads go on
	default:
		after.ReservedFor, after.DenialCancels = text(p.DelegatedTo), to == StatusNeedsConfirmation && text(p.IfDenied) == StatusCancelled
		after.Confirmed = before.Confirmed || before.ConfirmBefore && string(p.Confirmed) == "true"
		switch {
		case !asks(to):
			after.Before = ""
		case !asks(from):
			after.Before = ""
			if setterOf(from) == byExecutor && from != StatusClaimed && !Terminal(from) {
				after.Before = strings.Clone(from)
			}
		}
	}
	if !after.equal(&before) {
		s.setTerms(e.Thread, &after)
	}
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
		first := t.Messages == 0
		s.putMessage(&t, e.At)
		if first {
			s.applyTerms(t.Ref, e.Payload)
		}
		s.applyAttachments(e)
	}
}
