package exchange

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"
)

// NoteAnswered says how a keyed command was answered. It is committed with the command's events, or alone
// where there are none, so an answer is given again only from the log.
const NoteAnswered = NotePrefix + "answered"

// KeyLife is how long an answer is given again, by the ts of events: longer than anyone goes on asking, and
// short enough that memory holds them all.
const KeyLife = 24 * time.Hour

const (
	// MaxKey bounds an Idempotency-Key. It is hashed at once, so this is about headers, not about memory: it is
	// what others who know the header allow, and far more than the 36 characters of a UUID.
	MaxKey = 255
	// MinRegistrationKey is the least length of the key of a registration, which lets one have another API key
	// in the place of the first: it must not be guessed. 22 characters of base64 hold 128 random bits.
	MinRegistrationKey = 22
	// maxSentence bounds the sentence of a refusal that is given again. It is kept for a day in memory; one
	// that names a hundred missing capabilities is cut, the first time too.
	maxSentence = 512
)

// ValidKey reports whether that may be an Idempotency-Key: 1 to MaxKey printable ASCII characters.
func ValidKey(key string) bool {
	return key != "" && len(key) <= MaxKey && !strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' })
}

// digest is the first half of a SHA-256 or an HMAC of it. Whoever finds two requests with one digest
// deceives nobody but itself, since keys are each executor's own.
type digest [16]byte

// Once is what the Idempotency-Key of a request makes of its command: asked again with the same key by the
// same executor, it is answered as it was the first time. The zero value is no key.
type Once struct {
	key, request digest
}

// NewOnce returns the Once of a request with that key. What is compared is the method, the path and the
// bytes of the body. The key is the key of their hash, because a registration holds secrets: the log
// tells who has read it nothing about them as long as the key can't be guessed.
func NewOnce(key, method, path string, body []byte) Once {
	var o Once
	sum := sha256.Sum256([]byte(key))
	o.key = digest(sum[:len(o.key)])
	mac := hmac.New(sha256.New, []byte(key))
	for _, part := range [][]byte{[]byte(method), []byte(path), body} {
		_, _ = mac.Write(part) // a hash never fails
		_, _ = mac.Write([]byte{0})
	}
	o.request = digest(mac.Sum(nil)[:len(o.request)])
	return o
}

// Given reports whether there is a key.
func (o Once) Given() bool { return o != Once{} }

// Result is what a command about a thread answers.
type Result struct{ Ref, Status string }

// The HTTP statuses of answers, as they stand in note_answered for those who query the log. Answers get
// theirs from the table in httpapi; a test there holds both together.
const (
	statusOK      = 200
	statusCreated = 201
)

// RecordedStatus returns the HTTP status with which a note_answered holds a refusal; 0 for one that is not
// recorded. What is refused before the rules or for want of something (401, 413, 503) may go better the next time,
// and is decided anew; so is the second use of a key.
func RecordedStatus(code Code) int {
	switch code {
	case CodeInvalid:
		return 400
	case CodeForbidden, CodeReserved, CodeMissingCapability:
		return 403
	case CodeThreadNotFound:
		return 404
	case CodeAlreadyClaimed, CodeThreadClosed, CodeTooEarly, CodeDependencyOpen, CodeUnconfirmed:
		return 409
	}
	return 0
}

// answered is the payload of note_answered. It holds the sentence of a refusal, because that says how things
// were then, which nobody can make up again. Sentences name executors, capabilities, refs and times, and no secret.
type answered struct {
	Key          string `json:"key"`     // base64 of the first 16 bytes of SHA-256
	Request      string `json:"request"` // the same of an HMAC, see NewOnce
	Status       int    `json:"status"`
	Code         Code   `json:"code,omitempty"`
	Error        string `json:"error,omitempty"`
	Ref          string `json:"ref,omitempty"`
	ThreadStatus string `json:"thread_status,omitempty"`
}

// once decides a command of an executor, or finds how it was answered before. result is where decide leaves
// what the command answers, status the HTTP status of that. Cost without a key: nothing; with one: a look-up
// and one more event.
func (s *State) once(o Once, executor string, now time.Time, result *Result, status int, decide func() ([]Draft, *Error)) ([]Draft, *Error) {
	if !o.Given() {
		return decide()
	}
	if before, ok := s.answered(executor, o, now); ok {
		return nil, before.again(o, result)
	}
	drafts, refusal := decide()
	if refusal != nil {
		if status = RecordedStatus(refusal.Code); status == 0 {
			return drafts, refusal
		}
		refusal.Message = clip(refusal.Message, maxSentence)
	}
	note, failed := noteAnswered(o, executor, status, *result, refusal)
	if failed != nil {
		return nil, failed
	}
	return append(drafts, note), refusal
}

func noteAnswered(o Once, executor string, status int, r Result, refusal *Error) (Draft, *Error) {
	p := answered{
		Key: base64.StdEncoding.EncodeToString(o.key[:]), Request: base64.StdEncoding.EncodeToString(o.request[:]),
		Status: status, Ref: r.Ref, ThreadStatus: r.Status,
	}
	if refusal != nil {
		p.Code, p.Error, p.Ref, p.ThreadStatus = refusal.Code, refusal.Message, "", ""
	}
	return draft(NoteAnswered, "", executor, p)
}

// again gives an answer once more.
func (a *answer) again(o Once, result *Result) *Error {
	if a.once != o {
		return refuse(CodeKeyReused, "This Idempotency-Key was used for another request; send another key with another request")
	}
	if a.code != "" {
		return refuse(a.code, "%s", a.sentence)
	}
	*result = a.result
	return nil
}

// clip cuts a sentence to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const ellipsis = "…"
	for n -= len(ellipsis); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + ellipsis
}

// applyAnswered folds note_answered. One that can't be understood is skipped, as a version that does not
// know the type would.
func (s *State) applyAnswered(e Event) {
	s.active(e.Actor)
	p := object[struct { // no member of which is as the original server stored it
		Key          []byte `json:"key"`
		Request      []byte `json:"request"`
		Status       uint16 `json:"status"`
		Code         Code   `json:"code"`
		Error        string `json:"error"`
		Ref          string `json:"ref"`
		ThreadStatus string `json:"thread_status"`
	}](e.Payload)
	a := answer{executor: e.Actor, at: e.TS.UnixMilli(), code: p.Code, sentence: p.Error, status: p.Status, result: Result{p.Ref, p.ThreadStatus}}
	if len(p.Key) != len(a.once.key) || len(p.Request) != len(a.once.request) || e.Actor == "" {
		return
	}
	a.once = Once{digest(p.Key), digest(p.Request)}
	if _, known := s.Thread(a.result.Ref); a.result.Ref != "" && !known {
		return
	}
	if _, before := s.answered(a.executor, a.once, e.TS); !before { // the first answer stands
		s.keepAnswer(&a)
	}
}
