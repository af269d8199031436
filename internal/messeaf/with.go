package messeaf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// New returns the thread of which that is the view.
func New(v View) (*Thread, error) { return (&Thread{}).With(v) }

// With returns the thread as it has gone on since, as that view tells, and with all else that its files
// say and no exchange knows of. What the view leaves as it was stays as it was written, to the spelling
// of its times; they count as the same to the millisecond, since an exchange tells no more. What is
// empty in the view is not told by it and stays too, but for the Executor: none means that nobody holds
// the thread. The messages must be all there are.
func (t *Thread) With(v View) (*Thread, error) {
	if len(v.Messages) < len(t.view.Messages) {
		return nil, fmt.Errorf("thread %s: %d messages became %d", t.Ref(), len(t.view.Messages), len(v.Messages))
	}
	next := &Thread{attachments: t.attachments}
	next.view.Envelope = t.view.Envelope.with(v.Envelope)
	envelope, err := t.envelopeWith(next.view.Envelope)
	if err != nil {
		return nil, fmt.Errorf("envelope of %s: %w", v.Ref, err)
	}
	next.documents = append(next.documents, envelope)
	for i, m := range v.Messages {
		if i < len(t.view.Messages) && sameMessage(t.view.Messages[i], m) {
			next.view.Messages = append(next.view.Messages, t.view.Messages[i])
			next.documents = append(next.documents, t.documents[i+1])
			continue
		}
		m, doc, err := writeMessage(m)
		if err != nil {
			return nil, fmt.Errorf("message %d of %s: %w", i+1, v.Ref, err)
		}
		next.view.Messages = append(next.view.Messages, m)
		next.documents = append(next.documents, doc)
	}
	return next, nil
}

// with is the envelope with what is told by another.
func (e Envelope) with(told Envelope) Envelope {
	for _, f := range []struct{ is, told *string }{
		{&e.Ref, &told.Ref}, {&e.ClientID, &told.ClientID}, {&e.Requestor, &told.Requestor},
		{&e.Status, &told.Status}, {&e.Intent, &told.Intent}, {&e.Priority, &told.Priority},
	} {
		if *f.told != "" {
			*f.is = *f.told
		}
	}
	for _, f := range []struct{ is, told *time.Time }{
		{&e.Created, &told.Created}, {&e.Updated, &told.Updated}, {&e.Expires, &told.Expires},
	} {
		if !f.told.IsZero() && !sameTime(*f.is, *f.told) {
			*f.is = spelled(*f.told)
		}
	}
	if told.History != nil {
		was := e.History
		e.History = slices.Clone(told.History)
		for i, entry := range e.History {
			if i < len(was) && sameEntry(was[i], entry) {
				e.History[i] = was[i]
			} else {
				e.History[i].At = spelled(entry.At)
			}
		}
	}
	e.Executor = told.Executor
	return e
}

// sameMessage reports whether a message is the one that was there, as far as it is told.
func sameMessage(was, told Message) bool {
	if was.From != told.From || !sameTime(was.TS, told.TS) ||
		told.Channel != "" && was.Channel != told.Channel || told.Re != "" && was.Re != told.Re {
		return false
	}
	x, errX := normal(was.Mess)
	y, errY := normal(told.Mess)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func sameTime(a, b time.Time) bool {
	return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond))
}

// spelled is a time as formatTime has it.
func spelled(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// writeMessage returns the document of a new message, and the message as that tells it.
func writeMessage(m Message) (Message, json.RawMessage, error) {
	if len(m.Mess) == 0 {
		m.Mess = json.RawMessage("[]")
	}
	m.TS = spelled(m.TS)
	all := []member{{"from", quote(m.From)}, {"received", quote(formatTime(m.TS))}}
	if m.Channel != "" {
		all = append(all, member{"channel", quote(m.Channel)})
	}
	if m.Re != "" {
		all = append(all, member{"re", quote(m.Re)})
	}
	var err error
	if m.Mess, err = normal(m.Mess); err != nil {
		return Message{}, nil, err
	}
	doc, err := normal(object(append(all, member{"MESS", m.Mess})))
	return m, doc, err
}

// envelopeNames are the members of an envelope in the order of the format.
var envelopeNames = []string{
	"ref", "client_id", "requestor", "executor", "status", "created", "updated", "expires", "intent", "priority", "history",
}

// envelopeWith is the envelope of t with what is another in e.
func (t *Thread) envelopeWith(e Envelope) (json.RawMessage, error) {
	isNew := len(t.documents) == 0
	b := &envelope{}
	if !isNew {
		b.members, _ = members(t.documents[0])
	}
	was := t.view.Envelope
	b.text("ref", was.Ref, e.Ref)
	b.text("client_id", was.ClientID, e.ClientID)
	b.text("requestor", was.Requestor, e.Requestor)
	if isNew || was.Executor != e.Executor {
		b.set("executor", orNull(e.Executor)) // nobody is worth saying
	}
	b.text("status", was.Status, e.Status)
	b.time("created", was.Created, e.Created)
	b.time("updated", was.Updated, e.Updated)
	b.time("expires", was.Expires, e.Expires)
	b.text("intent", was.Intent, e.Intent)
	b.text("priority", was.Priority, e.Priority)
	if isNew || !slices.EqualFunc(was.History, e.History, sameEntry) {
		b.set("history", t.historyWith(e.History))
	}
	return normal(object(b.members))
}

func sameEntry(a, b Entry) bool {
	return a.Action == b.Action && a.By == b.By && a.Ref == b.Ref && sameTime(a.At, b.At)
}

// historyWith keeps the entries that the thread has as they are written.
func (t *Thread) historyWith(history []Entry) json.RawMessage {
	var written []json.RawMessage
	if len(t.documents) > 0 {
		all, _ := members(t.documents[0])
		written, _ = items((&fields{members: all}).get("history"))
	}
	entries := make([]json.RawMessage, len(history))
	for i, a := range history {
		if i < len(written) && sameEntry(t.view.History[i], a) {
			entries[i] = written[i]
			continue
		}
		all := []member{{"action", quote(a.Action)}, {"at", quote(formatTime(a.At))}, {"by", quote(a.By)}}
		if a.Ref != "" {
			all = append(all, member{"ref", quote(a.Ref)})
		}
		entries[i] = object(all)
	}
	return list(entries)
}

// envelope is one that is being changed.
type envelope struct {
	members []member
}

func (e *envelope) text(name, was, is string) {
	if was != is {
		e.set(name, quote(is))
	}
}

func (e *envelope) time(name string, was, is time.Time) {
	if !was.Equal(is) {
		e.set(name, quote(formatTime(is)))
	}
}

func (e *envelope) index(name string) int {
	return slices.IndexFunc(e.members, func(m member) bool { return m.name == name })
}

// set gives a member another value in its place, or puts it where the format has it: behind the last
// of those that come before it.
func (e *envelope) set(name string, raw json.RawMessage) {
	if i := e.index(name); i >= 0 {
		e.members[i].raw = raw
		return
	}
	place := 0
	for _, before := range envelopeNames[:slices.Index(envelopeNames, name)] {
		place = max(place, e.index(before)+1)
	}
	e.members = slices.Insert(e.members, place, member{name, raw})
}
