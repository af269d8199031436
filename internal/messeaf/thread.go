package messeaf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	if err := checkNames(attachments); err != nil {
		return nil, err
	}
	b.attach(attachments)
	return b.thread(), nil
}

// WithAttachments returns the thread with further files beside it. Two of one name are told apart by the
// second's serial number, which becomes the next that is free.
func (t *Thread) WithAttachments(further []Attachment) (*Thread, error) {
	all := slices.Clone(t.attachments)
	names := map[string]bool{}
	for _, a := range all {
		names[a.FileName()] = true
	}
	for _, a := range further {
		for names[a.FileName()] {
			a.Serial++
		}
		names[a.FileName()] = true
		all = append(all, a)
	}
	if err := checkNames(all); err != nil {
		return nil, err
	}
	b := &builder{t: *t}
	b.attach(all)
	return b.thread(), nil
}

func checkNames(attachments []Attachment) error {
	names := map[string]bool{}
	for _, a := range attachments {
		name := a.FileName()
		if _, ok := ParseAttachmentName(name); !ok {
			return inFile(name, "is no name of an attachment")
		}
		if names[name] {
			return inFile(name, "is there twice")
		}
		names[name] = true
	}
	return nil
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
