package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
)

// readAtOnce is how much of an attachment is asked for at once where a reader may jump on: what is cut off
// of it is lost traffic, and each is a call of the store.
const readAtOnce = 4 << 20

// Attachment is a medium of a thread. Who has it closes its Content.
type Attachment struct {
	Name    string
	Type    string            // a media type
	Tag     string            // changes with the content; letters, digits and hyphens
	Content io.ReadSeekCloser // read from the store as it is needed, while the context of the call lasts
}

// inMemory is content that needs no closing.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// Attachment returns the medium of that name, as of the head of the log. A name may be the last part of a key, as
// links have it, which is never another's; the name that a message gives it, the newest medium of which counts;
// or one made up for it (media.Medium.NameOf). CodeInvalid for a name that no medium can have,
// CodeAttachmentNotFound where there is none. It costs reading the thread, and nothing of any attachment.
func (e *Engine) Attachment(ctx context.Context, c Caller, ref, name string) (*Attachment, error) {
	if !media.CleanName(name) {
		return nil, refuse(exchange.CodeInvalid, "Invalid filename")
	}
	thread, err := e.Thread(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	for _, m := range thread.Messages {
		for _, a := range m.Attachments {
			if path.Base(a.Key) == name {
				return e.stored(ctx, name, a), nil
			}
		}
	}
	for i := len(thread.Messages) - 1; i >= 0; i-- {
		if a := e.mediumIn(ctx, &thread.Messages[i], i+1, name, c.Exchange, ref); a != nil {
			return a, nil
		}
	}
	return nil, refuse(exchange.CodeAttachmentNotFound, "Attachment not found")
}

// mediumIn looks for a name in one message, whose number from 1 is given, from its end on.
func (e *Engine) mediumIn(ctx context.Context, m *exchange.Message, number int, name, exchangeID, ref string) *Attachment {
	found := media.Find(m.Mess, "")
	for n := len(found) - 1; n >= 0; n-- {
		medium := &found[n]
		if medium.NameOf(number, n+1) != name {
			continue
		}
		file, _, isLink := media.FileOf(medium.URL(), exchangeID, ref)
		for _, a := range m.Attachments {
			if a.At == medium.At || a.At == "" && isLink && path.Base(a.Key) == file {
				return e.stored(ctx, name, a)
			}
		}
		if content, ok := medium.Decode(); ok {
			sum := sha256.Sum256(content)
			return &Attachment{Name: name, Type: media.CleanType(medium.Type, ""), Tag: hex.EncodeToString(sum[:16]), Content: inMemory{bytes.NewReader(content)}}
		}
	}
	return nil
}

// stored is an attachment that lies in the bucket. No other content ever lies under its key.
func (e *Engine) stored(ctx context.Context, name string, a exchange.Attachment) *Attachment {
	if a.Name != "" {
		name = a.Name
	}
	tag := path.Base(a.Key)
	return &Attachment{
		Name: name, Type: media.CleanType(a.Type, ""), Tag: tag[:min(len(tag), uuidLength)],
		Content: &objectReader{ctx: ctx, engine: e, named: a},
	}
}

// Open opens what an attachment of the thread holds, which is a.Size bytes.
func (t *Thread) Open(ctx context.Context, a exchange.Attachment) (io.ReadCloser, error) {
	r, err := t.engine.openNamed(ctx, a, 0, -1)
	if err != nil {
		return nil, t.engine.unreadableFile(ctx, err)
	}
	return r, nil
}

// Piece is a part of a message as it was sent: text, or where that is nil, what an attachment holds, in base64.
type Piece struct {
	Text       []byte
	Attachment exchange.Attachment
}

// Pieces takes a message apart, to be written piece by piece. What says where something was taken out, and leads
// nowhere, is passed over: nothing that this server writes does.
func Pieces(m *exchange.Message) []Piece {
	var all []Piece
	kept := 0
	for _, a := range m.Attachments {
		hole, ok := holeOf(m, a)
		if !ok || hole.End < kept {
			continue
		}
		all = append(all, Piece{Text: m.Mess[kept:hole.End]}, Piece{Attachment: a})
		kept = hole.End
	}
	return append(all, Piece{Text: m.Mess[kept:]})
}

func holeOf(m *exchange.Message, a exchange.Attachment) (media.Hole, bool) {
	if a.At == "" {
		return media.Hole{}, false
	}
	return media.Locate(m.Mess, a.At)
}

// Linked returns the blocks of a message with links in the places of what was taken out.
func Linked(m *exchange.Message, exchangeID, ref string) json.RawMessage {
	var out []byte
	kept := 0
	for _, a := range m.Attachments {
		hole, ok := holeOf(m, a)
		if !ok || hole.Start < kept {
			continue
		}
		out = append(out, m.Mess[kept:hole.Start]...)
		out = append(out, media.Path(exchangeID, ref, path.Base(a.Key))...) // needs no escape in JSON
		kept = hole.End
	}
	return append(out, m.Mess[kept:]...)
}

// Upload stores content beside a thread, for a message that will name it by its Key; until then nobody sees it, and
// after latestNaming it can't be named any more. An error of content that is an *exchange.Error is returned as it
// is. CodeOverloaded while maxUploads are in progress, or
// maxOwnUploads of the caller's. It lasts as long as content does.
func (e *Engine) Upload(ctx context.Context, c Caller, ref, name, mediaType string, content io.Reader) (exchange.Attachment, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return exchange.Attachment{}, err
	}
	defer leave()
	err = x.read(ctx, c, func(s *exchange.State) error {
		if _, ok := s.Thread(ref); !ok {
			return refuse(exchange.CodeThreadNotFound, "Thread not found")
		}
		return nil
	})
	if err != nil {
		return exchange.Attachment{}, err
	}
	end, refusal := e.uploads.begin(c)
	if refusal != nil {
		return exchange.Attachment{}, refusal
	}
	defer end()
	a, err := x.keepAttachment(ctx, ref, name, mediaType, content)
	if refusal, ok := errors.AsType[*exchange.Error](err); ok {
		return exchange.Attachment{}, refusal
	}
	if err != nil {
		return exchange.Attachment{}, x.unkept(ctx, err)
	}
	a.Name = name
	return a, nil
}

