package messeaf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// appendYAML appends a document, an object in its normal form, in the canonical style (doc.go). It goes
// from token to token, so that a large document costs no more than its text.
func appendYAML(dst []byte, doc json.RawMessage) ([]byte, error) {
	e := &emitter{dec: jsontext.NewDecoder(bytes.NewBuffer(doc)), out: dst}
	token, err := e.dec.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	if token.Kind() != '{' {
		return nil, fmt.Errorf("write YAML: a document must be an object")
	}
	if err := e.object(0, false); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return e.out, nil
}

type emitter struct {
	dec *jsontext.Decoder
	out []byte
}

func (e *emitter) indent(n int) {
	for range n {
		e.out = append(e.out, ' ')
	}
}

// value writes what stands behind "key:" or "-", and the end of the line. What it holds is indented by
// indent; inList is for the place behind a "-", where the first of it stays on the line.
func (e *emitter) value(indent int, inList bool) error {
	token, err := e.dec.ReadToken()
	if err != nil {
		return err
	}
	kind := token.Kind()
	switch {
	case kind == '"':
		e.out = append(e.out, ' ')
		e.text(token.String(), indent)
		return nil
	case kind != '{' && kind != '[':
		e.out = append(append(append(e.out, ' '), token.String()...), '\n')
		return nil
	case e.dec.PeekKind() == closing(kind):
		_, err := e.dec.ReadToken()
		e.out = append(e.out, ' ', byte(kind), byte(closing(kind)), '\n')
		return err
	}
	if !inList {
		e.out = append(e.out, '\n')
	}
	if kind == '{' {
		return e.object(indent, inList)
	}
	return e.list(indent, inList)
}

// closing is the token that ends what a "{" or "[" begins.
func closing(opening jsontext.Kind) jsontext.Kind {
	return opening + 2
}

// object writes the rest of an object whose opening was read, a member per line.
func (e *emitter) object(indent int, inList bool) error {
	return e.each(indent, inList, '}', func() error {
		key, err := e.dec.ReadToken()
		if err != nil {
			return err
		}
		name := key.String()
		if len(name) > maxImplicitKey {
			e.out = append(e.out, "? "...)
			e.out = append(appendQuoted(e.out, name), '\n')
			e.indent(indent)
		} else if isPlain(name) {
			e.out = append(e.out, name...)
		} else {
			e.out = appendQuoted(e.out, name)
		}
		e.out = append(e.out, ':')
		return e.value(indent+2, false)
	})
}

// list writes the rest of a list whose opening was read, an item per line.
func (e *emitter) list(indent int, inList bool) error {
	return e.each(indent, inList, ']', func() error {
		e.out = append(e.out, '-')
		return e.value(indent+2, true)
	})
}

func (e *emitter) each(indent int, inList bool, end jsontext.Kind, write func() error) error {
	for first := true; e.dec.PeekKind() != end; first = false {
		if first && inList {
			e.out = append(e.out, ' ')
		} else {
			e.indent(indent)
		}
		if err := write(); err != nil {
			return err
		}
	}
	_, err := e.dec.ReadToken()
	return err
}

// text writes a text as it is best read, and the end of the line: as a literal block where it has several
// lines, plain where no reader could take it for something else, in double quotes otherwise.
func (e *emitter) text(s string, indent int) {
	switch {
	case isPlain(s) || e.isTime(s):
		e.out = append(append(e.out, s...), '\n')
	case isLiteral(s):
		e.literal(s, indent)
	default:
		e.out = append(appendQuoted(e.out, s), '\n')
	}
}

// isTime reports whether the text just read is one of the times of the format. They are written as
// YAML's own times are, without quotes. A time in a message is a text like any other and is quoted.
func (e *emitter) isTime(s string) bool {
	switch e.dec.StackPointer() {
	case "/created", "/updated", "/expires", "/received":
	default:
		parts := strings.Split(string(e.dec.StackPointer()), "/")
		if len(parts) != 4 || parts[1] != "history" || parts[3] != "at" {
			return false
		}
	}
	_, ok := parseTime(s)
	return ok
}

func (e *emitter) literal(s string, indent int) {
	body := strings.TrimRight(s, "\n")
	switch len(s) - len(body) {
	case 0:
		e.out = append(e.out, "|-\n"...)
	case 1:
		e.out = append(e.out, "|\n"...)
	default:
		e.out = append(e.out, "|+\n"...)
		body = s[:len(s)-1]
	}
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			e.indent(indent)
			e.out = append(e.out, line...)
		}
		e.out = append(e.out, '\n')
	}
}

// isLiteral reports whether a text of several lines can stand as it is. One that begins with a blank
// would need its indentation spelled out, and blanks at an end of a line don't survive editors.
func isLiteral(s string) bool {
	if !strings.Contains(s, "\n") || strings.ContainsAny(s[:1], " \t\n") || strings.ContainsRune(s, '\r') {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") || !isPrintable(line) {
			return false
		}
	}
	return true
}

// isPrintable reports whether a line can stand in a YAML file without escapes, for readers of any version.
func isPrintable(line string) bool {
	return !strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && escaped(r) })
}

// escaped is for characters that are written as escapes: those that YAML or this format forbid, those
// that end a line for some readers, and those that hide the order of others.
func escaped(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f, r == '\u2028', r == '\u2029', r == '\uFEFF':
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // of writing from right to left
		return true
	}
	return r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe // no characters
}

// What YAML 1.1 or 1.2 take for something else than a text: the same rules for all, since nobody knows
// who will read a file. Numbers in any base, with underscores or in sixties, dates, times.
var (
	otherWord = regexp.MustCompile(`^(?i:null|true|false|yes|no|on|off|y|n)$`)
	looksLike = regexp.MustCompile(`^([0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?)$`)
)

// isPlain reports whether a text can stand without quotes, as a key or a value. It begins with a letter,
// a digit, "_", "/" or any character beyond ASCII, so with nothing that means something to YAML.
func isPlain(s string) bool {
	if s == "" || !(wordByte(s[0]) || s[0] == '_' || s[0] == '/' || s[0] >= utf8.RuneSelf) {
		return false
	}
	if strings.HasSuffix(s, " ") || strings.HasSuffix(s, ":") {
		return false
	}
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.ContainsFunc(s, escaped) {
		return false
	}
	return !otherWord.MatchString(s) && !looksLike.MatchString(s)
}

func wordByte(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// appendQuoted appends a text in double quotes, on one line.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case !escaped(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			dst = fmt.Appendf(dst, `\U%08X`, r)
		default:
			dst = fmt.Appendf(dst, `\u%04X`, r)
		}
	}
	return append(dst, '"')
}
