package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
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
	var files []messeaf.Attachment
	if p.imported {
		if files, err = x.importedFiles(ctx, exchange.AttachmentsOf(exchange.Event(events[0]))); err != nil {
			return nil, err
		}
	}
	t, err := p.files(events, files)
	if err != nil {
		return nil, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: fmt.Errorf("export %s: %w", ref, err)}
	}
	return t, nil
}

func (p *past) files(events []eventlog.Event, files []messeaf.Attachment) (*messeaf.Thread, error) {
	if p.imported {
		return p.further(exchange.Event(events[0]), files, events[1:])
	}
	v := messeaf.View{Envelope: messeaf.Envelope{
		Ref: p.thread.Ref, Requestor: p.thread.Requestor, Executor: p.thread.Executor, Status: p.thread.Status,
		Created: p.thread.CreatedAt, Updated: p.thread.UpdatedAt, Intent: p.thread.Intent, Priority: p.thread.Priority,
	}}
	v.Messages = messages(events)
	if len(events) > 0 {
		v.Expires = exchange.NeededBy(exchange.MessageOf(exchange.Event(events[0])))
	}
	v.History = append([]messeaf.Entry{{Action: "created", At: p.thread.CreatedAt, By: p.thread.Requestor}}, p.entries(v)...)
	return messeaf.New(v)
}

// further returns an imported thread with what has happened since.
func (p *past) further(imported exchange.Event, files []messeaf.Attachment, since []eventlog.Event) (*messeaf.Thread, error) {
	t, err := messeaf.FromDocuments(exchange.ImportedDocuments(imported), files)
	if err != nil || p.thread.Seq == imported.Seq {
		return t, err
	}
	v := t.View()
	v.Updated = p.thread.UpdatedAt
	v.Messages = slices.Concat(v.Messages, messages(since))
	if len(p.history) > 0 {
		v.Status, v.Executor = p.thread.Status, p.thread.Executor
		v.History = slices.Concat(v.History, p.entries(v))
	}
	return t.With(v)
}

// importedFiles reads the files that a thread was imported with, for which room is taken until ctx ends.
func (x *running) importedFiles(ctx context.Context, kept []exchange.Attachment) ([]messeaf.Attachment, error) {
	if len(kept) == 0 {
		return nil, nil
	}
	size := int64(0)
	for _, a := range kept {
		size += a.Size
	}
	soon, cancel := context.WithTimeout(ctx, filesTime)
	defer cancel()
	if err := x.engine.makeRoom(ctx, soon, size); err != nil {
		return nil, err
	}
	all := make([]messeaf.Attachment, len(kept))
	readers, soon := errgroup.WithContext(soon)
	readers.SetLimit(fileWriters)
	for i, a := range kept {
		readers.Go(func() (err error) {
			all[i], err = x.importedFile(soon, a)
			return err
		})
	}
	err := readers.Wait()
	switch {
	case err == nil:
		return all, nil
	case errors.Is(err, errDamagedFile), x.engine.store.NoSuchKey(err):
		return nil, &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
	}
	return nil, x.engine.unreadable(ctx, err)
}

var errDamagedFile = errors.New("a file that was imported is damaged")

func (x *running) importedFile(ctx context.Context, a exchange.Attachment) (messeaf.Attachment, error) {
	file, ok := messeaf.ParseAttachmentName(a.Name)
	if !ok {
		return file, fmt.Errorf("%w: its name is %q", errDamagedFile, a.Name)
	}
	r, err := x.openAttachment(ctx, a.Key, 0, -1)
	if err != nil {
		return file, err
	}
	defer r.Close()
	if r.Size() != a.Size {
		return file, fmt.Errorf("%w: %s has %d bytes, not %d", errDamagedFile, a.Key, r.Size(), a.Size)
	}
	file.Bytes = make([]byte, a.Size)
	if _, err := io.ReadFull(r, file.Bytes); err != nil {
		return file, fmt.Errorf("read %s: %w", a.Key, err)
	}
	return file, nil
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

func messages(events []eventlog.Event) []messeaf.Message {
	all := make([]messeaf.Message, len(events))
	for i, ev := range events {
		m := messageOf(ev)
		all[i] = messeaf.Message{From: m.From, TS: m.TS, Mess: tame(m.Mess)}
	}
	return all
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