// objectReader reads an object from wherever it was sought to, at most readAtOnce of it at once.
type objectReader struct {
	ctx    context.Context
	engine *Engine
	named  exchange.Attachment
	at     int64
	open   io.ReadCloser // of the bytes up to until; nil while nothing is asked for
	until  int64
}

func (o *objectReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.named.Size
	}
	if offset < 0 {
		return 0, errors.New("sought to before the beginning")
	}
	if offset != o.at {
		o.close()
	}
	o.at = offset
	return offset, nil
}

func (o *objectReader) close() {
	if o.open != nil {
		_ = o.open.Close() // of what is read, no error of closing matters
	}
	o.open, o.until = nil, 0
}

// Close lets go of what is open. Read after it opens it again.
func (o *objectReader) Close() error {
	o.close()
	return nil
}

// Read returns errors that are refusals.
func (o *objectReader) Read(p []byte) (int, error) {
	if o.at >= o.named.Size {
		return 0, io.EOF
	}
	if o.at >= o.until {
		o.close()
	}
	if o.open == nil {
		if err := o.ask(); err != nil {
			return 0, err
		}
	}
	n, err := o.open.Read(p)
	o.at += int64(n)
	switch {
	case err == nil, err == io.EOF && o.at >= o.until:
		return n, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	o.close()
	return n, o.engine.unreadableFile(o.ctx, fmt.Errorf("read %s: %w", o.named.Key, err))
}

// ask opens the next bytes.
func (o *objectReader) ask() error {
	length := min(readAtOnce, o.named.Size-o.at)
	r, err := o.engine.openNamed(o.ctx, o.named, o.at, length)
	if err != nil {
		return o.engine.unreadableFile(o.ctx, err)
	}
	o.open, o.until = r, o.at+length
	return nil
}
