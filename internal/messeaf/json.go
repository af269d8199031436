package messeaf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// member of a JSON object, in its place.
type member struct {
	name string
	raw  json.RawMessage
}

// members returns those of a JSON object, in their order and without copying them; ok is false for
// anything else.
func members(object json.RawMessage) (all []member, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(object))
	if dec.PeekKind() != '{' {
		return nil, false
	}
	_, _ = dec.ReadToken()
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, false
		}
		m := member{name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		m.raw = object[int(dec.InputOffset())-len(value) : dec.InputOffset()]
		all = append(all, m)
	}
	return all, true
}

// items returns those of a JSON list without copying them; ok is false for anything else.
func items(list json.RawMessage) (all []json.RawMessage, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(list))
	if dec.PeekKind() != '[' {
		return nil, false
	}
	_, _ = dec.ReadToken()
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		all = append(all, list[int(dec.InputOffset())-len(value):dec.InputOffset()])
	}
	return all, true
}

// object is the JSON of members.
func object(all []member) json.RawMessage {
	out := []byte{'{'}
	for i, m := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, quote(m.name)...), ':')
		out = append(out, m.raw...)
	}
	return append(out, '}')
}

// list is the JSON of items.
func list(all []json.RawMessage) json.RawMessage {
	out := []byte{'['}
	for i, raw := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	return append(out, ']')
}

// quote is the JSON of a text; what is not UTF-8 in it is replaced.
func quote(s string) json.RawMessage {
	out, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		panic(fmt.Sprintf("messeaf: quote %q: %v", s, err)) // valid UTF-8 can be quoted
	}
	return out
}

// orNull is the JSON of a text, or null for "".
func orNull(s string) json.RawMessage {
	if s == "" {
		return json.RawMessage("null")
	}
	return quote(s)
}

// unquote is the text of a JSON string; ok is false for anything else.
func unquote(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	return string(out), err == nil
}

// normal returns JSON without white space and with texts escaped only where they must be, and leaves
// numbers and orders as they are. It refuses what no file can hold: names given twice, lone surrogates,
// what is no JSON.
func normal(raw json.RawMessage) (json.RawMessage, error) {
	v := jsontext.Value(bytes.Clone(raw))
	if err := v.Format(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false), jsontext.PreserveRawStrings(false)); err != nil {
		return nil, fmt.Errorf("bring JSON to its normal form: %w", err)
	}
	return json.RawMessage(v), nil
}

// problem is something in a document that is not as the format has it.
type problem struct {
	path []any // names and indices
	text string
}

func (p *problem) String() string {
	var b strings.Builder
	for _, step := range p.path {
		switch step := step.(type) {
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		}
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	return b.String() + p.text
}

// under puts a problem below a part of a document.
func (p *problem) under(steps ...any) *problem {
	if p != nil {
		p.path = append(steps, p.path...)
	}
	return p
}

// Fits reports whether a file can hold a JSON value as it is.
func Fits(value json.RawMessage) bool {
	_, err := normal(value)
	return err == nil
}
