// Package template puts values into the texts of hooks: {{variable}}, by the rule of the original server, so
// that hooks that exist keep working.
//
//   - A variable is letters, digits, "_" and "." between two pairs of braces, without spaces. Whatever else
//     stands there is text.
//   - Dots lead into an object or, by a number, into a list.
//   - What is missing, and null, is nothing. An object or a list is its JSON.
//
// What is put in is not looked at again, so a value can't bring a variable with it. A text can't grow without
// bound: a value is cut at MaxValue, and an expansion that would be longer than its Budget allows is an error.
package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxValue is how many bytes of a value are put in: a person reads no more of it in a task list, and the
	// whole is at the exchange.
	MaxValue = 8 << 10
	// MaxExpansion is how many bytes all texts of one request may have together. Services refuse far less.
	MaxExpansion = 256 << 10
	// maxDepth is how deep a document may be nested, as deep as a body of the API.
	maxDepth = 101
)

// ErrTooLong is returned where an expansion would be longer than its budget.
var ErrTooLong = errors.New("the template expands to too much text")

var variable = regexp.MustCompile(`\{\{([A-Za-z0-9_.]+)\}\}`)

// Has reports whether there is a variable in the text.
func Has(text string) bool { return variable.MatchString(text) }

// Prefix is the part of a text in front of its first variable.
func Prefix(text string) string {
	if at := variable.FindStringIndex(text); at != nil {
		return text[:at[0]]
	}
	return text
}

// Variables are what templates may name: text, numbers, true and false, and objects and lists of them, as
// encoding/json decodes them into an any.
type Variables map[string]any

// Expander expands the texts of one request.
type Expander struct {
	vars   Variables
	budget int
}

// New returns an expander that has a budget of MaxExpansion bytes.
func New(vars Variables) *Expander { return &Expander{vars: vars, budget: MaxExpansion} }

// Text expands a text.
func (x *Expander) Text(text string) (string, error) {
	return x.expand(text, func(value string) string { return value })
}

// URL expands a URL. Whatever is put in is escaped, so that it stays one part of a path or one value of a query.
func (x *Expander) URL(text string) (string, error) { return x.expand(text, escape) }

// Header expands the value of a header: control characters are left out, so that it stays one value.
func (x *Expander) Header(text string) (string, error) {
	value, err := x.Text(text)
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, value), err
}

// JSON expands the texts in a JSON document, names of members excepted. All else stays as it is, numbers with their
// spelling and members in their order; so no value can make another document of it.
func (x *Expander) JSON(document json.RawMessage) (json.RawMessage, error) {
	in := json.NewDecoder(bytes.NewReader(document))
	in.UseNumber()
	out, err := x.value(nil, in, 1)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (x *Expander) expand(text string, escaped func(string) string) (string, error) {
	var out strings.Builder
	for {
		at := variable.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		out.WriteString(text[:at[0]])
		out.WriteString(escaped(x.lookUp(text[at[2]:at[3]])))
		if text = text[at[1]:]; out.Len() > x.budget {
			return "", ErrTooLong
		}
	}
	out.WriteString(text)
	if x.budget -= out.Len(); x.budget < 0 {
		return "", ErrTooLong
	}
	return out.String(), nil
}

// lookUp returns what a variable stands for.
func (x *Expander) lookUp(path string) string {
	var value any = map[string]any(x.vars)
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v) {
				return ""
			}
			value = v[i]
		default:
			return ""
		}
	}
	return clip(text(value))
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if e.Encode(v) != nil {
			return "" // holds what JSON has no word for, which is then missing
		}
		return strings.TrimSuffix(b.String(), "\n")
	default:
		return fmt.Sprint(v)
	}
}

// clip cuts a value that is too long, between characters.
func clip(s string) string {
	if len(s) <= MaxValue {
		return s
	}
	n := MaxValue - len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// escape writes a value so that it means the same in a path and in a query: everything but letters, digits and
// "-", "_", "~" is a %XX, and so is a dot in a value of dots alone, which in a path would lead out of its folder.
func escape(value string) string {
	const hex = "0123456789ABCDEF"
	dots := strings.Trim(value, ".") == ""
	var out strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '~', c == '.' && !dots:
			out.WriteByte(c)
		default:
			out.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return out.String()
}

// value copies one value of a document with its texts expanded.
func (x *Expander) value(out []byte, in *json.Decoder, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the body is nested more than %d deep", maxDepth-1)
	}
	token, err := in.Token()
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	switch v := token.(type) {
	case json.Delim:
		return x.items(out, in, v, depth)
	case string:
		expanded, err := x.Text(v)
		if err != nil {
			return nil, err
		}
		return appendText(out, expanded), nil
	case json.Number:
		return append(out, v...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	}
	return append(out, "null"...), nil
}

// items copies what stands between two brackets, the first of which is read.
func (x *Expander) items(out []byte, in *json.Decoder, open json.Delim, depth int) ([]byte, error) {
	out = append(out, byte(open))
	for first := true; in.More(); first = false {
		if !first {
			out = append(out, ',')
		}
		if open == '{' {
			token, err := in.Token()
			if err != nil {
				return nil, fmt.Errorf("read the body: %w", err)
			}
			name, _ := token.(string) // nothing else stands there
			out = append(appendText(out, name), ':')
		}
		var err error
		if out, err = x.value(out, in, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := in.Token(); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return append(out, byte(open)+2), nil // in ASCII, ] and } are two behind [ and {
}

// appendText writes a string of JSON, with < > & as they are.
func appendText(out []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
