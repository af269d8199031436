package exchange

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// The priorities of a request, from the least to the most urgent. Data of the original server may
// hold others.
const (
	PriorityBackground = "background"
	PriorityNormal     = "normal"
	PriorityElevated   = "elevated"
	PriorityUrgent     = "urgent"
)

// Priorities returns the priorities that a request may have, the least urgent first.
func Priorities() []string {
	return []string{PriorityBackground, PriorityNormal, PriorityElevated, PriorityUrgent}
}

// Create posts a request: a thread with its first message.
type Create struct {
	Caller
	Once
	Intent       string
	Context      json.RawMessage // as accepted; nil where not given
	Priority     string          // "" is normal
	ResponseHint json.RawMessage // as accepted; nil where not given
	Request      json.RawMessage // the request block: the body's fields as sent, without server-set ones
	Suffixes     []string        // candidates for the last part of the ref, short ones first; the first free one is used
	Attachments  []Attachment    // what was taken out of Request, which is in block 0, or is named by it

	Result Result
}

type created struct {
	Intent       string          `json:"intent"`
	Context      json.RawMessage `json:"context"`
	Priority     string          `json:"priority"`
	RequestorID  string          `json:"requestor_id"`
	ResponseHint json.RawMessage `json:"response_hint"`
}

type message struct {
	Mess        []json.RawMessage `json:"mess"`
	Attachments []Attachment      `json:"attachments,omitempty"`
}

// Decide implements Command. Its events are one commit: a thread is never without its request.
// As in existing data, a context or response hint that was not given is an empty list.
func (c *Create) Decide(s *State, now time.Time) ([]Draft, *Error) {
	c.Result = Result{}
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	return s.once(c.Once, c.Executor, now, &c.Result, statusCreated, func() ([]Draft, *Error) { return c.decide(s, now) })
}

func (c *Create) decide(s *State, now time.Time) ([]Draft, *Error) {
	p, refusal := c.payload()
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkTerms(s, now); refusal != nil {
		return nil, refusal
	}
	block, refusal := encode(struct {
		Request json.RawMessage `json:"request"`
	}{c.Request})
	if refusal != nil {
		return nil, refusal
	}
	ref, refusal := c.ref(s, now)
	if refusal != nil {
		return nil, refusal
	}
	thread, refusal := draft(ThreadCreated, ref, c.Executor, p)
	if refusal != nil {
		return nil, refusal
	}
	first, refusal := draft(MessageAdded, ref, c.Executor, message{[]json.RawMessage{block}, c.Attachments})
	if refusal != nil {
		return nil, refusal
	}
	c.Result = Result{ref, StatusPending}
	return []Draft{thread, first}, nil
}

func (c *Create) payload() (created, *Error) {
	p := created{Intent: c.Intent, Context: c.Context, Priority: c.Priority, RequestorID: c.Executor, ResponseHint: c.ResponseHint}
	if p.Intent == "" {
		return created{}, refuse(CodeInvalid, "intent: required, must be a text that is not empty")
	}
	if p.Priority == "" {
		p.Priority = PriorityNormal
	}
	if !slices.Contains(Priorities(), p.Priority) {
		return created{}, refuse(CodeInvalid, "priority: must be one of %s", strings.Join(Priorities(), ", "))
	}
	if len(p.Context) == 0 {
		p.Context = json.RawMessage("[]")
	}
	if len(p.ResponseHint) == 0 {
		p.ResponseHint = json.RawMessage("[]")
	}
	if len(c.Request) == 0 {
		return created{}, fault(errors.New("create without its request block"))
	}
	return p, nil
}

// checkTerms refuses terms that are not as they should be, and those that nobody could ever meet.
func (c *Create) checkTerms(s *State, now time.Time) *Error {
	terms, by, refusal := readTerms(c.Request)
	if refusal != nil {
		return refusal
	}
	if !terms.NeededBy.IsZero() && !now.Before(terms.NeededBy) {
		return refuse(CodeInvalid, "%s: must be in the future; it is %s now", by, now.UTC().Format(time.RFC3339))
	}
	for _, ref := range terms.DependsOn {
		if _, known := s.Thread(ref); !known {
			return refuse(CodeInvalid, "constraints.depends_on: %s is no request of this exchange", ref)
		}
	}
	return nil
}

// ref is the first candidate that no thread ever had. They come with the command because a decision is
// repeated after a lost race, and the one taken before may be gone.
func (c *Create) ref(s *State, now time.Time) (string, *Error) {
	for _, suffix := range c.Suffixes {
		ref := NewRef(now, suffix)
		if _, _, ok := ParseRef(ref); !ok {
			continue
		}
		if _, taken := s.Thread(ref); !taken {
			return ref, nil
		}
	}
	return "", refuse(CodeOverloaded, "No free reference was found for the request; try again")
}

// applyCreated folds thread_created. A second one of the same thread (in data of the original server
// only) replaces what the first said, as it did there, and leaves the status and the messages.
func (s *State) applyCreated(e Event) {
	t, ok := s.change(e)
	if !ok {
		return
	}
	p := object[struct {
		Intent      json.RawMessage `json:"intent"`
		Priority    json.RawMessage `json:"priority"`
		RequestorID json.RawMessage `json:"requestor_id"`
	}](e.Payload)
	t.Intent = text(p.Intent)
	t.Priority = PriorityNormal
	if given(p.Priority) {
		t.Priority = text(p.Priority)
	}
	t.Requestor = e.Actor
	if given(p.RequestorID) {
		t.Requestor = text(p.RequestorID)
	}
	if t.StatusBy == "" {
		t.StatusBy = t.Requestor
	}
	t.CreatedAt = e.TS
	s.put(&t)
}
