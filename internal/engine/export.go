package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// past is what the state knows of a thread that is exported.
type past struct {
	thread   exchange.Thread
	imported bool
	history  []exchange.Change // since it was made or imported
	events   []exchange.At     // the import, and each message since
}

// Export returns a thread as its files tell it, as of the head of the log. One that was imported and that
// nothing has happened to since is the same to the byte. The cost is that of reading the thread where none of
// it is in memory; room for it is taken until ctx ends (CodeOverloaded where there is none).
func (e *Engine) Export(ctx context.Context, c Caller, ref string) (*messeaf.Thread, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	var p past
	err = x.read(ctx, c, func(s *exchange.State) error {
		var known bool
		if p.thread, known = s.Thread(ref); !known {
			return refuse(exchange.CodeThreadNotFound, "Thread not found")
		}
		var at exchange.At
		at, p.imported = s.Imported(ref)
		if p.events = s.Messages(ref); p.imported {
			p.events = append([]exchange.At{at}, p.events...) // it may have brought no message
		}
		p.history = s.History(ref)
		return nil
	})
	if err != nil {
		return nil, err
	}
	events, err := x.fetchEvents(ctx, slices.Compact(p.events))
	if err != nil {
		return nil, err
	}
	t, err := x.whole(ctx, &p, events)
	if refusal, ok := errors.AsType[*exchange.Error](err); ok {
		return nil, refusal
	}
	if err != nil {
		return nil, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: fmt.Errorf("export %s: %w", ref, err)}
	}
	return t, nil
}

// whole returns a thread of its events and of what was kept beside them. Errors of the store are refusals.
func (x *running) whole(ctx context.Context, p *past, events []eventlog.Event) (*messeaf.Thread, error) {
	size := int64(0)
	for _, ev := range events {
		for _, a := range exchange.AttachmentsOf(exchange.Event(ev)) {
			size += a.Size
		}
	}
	soon, cancel := context.WithTimeout(ctx, filesTime)
	defer cancel()
	if err := x.engine.makeRoom(ctx, soon, 2*size); err != nil { // as it lies there, and as it is written
		return nil, err
	}
	var files []messeaf.Attachment
	if p.imported {
		var err error
		if files, err = x.importedFiles(soon, exchange.AttachmentsOf(exchange.Event(events[0]))); err != nil {
			return nil, x.engine.unreadableFile(ctx, err)
		}
	}
	said, uploads, err := x.messages(soon, p, events)
	if err != nil {
		return nil, x.engine.unreadableFile(ctx, err)
	}
	t, err := p.files(events, said, files)
	if err != nil || len(uploads) == 0 {
		return t, err
	}
	return t.WithAttachments(uploads)
}

// files returns the thread as its files tell it. said are the messages, of an imported thread those since.
func (p *past) files(events []eventlog.Event, said []messeaf.Message, files []messeaf.Attachment) (*messeaf.Thread, error) {
	if p.imported {
		return p.further(exchange.Event(events[0]), files, said)
	}
	v := messeaf.View{Envelope: messeaf.Envelope{
		Ref: p.thread.Ref, Requestor: p.thread.Requestor, Executor: p.thread.Executor, Status: p.thread.Status,
		Created: p.thread.CreatedAt, Updated: p.thread.UpdatedAt, Intent: p.thread.Intent, Priority: p.thread.Priority,
	}}
	v.Messages = said
	if len(events) > 0 {
		v.Expires = exchange.NeededBy(exchange.MessageOf(exchange.Event(events[0])))
	}
	v.History = append([]messeaf.Entry{{Action: "created", At: p.thread.CreatedAt, By: p.thread.Requestor}}, p.entries(v)...)
	return messeaf.New(v)
}

// further returns an imported thread with what has happened since.
func (p *past) further(imported exchange.Event, files []messeaf.Attachment, since []messeaf.Message) (*messeaf.Thread, error) {
	t, err := messeaf.FromDocuments(exchange.ImportedDocuments(imported), files)
	if err != nil || p.thread.Seq == imported.Seq {
		return t, err
	}
	v := t.View()
	v.Updated = p.thread.UpdatedAt
	v.Messages = slices.Concat(v.Messages, since)
	if len(p.history) > 0 {
		v.Status, v.Executor = p.thread.Status, p.thread.Executor
		v.History = slices.Concat(v.History, p.entries(v))
	}
	return t.With(v)
}

