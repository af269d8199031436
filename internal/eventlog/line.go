package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// timeFormat is RFC 3339 in UTC with milliseconds, the form of every ts.
const timeFormat = "2006-01-02T15:04:05.000Z"

// line is an event as it is written: exactly these 8 keys, in this order. Data of the original
// server has no seq.
type line struct {
	EventID    string          `json:"event_id"`
	Seq        int64           `json:"seq"`
	TS         string          `json:"ts"`
	ExchangeID string          `json:"exchange_id"`
	ThreadRef  *string         `json:"thread_ref"`
	EventType  string          `json:"event_type"`
	ActorID    string          `json:"actor_id"`
	Payload    json.RawMessage `json:"payload"`
}

// appendLine appends e as one line to buf and returns the longer buf and e with the payload as it
// stands in the line: what is applied here is byte for byte what a replay will read. It writes what
// encoding/json makes of a line, member by member, because every event passes here.
func appendLine(buf []byte, exchange string, e Event) ([]byte, Event, error) {
	start := len(buf)
	buf = appendJSON(append(buf, `{"event_id":`...), e.ID)
	buf = strconv.AppendInt(append(buf, `,"seq":`...), e.Seq, 10)
	buf = e.TS.UTC().AppendFormat(append(buf, `,"ts":"`...), timeFormat)
	buf = appendJSON(append(buf, `","exchange_id":`...), exchange)
	buf = append(buf, `,"thread_ref":`...)
	if e.Thread == "" {
		buf = append(buf, "null"...)
	} else {
		buf = appendJSON(buf, e.Thread)
	}
	buf = appendJSON(append(buf, `,"event_type":`...), e.Type)
	buf = appendJSON(append(buf, `,"actor_id":`...), e.Actor)
	buf = append(buf, `,"payload":`...)
	at := len(buf)
	w := bytes.NewBuffer(buf)
	if err := json.Compact(w, e.Payload); err != nil {
		return buf[:start], e, fmt.Errorf("encode event %d of type %s: %w", e.Seq, e.Type, err)
	}
	buf = append(w.Bytes(), "}\n"...)
	end := len(buf) - len("}\n")
	e.Payload = json.RawMessage(buf[at:end:end])
	return buf, e, nil
}

// appendJSON appends s as a JSON string. Characters that HTML would escape stay: a text must not grow
// sixfold on its way into the log.
func appendJSON(buf []byte, s string) []byte {
	if plain(s) {
		return append(append(append(buf, '"'), s...), '"')
	}
	w := bytes.NewBuffer(buf)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}

// plain reports whether s stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

var errOtherExchange = errors.New("the event belongs to another exchange")

// parseLine decodes one line of a log. Only for data of the original server may seq be missing. The payload
// is a part of data, mostly. words, where not nil, keeps short texts for the lines that follow.
func parseLine(data []byte, exchange string, words words) (Event, error) {
	if e, ok := parseWritten(data, exchange, words); ok {
		return e, nil
	}
	return parseAny(data, exchange)
}

// parseAny decodes a line in whatever form JSON allows.
func parseAny(data []byte, exchange string) (Event, error) {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	if l.ExchangeID != exchange {
		return Event{}, errOtherExchange
	}
	ts, err := time.Parse(time.RFC3339, l.TS)
	if err != nil {
		return Event{}, fmt.Errorf("decode event %s: ts: %w", l.EventID, err)
	}
	e := Event{ID: l.EventID, Seq: l.Seq, TS: ts.UTC(), Type: l.EventType, Actor: l.ActorID, Payload: l.Payload}
	if l.ThreadRef != nil {
		e.Thread = *l.ThreadRef
	}
	return e, nil
}

// parseObject decodes the lines of one object of the log: events of that exchange whose seqs follow
// each other without a gap. The first two lines of genesis are the schema's and are passed over.
func parseObject(data []byte, exchange string) ([]Event, error) {
	rest := bytes.TrimPrefix(data, []byte(schemaLines))
	events := make([]Event, 0, bytes.Count(rest, []byte("\n")))
	words := words{}
	for n := 0; n == 0 || len(rest) > 0; n++ {
		offset := len(data) - len(rest)
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		raw := bytes.TrimSuffix(line, []byte("\n"))
		e, err := parseLine(raw, exchange, words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if n > 0 && e.Seq != events[n-1].Seq+1 {
			return nil, fmt.Errorf("line %d: seq %d follows seq %d", n+1, e.Seq, events[n-1].Seq)
		}
		if e.Seq > 0 {
			first := e.Seq - int64(n)
			e.At = lineAt(first, offset, line)
		}
		events = append(events, e)
	}
	return events, nil
}

// AppendLine appends an event as it would stand in the log, without the line feed.
func AppendLine(buf []byte, exchange string, e Event) ([]byte, error) {
	buf, _, err := appendLine(buf, exchange, e)
	return bytes.TrimSuffix(buf, []byte("\n")), err
}
