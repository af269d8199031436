package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mess-exchange/mess-exchange/internal/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// contentJSON is shared by all answers: it may be replaced, not changed.
var contentJSON = []string{"application/json"}

// buffers holds buffers in which answers were written, for the next ones: a list is tens of kilobytes, and
// collecting them cost a third of what a list does. Nothing may keep a part of a buffer that was given back.
var buffers sync.Pool

// mostPooled is the size from which a buffer is not kept, so that one large answer does not stay in memory.
const mostPooled = 256 << 10

// takeBuffer returns an empty buffer.
func takeBuffer() []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

// giveBuffer gives back a buffer whose content has been sent.
func giveBuffer(b []byte) {
	if cap(b) <= mostPooled {
		b = b[:0]
		buffers.Put(&b)
	}
}

// writeJSON answers with one or more pieces of a JSON document, written one after the other.
func writeJSON(w http.ResponseWriter, status int, pieces ...[]byte) error {
	length := 0
	for _, p := range pieces {
		length += len(p)
	}
	h := w.Header()
	h["Content-Type"] = contentJSON
	h["Content-Length"] = []string{strconv.Itoa(length)}
	w.WriteHeader(status)
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// document is a whole answer, for operations that list. It stands in a buffer of the pool.
type document []byte

func (d document) VisitListExecutorsResponse(w http.ResponseWriter) error {
	return d.send(w)
}

func (d document) VisitGetExecutorResponse(w http.ResponseWriter) error {
	return d.send(w)
}

func (d document) VisitTestNotificationsResponse(w http.ResponseWriter) error {
	return d.send(w)
}

func (d document) VisitListCapabilitiesResponse(w http.ResponseWriter) error {
	return d.send(w)
}

func (d document) send(w http.ResponseWriter) error {
	err := writeJSON(w, http.StatusOK, d)
	giveBuffer(d)
	return err
}

// threadState answers a change: what became of a thread.
type threadState struct{ ref, status string }

func (s threadState) VisitCreateRequestResponse(w http.ResponseWriter) error {
	return s.send(w, http.StatusCreated)
}

func (s threadState) VisitUpdateRequestResponse(w http.ResponseWriter) error {
	return s.send(w, http.StatusOK)
}

func (s threadState) send(w http.ResponseWriter, status int) error {
	text := append(takeBuffer(), `{"ref":`...)
	text = append(appendString(text, s.ref), `,"status":`...)
	text = append(appendString(text, s.status), "}\n"...)
	err := writeJSON(w, status, text)
	giveBuffer(text)
	return err
}

// threadAnswer is a thread with its messages.
type threadAnswer struct {
	*engine.Thread
	tag string
	ctx context.Context // of the request, for reading what its messages keep beside the log
}

// summarySize is about what a ThreadSummary takes.
const summarySize = 320

// inlineBlocks is up to which size the blocks of a message are copied next to what stands around
// them. Larger ones go out from where the exchange holds them.
const inlineBlocks = 16 << 10

func (t threadAnswer) VisitGetRequestResponse(w http.ResponseWriter) error {
	w.Header()[etagHeader] = []string{t.tag}
	pieces, holes := t.pieces()
	if len(holes) > 0 {
		err := t.stream(w, pieces, holes)
		if err != nil {
			delete(w.Header(), etagHeader) // of a refusal, where the answer has not begun
		}
		return err
	}
	err := writeJSON(w, http.StatusOK, pieces...)
	giveBuffer(pieces[0])
	return err
}

// pieces returns the answer in parts, and what belongs between them. The first is a buffer of the pool; others may
// be the exchange's own.
func (t threadAnswer) pieces() (pieces [][]byte, holes []hole) {
	size := summarySize
	for _, m := range t.Messages {
		size += summarySize + min(len(m.Mess), inlineBlocks)
	}
	text := append(slices.Grow(takeBuffer(), size), `{"thread":{`...)
	text = append(appendSummary(text, &t.Thread.Thread), `,"messages":[`...)
	for i, m := range t.Messages {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, `{"from":`...)
		text = append(appendString(text, m.From), `,"ts":`...)
		text = append(appendTime(text, m.TS), `,"mess":`...)
		switch {
		case len(m.Mess) == 0:
			text = append(text, "[]"...)
		case len(m.Attachments) > 0:
			for _, p := range engine.Pieces(&m) {
				if p.Text == nil {
					pieces, text = append(pieces, text), nil
					holes = append(holes, hole{len(pieces), p.Attachment})
				}
				text = append(text, p.Text...)
			}
		case len(m.Mess) <= inlineBlocks:
			text = append(text, m.Mess...)
		default:
			pieces = append(pieces, text, m.Mess)
			text = nil
		}
		text = append(text, '}')
	}
	text = strconv.AppendInt(append(text, `],"seq":`...), t.Seq, 10)
	return append(pieces, append(text, "}}\n"...)), holes
}

