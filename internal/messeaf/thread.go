package messeaf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Thread is a thread as its files tell it. It is never changed.
//
// It holds two things that say the same: the documents, which are all that the files say, and the View,
// which is what an exchange knows of.
type Thread struct {
	documents   []json.RawMessage // the envelope, then the messages; JSON in its normal form
	view        View
	attachments []Attachment // by name
}

// View is a thread as an exchange sees it.
type View struct {
	Envelope
	Messages []Message
}

// View returns what the thread says to an exchange. Do not change what is in it.
func (t *Thread) View() View { return t.view }

// Ref is the ref of the thread.
func (t *Thread) Ref() string { return t.view.Ref }

// Attachments are the files beside the documents, ordered by their names; only v2 has them.
func (t *Thread) Attachments() []Attachment { return t.attachments }

// Documents are the thread without its attachments, for keeping it: the envelope and the messages, each
// a JSON object. FromDocuments is the reverse, and loses nothing.
func (t *Thread) Documents() []json.RawMessage { return t.documents }

// FromDocuments returns the thread of which these are the documents and attachments.
func FromDocuments(documents []json.RawMessage, attachments []Attachment) (*Thread, error) {
	b := &builder{}
	for i, doc := range documents {
		doc, err := normal(doc)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i+1, err)
		}
		if p := b.add(doc); p != nil {
			return nil, &Error{Problem: fmt.Sprintf("document %d: %s", i+1, p)}
		}
	}
	if len(documents) == 0 {
		return nil, &Error{Problem: "there is no envelope"}
	}
	for i, a := range attachments {
		if _, ok := ParseAttachmentName(a.FileName()); !ok {
			return nil, inFile(a.FileName(), "is no name of an attachment")
		}
		if slices.ContainsFunc(attachments[:i], func(b Attachment) bool { return a.FileName() == b.FileName() }) {
			return nil, inFile(a.FileName(), "is there twice")
		}
	}
	b.attach(attachments)
	return b.thread(), nil
}

// New returns the thread of which that is the view.
func New(v View) (*Thread, error) { return (&Thread{}).With(v) }

// With returns the thread as it has gone on since: with that view, and with all else that its files
// say and no exchange knows of. What the view leaves as it was is as it was written, to the spelling of
// its times. Times count as the same to the millisecond, since an exchange tells no more.
func (t *Thread) With(v View) (*Thread, error) {
	next := &Thread{view: v, attachments: t.attachments}
	envelope, err := t.envelopeWith(v)
	if err != nil {
		return nil, fmt.Errorf("envelope of %s: %w", v.Ref, err)
	}
	next.documents = append(next.documents, envelope)
	for i, m := range v.Messages {
		if i < len(t.view.Messages) && sameMessage(t.view.Messages[i], m) {
			next.documents = append(next.documents, t.documents[i+1])
			continue
		}
		doc, err := normal(messageDocument(m))
		if err != nil {
			return nil, fmt.Errorf("message %d of %s: %w", i+1, v.Ref, err)
		}
		next.documents = append(next.documents, doc)
	}
	return next, nil
}

func sameMessage(a, b Message) bool {
	if a.From != b.From || a.Channel != b.Channel || a.Re != b.Re || !sameTime(a.TS, b.TS) {
		return false
	}
	x, errX := normal(a.Mess)
	y, errY := normal(b.Mess)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func sameTime(a, b time.Time) bool {
	return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond))
}

func messageDocument(m Message) json.RawMessage {
	all := []member{{"from", quote(m.From)}, {"received", quote(formatTime(m.TS))}}
	if m.Channel != "" {
		all = append(all, member{"channel", quote(m.Channel)})
	}
	if m.Re != "" {
		all = append(all, member{"re", quote(m.Re)})
	}
	mess := m.Mess
	if len(mess) == 0 {
		mess = json.RawMessage("[]")
	}
	return object(append(all, member{"MESS", mess}))
}

// envelopeNames are the members of an envelope in the order of the format.
var envelopeNames = []string{
	"ref", "client_id", "requestor", "executor", "status", "created", "updated", "expires", "intent", "priority", "history",
}

// envelopeWith is the envelope of t with what v says otherwise.
func (t *Thread) envelopeWith(v View) (json.RawMessage, error) {
	e := &envelope{isNew: len(t.documents) == 0}
	if !e.isNew {
		e.members, _ = members(t.documents[0])
	}
	was := t.view
	e.text("ref", was.Ref, v.Ref)
	e.text("client_id", was.ClientID, v.ClientID)
	e.text("requestor", was.Requestor, v.Requestor)
	if e.isNew || was.Executor != v.Executor {
		e.set("executor", orNull(v.Executor)) // nobody is worth saying
	}
	e.text("status", was.Status, v.Status)
	e.time("created", was.Created, v.Created)
	e.time("updated", was.Updated, v.Updated)
	e.time("expires", was.Expires, v.Expires)
	e.text("intent", was.Intent, v.Intent)
	e.text("priority", was.Priority, v.Priority)
	if e.isNew || !slices.EqualFunc(was.History, v.History, sameEntry) {
		e.set("history", t.historyWith(v.History))
	}
	return normal(object(e.members))
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
	isNew   bool
}

func (e *envelope) text(name, was, is string) {
	switch {
	case is != "" && (e.isNew || was != is):
		e.set(name, quote(is))
	case is == "" && was != "":
		e.remove(name)
	}
}

func (e *envelope) time(name string, was, is time.Time) {
	switch {
	case !is.IsZero() && (was.IsZero() || !sameTime(was, is)):
		e.set(name, quote(formatTime(is)))
	case is.IsZero() && !was.IsZero():
		e.remove(name)
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

func (e *envelope) remove(name string) {
	if i := e.index(name); i >= 0 {
		e.members = slices.Delete(e.members, i, i+1)
	}
}

// builder makes a thread of documents in their normal form.
type builder struct {
	t Thread
}

func (b *builder) add(doc json.RawMessage) (p *problem) {
	if len(b.t.documents) == 0 {
		b.t.view.Envelope, p = readEnvelope(doc)
	} else {
		var m Message
		m, p = readMessage(doc)
		b.t.view.Messages = append(b.t.view.Messages, m)
	}
	b.t.documents = append(b.t.documents, doc)
	return p
}

func (b *builder) attach(attachments []Attachment) {
	b.t.attachments = slices.Clone(attachments)
	slices.SortFunc(b.t.attachments, func(x, y Attachment) int { return strings.Compare(x.FileName(), y.FileName()) })
}

func (b *builder) thread() *Thread { return &b.t }
