package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mess-exchange/mess-exchange/internal/capabilities"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// writeJSON answers with one or more pieces of a JSON document, written one after the other.
func writeJSON(w http.ResponseWriter, status int, pieces ...[]byte) error {
	length := 0
	for _, p := range pieces {
		length += len(p)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(status)
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// document is a whole answer, for operations that list.
type document []byte

func (d document) VisitListRequestsResponse(w http.ResponseWriter) error {
	return writeJSON(w, http.StatusOK, d)
}

func (d document) VisitListExecutorsResponse(w http.ResponseWriter) error {
	return writeJSON(w, http.StatusOK, d)
}

func (d document) VisitGetExecutorResponse(w http.ResponseWriter) error {
	return writeJSON(w, http.StatusOK, d)
}

func (d document) VisitListCapabilitiesResponse(w http.ResponseWriter) error {
	return writeJSON(w, http.StatusOK, d)
}

// threadAnswer is a thread with its messages.
type threadAnswer struct{ *engine.Thread }

// summarySize is about what a ThreadSummary takes.
const summarySize = 320

// inlineBlocks is up to which size the blocks of a message are copied next to what stands around
// them. Larger ones go out from where the exchange holds them.
const inlineBlocks = 16 << 10

func (t threadAnswer) VisitGetRequestResponse(w http.ResponseWriter) error {
	return writeJSON(w, http.StatusOK, t.pieces()...)
}

func (t threadAnswer) pieces() [][]byte {
	var pieces [][]byte
	size := summarySize
	for _, m := range t.Messages {
		size += summarySize + min(len(m.Mess), inlineBlocks)
	}
	text := append(make([]byte, 0, size), `{"thread":{`...)
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
		case len(m.Mess) <= inlineBlocks:
			text = append(text, m.Mess...)
		default:
			pieces = append(pieces, text, m.Mess)
			text = nil
		}
		text = append(text, '}')
	}
	return append(pieces, append(text, "]}}\n"...))
}

func appendThreads(dst []byte, threads []exchange.Thread) []byte {
	dst = append(slices.Grow(dst, len(threads)*summarySize), `{"threads":[`...)
	for i := range threads {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendSummary(append(dst, '{'), &threads[i]), '}')
	}
	return append(dst, "]}\n"...)
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
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// appendTime writes RFC 3339 in UTC with milliseconds, by way of the layout that package time has a
// fast path for.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	dst = t.AppendFormat(append(dst, '"'), time.RFC3339)
	ms := t.Nanosecond() / 1e6
	return append(dst[:len(dst)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z', '"')
}

// compact removes the white space between the tokens of a valid JSON value and changes nothing else.
func compact(v []byte) json.RawMessage {
	c := jsontext.Value(append([]byte(nil), v...))
	if err := c.Compact(); err != nil {
		return v // not reached: v was parsed before
	}
	return json.RawMessage(c)
}
