package messeaf

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// extension of every file that holds documents.
const extension = ".messe-af.yaml"

// The folders in which an exchange of files keeps its threads.
const (
	FolderReceived  = "received"
	FolderExecuting = "executing"
	FolderFinished  = "finished"
	FolderCanceled  = "canceled"
)

// Folder is where threads of that status, in any accepted spelling, are kept. One that is not known is
// still being worked on, as in the exchange.
func Folder(status string) string {
	if known, ok := exchange.ParseStatus(status); ok {
		status = known
	}
	switch status {
	case exchange.StatusPending:
		return FolderReceived
	case exchange.StatusCompleted, exchange.StatusPartial:
		return FolderFinished
	}
	if exchange.Terminal(status) {
		return FolderCanceled
	}
	return FolderExecuting
}

// NameV1 is the name of the one file of a v1 thread.
func NameV1(ref string) string { return ref + extension }

// NameV2 is the name of a v2 thread's file of documents. Number 0 holds the envelope.
func NameV2(number int, ref string) string { return fmt.Sprintf("%03d-%s%s", number, ref, extension) }

// parseV1 is the reverse of NameV1.
func parseV1(name string) (ref string, ok bool) {
	ref, ok = strings.CutSuffix(name, extension)
	if !ok {
		return "", false
	}
	_, _, ok = exchange.ParseRef(ref)
	return ref, ok
}

// parseV2 is the reverse of NameV2. No name is both one of v1 and one of v2: a year is followed by a
// month, which no ref begins with.
func parseV2(name string) (number int, ref string, ok bool) {
	rest, ok := strings.CutSuffix(name, extension)
	if !ok {
		return 0, "", false
	}
	digits, ref, _ := strings.Cut(rest, "-")
	if number, ok = parseSerial(digits); !ok {
		return 0, "", false
	}
	_, _, ok = exchange.ParseRef(ref)
	return number, ref, ok
}

// parseSerial reads a number of three digits, or of more where it needs them, so that each number has
// one spelling.
func parseSerial(digits string) (int, bool) {
	if len(digits) < 3 || len(digits) > 9 || len(digits) > 3 && digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// Attachment is a file of a v2 thread that its messages speak of.
type Attachment struct {
	Serial int    // of the message that brought it, as a rule
	Kind   string // image, audio, video or file
	Name   string
	Bytes  []byte
}

var attachmentKinds = []string{"image", "audio", "video", "file"}

// FileName is the attachment's name in the folder of its thread.
func (a Attachment) FileName() string { return fmt.Sprintf("att-%03d-%s-%s", a.Serial, a.Kind, a.Name) }

// ParseAttachmentName is the reverse of Attachment.FileName; the bytes are not its business. ok is false
// for what is no name of an attachment, such as anything that would not stay in its folder on some
// system.
func ParseAttachmentName(name string) (a Attachment, ok bool) {
	parts := strings.SplitN(name, "-", 4)
	if len(parts) < 4 || parts[0] != "att" || !slices.Contains(attachmentKinds, parts[2]) || !plainName(name) || parts[3] == "" {
		return Attachment{}, false
	}
	serial, ok := parseSerial(parts[1])
	return Attachment{Serial: serial, Kind: parts[2], Name: parts[3]}, ok
}

// plainName reports whether a name can be given to a file on any system, and to a URL.
func plainName(name string) bool {
	return name != "" && len(name) <= maxFileName && utf8.ValidString(name) &&
		!strings.Contains(name, "..") && !strings.HasSuffix(name, ".") && !strings.HasSuffix(name, " ") &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !unicode.IsPrint(r) || r == utf8.RuneError || strings.ContainsRune(`/\:*?"<>|`, r)
		})
}

// plainPath reports whether a path, with slashes, stays below the folder it is put in, on any system.
func plainPath(name string) bool {
	if len(name) > maxPath || path.Clean(name) != name {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if !plainName(part) {
			return false
		}
	}
	return true
}

// MessageRef names a message of a thread: {thread}/{kind}-{serial}, or {thread}/{kind}-{serial}-{id}
// where its sender gave it an id.
type MessageRef struct {
	Thread string
	Kind   string // one of the Kind constants
	Serial int    // among the messages of the thread that have a ref, from 1
	ID     string // "" for none
}

// The kinds of message that have a ref.
const (
	KindClaim    = "claim"
	KindStatus   = "status"
	KindResponse = "response"
	KindQuestion = "question"
	KindAnswer   = "answer"
	KindCancel   = "cancel"
	KindFollowup = "followup"
)

var messageKinds = []string{KindClaim, KindStatus, KindResponse, KindQuestion, KindAnswer, KindCancel, KindFollowup}

func (r MessageRef) String() string {
	s := fmt.Sprintf("%s/%s-%03d", r.Thread, r.Kind, r.Serial)
	if r.ID != "" {
		s += "-" + r.ID
	}
	return s
}

// ParseMessageRef is the reverse of MessageRef.String.
func ParseMessageRef(s string) (r MessageRef, ok bool) {
	thread, rest, _ := strings.Cut(s, "/")
	if _, _, ok := exchange.ParseRef(thread); !ok {
		return MessageRef{}, false
	}
	parts := strings.SplitN(rest, "-", 3)
	if len(parts) < 2 || !slices.Contains(messageKinds, parts[0]) {
		return MessageRef{}, false
	}
	r = MessageRef{Thread: thread, Kind: parts[0]}
	if r.Serial, ok = parseSerial(parts[1]); !ok || r.Serial == 0 {
		return MessageRef{}, false
	}
	if len(parts) == 3 {
		r.ID = parts[2]
		if r.ID == "" || r.ID != tokenize(r.ID) {
			return MessageRef{}, false
		}
	}
	return r, true
}

// tokenize makes an id that a client gave fit for a ref: letters, digits, "_" and "." stay, all else
// between them becomes one "-".
func tokenize(id string) string {
	const most = 64
	words := strings.FieldsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.')
	})
	token := strings.Join(words, "-")
	for strings.Contains(token, "..") {
		token = strings.ReplaceAll(token, "..", ".")
	}
	if len(token) > most {
		token = token[:most]
	}
	return strings.Trim(token, "-.")
}

// FileKind is what a file is, by its name.
type FileKind int

// The kinds of files. Attachments stand in the folder of a v2 thread.
const (
	FileOther FileKind = iota
	FileV1
	FileV2
	FileAttachment
)

// Kind returns what a file is by its name without folders, and of which thread, as far as the name says.
func Kind(name string) (kind FileKind, ref string) {
	if ref, ok := parseV1(name); ok {
		return FileV1, ref
	}
	if _, ref, ok := parseV2(name); ok {
		return FileV2, ref
	}
	if _, ok := ParseAttachmentName(name); ok {
		return FileAttachment, ""
	}
	return FileOther, ""
}
