package eventlog

import (
	"bytes"
	"encoding/json"
	"time"
)

// A start reads every line of a log, and all but old or foreign ones are as appendLine wrote them: the same
// keys in the same order, no space between, no escapes but in the payload. Such a line is read here, in a
// fraction of the time that takes a decoder that must be ready for anything. Where the form differs in the
// least, this says so, and parseAny reads the line; where it does not, both come to the same event.

// words holds texts that come again and again, so that each is in memory once.
type words map[string]string

// mostWords bounds words, whose texts are those of one object.
const mostWords = 1 << 12

func (w words) of(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	if w != nil && len(w) < mostWords {
		w[s] = s
	}
	return s
}

// parseWritten decodes a line of the form that appendLine writes. false: it has another one. The payload is
// a part of line. w may be nil.
func parseWritten(line []byte, exchange string, w words) (e Event, ok bool) {
	r := lineReader{rest: line, ok: true}
	id := r.text(`{"event_id":"`)
	seq := r.number(`,"seq":`)
	ts := r.text(`,"ts":"`)
	of := r.text(`,"exchange_id":"`)
	var thread []byte
	if !r.skip(`,"thread_ref":null`) {
		thread = r.text(`,"thread_ref":"`)
	}
	typ := r.text(`,"event_type":"`)
	actor := r.text(`,"actor_id":"`)
	payload := r.object(`,"payload":`)
	if !r.ok || string(of) != exchange {
		return Event{}, false
	}
	at, err := time.Parse(time.RFC3339, string(ts))
	if err != nil {
		return Event{}, false
	}
	return Event{
		ID: string(id), Seq: seq, TS: at.UTC(), Thread: w.of(thread), Type: w.of(typ), Actor: w.of(actor), Payload: payload,
	}, true
}

// lineReader takes a line apart. Once something is not as expected, ok is false, and what it returns is
// without meaning.
type lineReader struct {
	rest []byte
	ok   bool
}

// skip passes over a piece of the line, and reports whether it was there.
func (r *lineReader) skip(piece string) bool {
	if len(r.rest) < len(piece) || string(r.rest[:len(piece)]) != piece {
		return false
	}
	r.rest = r.rest[len(piece):]
	return true
}

// text reads a string behind before, which has its opening quote. One with an escape, or with anything that
// is not printable ASCII, is for others.
func (r *lineReader) text(before string) []byte {
	r.ok = r.ok && r.skip(before)
	if !r.ok {
		return nil
	}
	for i, c := range r.rest {
		switch {
		case c == '"':
			s := r.rest[:i]
			r.rest = r.rest[i+1:]
			return s
		case c == '\\' || c < ' ' || c >= 0x7f:
			r.ok = false
			return nil
		}
	}
	r.ok = false
	return nil
}

// number reads a whole number of at most 15 digits.
func (r *lineReader) number(before string) int64 {
	r.ok = r.ok && r.skip(before)
	var n int64
	i := 0
	for ; i < len(r.rest) && '0' <= r.rest[i] && r.rest[i] <= '9'; i++ {
		n = n*10 + int64(r.rest[i]-'0')
		r.ok = r.ok && i < 15
	}
	r.ok = r.ok && i > 0 && (r.rest[0] != '0' || i == 1)
	r.rest = r.rest[i:]
	return n
}

// object reads a JSON object that fills the line up to its closing brace.
func (r *lineReader) object(before string) json.RawMessage {
	r.ok = r.ok && r.skip(before) && bytes.HasSuffix(r.rest, []byte("}}"))
	if !r.ok {
		return nil
	}
	end := len(r.rest) - 1
	o := r.rest[:end:end]
	r.ok = o[0] == '{' && json.Valid(o)
	return o
}