// appendThreads appends a list of threads; cursor is that of the next page, "" for none.
func appendThreads(dst []byte, threads []exchange.Thread, cursor string) []byte {
	dst = append(slices.Grow(dst, len(threads)*summarySize), `{"threads":[`...)
	for i := range threads {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendSummary(append(dst, '{'), &threads[i]), '}')
	}
	if cursor == "" {
		return append(dst, "]}\n"...)
	}
	dst = append(dst, `],"next_cursor":`...)
	return append(appendString(dst, cursor), "}\n"...)
}

// appendSummary appends the members of a ThreadSummary, without braces.
func appendSummary(dst []byte, t *exchange.Thread) []byte {
	dst = append(dst, `"ref":`...)
	dst = append(appendString(dst, t.Ref), `,"status":`...)
	dst = append(appendString(dst, t.Status), `,"intent":`...)
	dst = append(appendString(dst, t.Intent), `,"requestor_id":`...)
	dst = append(appendString(dst, t.Requestor), `,"executor_id":`...)
	if t.Executor == "" {
		dst = append(dst, "null"...)
	} else {
		dst = appendString(dst, t.Executor)
	}
	dst = append(dst, `,"priority":`...)
	dst = append(appendString(dst, t.Priority), `,"created_at":`...)
	dst = append(appendTime(dst, t.CreatedAt), `,"updated_at":`...)
	return appendTime(dst, t.UpdatedAt)
}

func appendExecutors(dst []byte, executors []engine.Executor) []byte {
	dst = append(dst, `{"executors":[`...)
	for i := range executors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendExecutor(append(dst, '{'), &executors[i]), '}')
	}
	return append(dst, "]}\n"...)
}

// appendExecutor appends the members of an Executor, without braces.
func appendExecutor(dst []byte, e *engine.Executor) []byte {
	dst = append(dst, `"id":`...)
	dst = append(appendString(dst, e.ID), `,"display_name":`...)
	dst = append(appendString(dst, e.DisplayName), `,"capabilities":`...)
	dst = append(appendStrings(dst, e.Capabilities), `,"last_seen":`...)
	dst = append(appendTime(dst, e.LastSeen), `,"created_at":`...)
	return appendTime(dst, e.CreatedAt)
}

// appendProfile appends a profile, the settings by name behind what everybody sees.
func appendProfile(dst []byte, p *engine.Profile) []byte {
	dst = appendExecutor(append(dst, `{"executor":{`...), &p.Executor)
	for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
		dst = append(appendString(append(dst, ','), name), ':')
		dst = append(dst, p.Settings[name]...)
	}
	return append(dst, "}}\n"...)
}

func appendCapabilities(dst []byte, all []capabilities.Capability) []byte {
	dst = append(dst, `{"capabilities":[`...)
	for i, c := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":`...)
		dst = append(appendString(dst, c.ID), `,"description":`...)
		dst = append(appendString(dst, c.Description), `,"tags":`...)
		dst = append(appendStrings(dst, c.Tags), '}')
	}
	return append(dst, "]}\n"...)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

func appendError(dst []byte, message string, code exchange.Code) []byte {
	dst = append(dst, `{"error":`...)
	dst = append(appendString(dst, message), `,"code":`...)
	return append(appendString(dst, string(code)), "}\n"...)
}

// appendString quotes s. Invalid UTF-8, which data of other servers may hold, is shown as U+FFFD.
func appendString(dst []byte, s string) []byte {
	if isPlain(s) { // most are, and a list has six hundred of them
		return append(append(append(dst, '"'), s...), '"')
	}
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// isPlain reports whether s stands in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendTime writes RFC 3339 in UTC with milliseconds. An answer to a list has two hundred times in it,
// which package time would take a quarter of the list's cost for.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
	}
	hour, minute, second := t.Clock()
	dst = append(dst, '"')
	dst = append(appendTwo(appendTwo(dst, year/100), year%100), '-')
	dst = append(appendTwo(dst, int(month)), '-')
	dst = append(appendTwo(dst, day), 'T')
	dst = append(appendTwo(dst, hour), ':')
	dst = append(appendTwo(dst, minute), ':')
	dst = append(appendTwo(dst, second), '.')
	ms := t.Nanosecond() / 1e6
	return append(appendTwo(dst, ms/10), byte('0'+ms%10), 'Z', '"')
}

// appendTwo writes a number from 0 to 99 with two digits.
func appendTwo(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// compact removes the white space between the tokens of a valid JSON value and changes nothing else.
func compact(v []byte) json.RawMessage {
	return json.RawMessage(appendCompact(make([]byte, 0, len(v)), v))
}

// appendCompact is compact for the end of a buffer. Every byte outside of strings that is white space
// goes; a quote ends a string unless a backslash stands before it that is not escaped itself.
func appendCompact(dst, v []byte) []byte {
	for len(v) > 0 {
		at := bytes.IndexAny(v, "\" \t\r\n")
		if at < 0 {
			return append(dst, v...)
		}
		dst = append(dst, v[:at]...)
		v = v[at:]
		if v[0] != '"' {
			v = v[1:]
			continue
		}
		end := stringEnd(v)
		dst = append(dst, v[:end]...)
		v = v[end:]
	}
	return dst
}

// stringEnd returns how many bytes the string takes that v begins with, its quotes included.
func stringEnd(v []byte) int {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(v) // not reached: v was parsed before
}
