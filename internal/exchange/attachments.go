package exchange

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"
)

// Attachment is something that an event keeps in an object of its own. The rules only remember that its
// key was named.
type Attachment struct {
	// At is where in the message the data was, which is put back on reading: a JSON pointer (RFC 6901) into
	// the list of blocks, to a string that has lost its end. "" for an object that is only named, by a uri in
	// the message, or by an event that is no message.
	At     string `json:"at,omitempty"`
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	Type   string `json:"type"`             // a media type
	Name   string `json:"name,omitempty"`   // as the client calls it; "" for none that could be a file's
	SHA256 string `json:"sha256,omitempty"` // in hex; "" where the server never had all of it at once
}

// attachmentsMember is how the list of attachments begins in a payload.
var attachmentsMember = []byte(`"attachments":`)

// AttachmentsOf returns what an event keeps beside the log: the member attachments of its payload. Only this
// server's own events have it: in those of the original one it is what somebody wrote.
func AttachmentsOf(e Event) []Attachment {
	if e.Seq <= 0 || !bytes.Contains(e.Payload, attachmentsMember) {
		return nil
	}
	return object[struct {
		Attachments []Attachment `json:"attachments"`
	}](e.Payload).Attachments
}

// behind returns the attachments of a message that got so many blocks in front.
func behind(blocks int, all []Attachment) []Attachment {
	if blocks == 0 {
		return all
	}
	moved := make([]Attachment, len(all))
	for i, a := range all {
		block, rest, _ := strings.Cut(strings.TrimPrefix(a.At, "/"), "/")
		if n, err := strconv.Atoi(block); err == nil {
			a.At = "/" + strconv.Itoa(n+blocks) + "/" + rest
		}
		moved[i] = a
	}
	return moved
}

// attachmentShift: a page holds 1024 hashes of 8 bytes.
const attachmentShift = 10

// applyAttachments remembers which keys an event names: 8 bytes each, and nothing for events without any. It is
// to be called for each type of event that may have some. Whoever collects objects that no event names asks for
// them, and no rule does, so a fork has none.
func (s *State) applyAttachments(e Event) {
	if s.base != nil {
		return
	}
	for _, a := range AttachmentsOf(e) {
		s.table.attachments.add(AttachmentHash(a.Key))
	}
}

// AttachmentHash is what a State keeps of an attachment's key. Two keys that share it by chance cost an
// orphan that stays.
func AttachmentHash(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // never fails
	return h.Sum64()
}

// AttachmentHashes appends the hashes of the keys that events have named, in the order of the log, but for the
// first so many of them. s must not be a fork.
func (s *State) AttachmentHashes(dst []uint64, but int) []uint64 {
	all := &s.table.attachments
	for i := uint32(but); i < all.len(); i++ {
		dst = append(dst, *all.at(i))
	}
	return dst
}

func (e *encoder) attachments(t *table) {
	e.number(uint64(t.attachments.len()))
	for i := range t.attachments.len() {
		e.b = binary.BigEndian.AppendUint64(e.b, *t.attachments.at(i))
		e.flush(flushAt)
	}
}

func (d *decoder) attachments(t *table) {
	for count := d.number(); count > 0 && d.err == nil; count-- {
		d.scratch = d.bytes(d.scratch[:0], 8)
		if d.err != nil {
			return
		}
		t.attachments.add(binary.BigEndian.Uint64(d.scratch))
	}
}

// differentAttachments compares which keys were named, in order.
func differentAttachments(a, b *State) string {
	x, y := a.AttachmentHashes(nil, 0), b.AttachmentHashes(nil, 0)
	for i := range min(len(x), len(y)) {
		if d := differs("attachment "+strconv.Itoa(i+1), "hash of the key", x[i], y[i]); d != "" {
			return d
		}
	}
	return differs("", "attachments", len(x), len(y))
}