// importedFiles reads the files that a thread was imported with.
func (x *running) importedFiles(ctx context.Context, kept []exchange.Attachment) ([]messeaf.Attachment, error) {
	if len(kept) == 0 {
		return nil, nil
	}
	all := make([]messeaf.Attachment, len(kept))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(fileWriters)
	for i, a := range kept {
		readers.Go(func() (err error) {
			var ok bool
			if all[i], ok = messeaf.ParseAttachmentName(a.Name); !ok {
				return fmt.Errorf("%w: its name is %q", errDamagedFile, a.Name)
			}
			all[i].Bytes, err = x.content(ctx, a)
			return err
		})
	}
	return all, readers.Wait()
}

// content reads what an attachment holds.
func (x *running) content(ctx context.Context, a exchange.Attachment) ([]byte, error) {
	r, err := x.engine.openNamed(ctx, a, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content := make([]byte, a.Size)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, fmt.Errorf("read %s: %w", a.Key, err)
	}
	return content, nil
}

// entries are the changes of the thread as its history tells them, each with the ref of the message that
// came with it.
func (p *past) entries(v messeaf.View) []messeaf.Entry {
	refs := v.MessageRefs()
	all := make([]messeaf.Entry, len(p.history))
	for i, c := range p.history {
		all[i] = messeaf.Entry{Action: c.Status, At: c.At, By: c.By}
		if n := c.Messages; n < len(refs) && v.Messages[n].From == c.By && v.Messages[n].TS.Truncate(time.Millisecond).Equal(c.At) {
			all[i].Ref = refs[n]
		}
	}
	return all
}

// messages returns the messages that stand in events of their own as they were sent: what was taken out of them is
// put back. What was uploaded beside them comes as files.
func (x *running) messages(ctx context.Context, p *past, events []eventlog.Event) (all []messeaf.Message, uploads []messeaf.Attachment, err error) {
	number := p.thread.Messages - len(events) // of the message before the first of them
	if p.imported {
		events = events[1:]
		number = p.thread.Messages - len(events)
	}
	for i, ev := range events {
		m := messageOf(ev)
		mess, err := x.restored(ctx, &m)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, messeaf.Message{From: m.From, TS: m.TS, Mess: tame(mess)})
		for _, a := range m.Attachments {
			if a.At != "" {
				continue
			}
			content, err := x.content(ctx, a)
			if err != nil {
				return nil, nil, err
			}
			uploads = append(uploads, uploaded(number+i+1, a, content))
		}
	}
	return all, uploads, nil
}

// restored returns the blocks of a message with all that was taken out of them.
func (x *running) restored(ctx context.Context, m *exchange.Message) (json.RawMessage, error) {
	if len(m.Attachments) == 0 {
		return m.Mess, nil
	}
	var mess []byte
	for _, piece := range Pieces(m) {
		if piece.Text != nil {
			mess = append(mess, piece.Text...)
			continue
		}
		content, err := x.content(ctx, piece.Attachment)
		if err != nil {
			return nil, err
		}
		mess = base64.StdEncoding.AppendEncode(mess, content)
	}
	return mess, nil
}

// uploaded is a file that was uploaded for the message of that number.
func uploaded(number int, a exchange.Attachment, content []byte) messeaf.Attachment {
	file := messeaf.Attachment{Serial: number, Kind: media.KindOf(a.Type), Name: a.Name, Bytes: content}
	if _, ok := messeaf.ParseAttachmentName(file.FileName()); !ok {
		file.Name = path.Base(a.Key) // which can be any file's
	}
	return file
}

// tame returns blocks as they are, unless no file can hold them: data of the original server may name a member
// twice, or hold half a character. Then it is what most readers take them for.
func tame(mess json.RawMessage) json.RawMessage {
	if messeaf.Fits(mess) {
		return mess
	}
	d := json.NewDecoder(bytes.NewReader(mess))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return json.RawMessage("[]") // not reached: it was decoded from JSON
	}
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("[]") // not reached either
	}
	return text
}
