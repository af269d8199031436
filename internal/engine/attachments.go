package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/google/uuid"
	"gocloud.dev/blob"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// attachmentPart and attachmentWriters bound what a store that takes an object in parts holds of it in
	// memory: one part at a time.
	attachmentPart    = 8 << 20
	attachmentWriters = 1
	// mostNameInKey is how much of an attachment's name stands in its key, for people who look into the bucket.
	mostNameInKey = 64
	// uuidLength is how much of the last part of a key makes it unique.
	uuidLength = 36
)

// attachmentFolder is where the attachments of an exchange lie, ending in "/".
func attachmentFolder(exchangeID string) string { return "attachments/exchange=" + exchangeID + "/" }

// keepAttachment stores content under a key that nobody ever had, and returns what an event needs to say of it
// (its At and Name are the caller's to set). ref and name only help people to find it: whatever they are, the
// key is a good one. The object is durable on return, and nobody knows of it until an event names it; if none
// does, it is collected after collectAfter. So a caller that meets an error, or does not know what became of
// its commit, simply leaves it behind. Memory: a buffer, and attachmentPart on a store that takes parts.
//
// An event that names it must list it in its payload, as "attachments": [exchange.Attachment, …], and its
// type must be folded with State.applyAttachments; else it would be collected under the event.
//
// An error of content is returned as it is (errors.Is), one of the store wrapped.
func (x *running) keepAttachment(ctx context.Context, ref, name, mediaType string, content io.Reader) (exchange.Attachment, error) {
	a := exchange.Attachment{Key: newAttachmentKey(x.id, ref, name), Type: mediaType}
	if err := x.writeAttachment(ctx, &a, content); err != nil {
		return exchange.Attachment{}, err
	}
	return a, nil
}

// writeAttachment writes the object and sets size and sum.
func (x *running) writeAttachment(ctx context.Context, a *exchange.Attachment, content io.Reader) error {
	ctx, cancel := context.WithCancel(ctx) // ends a write that must not be finished
	defer cancel()
	w, err := x.engine.store.Bucket().NewWriter(ctx, a.Key, &blob.WriterOptions{
		ContentType: "application/octet-stream", DisableContentTypeDetection: true, CacheControl: "no-store",
		BufferSize: attachmentPart, MaxConcurrency: attachmentWriters,
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", a.Key, err)
	}
	sum := sha256.New()
	source := &sourceReader{r: content}
	size, err := io.Copy(io.MultiWriter(w, sum), source)
	if err != nil {
		cancel()
		_ = w.Close() // of a write that was given up, no error matters
		if source.err != nil {
			return source.err
		}
		return fmt.Errorf("write %s: %w", a.Key, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", a.Key, err)
	}
	a.Size, a.SHA256 = size, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// sourceReader tells errors of reading from those of writing what was read.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// openAttachment opens an object of attachments/ for reading, from offset on, length bytes or all where that is
// negative. Its reader's Size is that of the whole object. store.NoSuchKey(err) where it is not there. The
// caller closes it; ctx must live as long as it is read.
func (e *Engine) openAttachment(ctx context.Context, key string, offset, length int64) (*blob.Reader, error) {
	r, err := e.store.Bucket().NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return r, nil
}

// errDamagedFile: what an event keeps beside the log is not what the event says.
var errDamagedFile = errors.New("a file of a thread is damaged")

// openNamed is openAttachment for one that an event names; errDamagedFile where it has another size there.
func (e *Engine) openNamed(ctx context.Context, a exchange.Attachment, offset, length int64) (*blob.Reader, error) {
	r, err := e.openAttachment(ctx, a.Key, offset, length)
	if err != nil {
		return nil, err
	}
	if r.Size() != a.Size {
		r.Close()
		return nil, fmt.Errorf("%w: %s has %d bytes, and its event says %d", errDamagedFile, a.Key, r.Size(), a.Size)
	}
	return r, nil
}

// unreadableFile tells a file that is lost or damaged, which no trying again brings back, from a store that is
// away.
func (e *Engine) unreadableFile(ctx context.Context, err error) *exchange.Error {
	if errors.Is(err, errDamagedFile) || e.store.NoSuchKey(err) {
		return &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
	}
	return e.unreadable(ctx, err)
}

// newAttachmentKey returns a key that was never used: attachments/exchange=home/{ref}/{uuid}-{name}. Only the uuid
// makes it so.
func newAttachmentKey(exchangeID, ref, name string) string {
	id := uuid.Must(uuid.NewV7()).String() // fails only where there is no randomness, which ends the process anyway
	if name = nameInKey(name); name != "" {
		id += "-" + name
	}
	return attachmentFolder(exchangeID) + folderOf(ref) + "/" + id
}

// nameInKey is what of a name may stand in a file's name on every system and in a URL as it is: at most
// mostNameInKey characters, the end of it kept.
func nameInKey(name string) string {
	name = strings.ReplaceAll(plainName(name), "..", "_")
	ext := path.Ext(name)
	if len(ext) > mostNameInKey/4 {
		ext = ""
	}
	base := strings.TrimSuffix(name, ext)
	return base[:min(len(base), mostNameInKey-len(ext))] + ext
}

func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, s)
}

// isAttachmentKey reports whether the key is one that newAttachmentKey makes for that exchange. Whatever else
// lies in the folder belongs to a stranger.
func isAttachmentKey(exchangeID, key string) bool {
	rest, ok := strings.CutPrefix(key, attachmentFolder(exchangeID))
	_, name, in := strings.Cut(rest, "/")
	if !ok || !in || len(name) < uuidLength || len(name) > uuidLength && name[uuidLength] != '-' {
		return false
	}
	id, err := uuid.Parse(name[:uuidLength])
	return err == nil && id.Version() == 7 && name[:uuidLength] == id.String() && !strings.Contains(name, "/")
}
