package httpapi

import (
	"bufio"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// hole is where in an answer something belongs that is kept beside the log, in base64: before a piece of it.
type hole struct {
	before     int
	attachment exchange.Attachment
}

// streamBuffer is how much of an attachment is on its way from the store to a client at once, twice: a thread with
// any number of photos costs no more memory.
const streamBuffer = 32 << 10

// linkMedia puts links in the places of what is kept beside the log. It reads none of it.
func linkMedia(t *engine.Thread, exchangeID string) {
	messages := append([]exchange.Message(nil), t.Messages...) // others read them too
	for i := range messages {
		if m := &messages[i]; len(m.Attachments) > 0 {
			m.Mess, m.Attachments = engine.Linked(m, exchangeID, t.Ref), nil
		}
	}
	t.Messages = messages
}

// stream answers with pieces and what belongs between them. The first attachment is opened before the answer begins,
// so that a store that is away is a 503. Where a later one can't be read the answer breaks off, shorter than it
// said it was.
func (t threadAnswer) stream(w http.ResponseWriter, pieces [][]byte, holes []hole) error {
	defer giveBuffer(pieces[0])
	length := int64(0)
	for _, p := range pieces {
		length += int64(len(p))
	}
	for _, h := range holes {
		length += int64(base64.StdEncoding.EncodedLen(int(h.attachment.Size)))
	}
	head := callOf(t.ctx).answer.request.Method == http.MethodHead
	var next io.ReadCloser
	if !head {
		var err error
		if next, err = t.Open(t.ctx, holes[0].attachment); err != nil {
			return err
		}
		defer func() { next.Close() }()
	}
	w.Header()["Content-Type"] = contentJSON
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	w.WriteHeader(http.StatusOK)
	if head {
		return nil
	}
	out := bufio.NewWriterSize(w, streamBuffer)
	for i, p := range pieces {
		if len(holes) > 0 && holes[0].before == i {
			if err := encodeInto(out, next, holes[0].attachment.Size); err != nil {
				return err
			}
			if holes = holes[1:]; len(holes) > 0 {
				next.Close()
				r, err := t.Open(t.ctx, holes[0].attachment)
				if err != nil {
					return err
				}
				next = r
			}
		}
		if _, err := out.Write(p); err != nil {
			return err
		}
	}
	return out.Flush()
}

// encodeInto writes all of an attachment in base64.
func encodeInto(w io.Writer, r io.Reader, size int64) error {
	e := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := io.CopyN(e, r, size); err != nil {
		return err
	}
	return e.Close()
}
