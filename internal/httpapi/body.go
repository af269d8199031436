package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// usualMembers is how many members a body usually has at most; room is made for that many at once.
const usualMembers = 8

// body is a request's body that has passed the gate. Handlers get it in the place of the request's
// reader, which generated code hands them.
type body struct {
	members []member       // of the top-level object, in the order sent
	value   map[string]any // the same, decoded

	media string // of a body that is no JSON; then raw is all there is
	raw   []byte
}

// member is one member of the top-level object. Its bytes are those that were sent.
type member struct {
	name  string
	key   json.RawMessage   // the name as it was spelled
	raw   json.RawMessage   // the value; white space around it removed, inside kept
	items []json.RawMessage // of a list
}

// Read is there because generated code carries a body as a reader. Nobody reads it.
func (b *body) Read([]byte) (int, error) { return 0, io.EOF }

// Close does nothing.
func (b *body) Close() error { return nil }

// get returns the member with that name; a zero member where there is none.
func (b *body) get(name string) member {
	for _, m := range b.members {
		if m.name == name {
			return m
		}
	}
	return member{}
}

// text returns a member that is a string; "" where there is none.
func (b *body) text(name string) string {
	s, _ := b.value[name].(string)
	return s
}

// texts returns a member that is a list of strings, and whether there is one.
func (b *body) texts(name string) ([]string, bool) {
	list, ok := b.value[name].([]any)
	if !ok {
		return nil, false
	}
	all := make([]string, len(list))
	for i, v := range list {
		all[i], _ = v.(string)
	}
	return all, true
}

// announced returns as which of the other types that the operation takes the body was announced, "" for
// JSON, and refuses one that was announced as anything else. Where neither a body nor a type was announced
// there is nothing to complain about yet.
func (op *operation) announced(r *http.Request) (string, error) {
	header := r.Header.Get("Content-Type")
	media, _, _ := strings.Cut(header, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case header == "" && r.ContentLength == 0:
		return "", nil
	case media != mediaJSON && !slices.Contains(op.others, media):
		types := strings.Join(append([]string{mediaJSON}, op.others...), ", ")
		return "", &exchange.Error{Code: exchange.CodeUnsupportedMedia, Message: "The body must be sent with Content-Type: " + types}
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return "", &exchange.Error{Code: exchange.CodeUnsupportedMedia, Message: "The body must be sent without a Content-Encoding"}
	case media == mediaJSON:
		return "", nil
	}
	return media, nil
}

func errTooLarge() error {
	return &exchange.Error{Code: exchange.CodeTooLarge, Message: "The body is larger than " + strconv.Itoa(maxBody>>20) + " MiB"}
}

func errNoRoom() error {
	return &exchange.Error{Code: exchange.CodeOverloaded, Message: "Too many large requests are being read; try again shortly"}
}

// readBody reads all of a body. Memory grows with what has arrived, at most four times of it, not with
// what was announced. What is more than freeBody takes of the room that all requests share, until the
// request ends.
func (g *gate) readBody(r *http.Request) ([]byte, error) {
	c := callOf(r.Context())
	expected := maxBody
	if r.ContentLength >= 0 {
		expected = int(r.ContentLength)
	}
	buf := make([]byte, 0, min(expected, freeBody)+1) // one more, so that the end is met without growing
	for {
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > maxBody:
			return nil, errTooLarge()
		case errors.Is(err, io.EOF):
			return buf, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, &exchange.Error{Code: exchange.CodeTimeout, Message: "The body did not arrive in time", Err: err}
		case err != nil:
			return nil, &exchange.Error{Code: exchange.CodeInvalid, Message: "body: broke off before its end", Err: err}
		case len(buf) == cap(buf):
			more := min(3*len(buf), max(expected-len(buf), 0)+512)
			if !g.room.TryAcquire(int64(more)) {
				return nil, errNoRoom()
			}
			c.giveBack = append(c.giveBack, func() { g.room.Release(int64(more)) })
			buf = slices.Grow(buf, more)
		}
	}
}

// parseBody reads a JSON object and proves what docs/storage.md promises of all text in the log: valid
// UTF-8, no lone surrogates, no control characters but tab, LF and CR, every name once, finite numbers,
// at most maxDepth levels.
func parseBody(text []byte) (*body, error) {
	p := &parser{text: text, dec: jsontext.NewDecoder(bytes.NewBuffer(text))}
	kind := p.dec.PeekKind()
	if kind == 0 {
		_, err := p.dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil, invalid("body: is required, a JSON object")
		}
		return nil, p.refusal(err)
	}
	if kind != '{' {
		return nil, invalid("body: must be a JSON object")
	}
	b := &body{value: make(map[string]any, usualMembers), members: make([]member, 0, usualMembers)}
	if err := p.topLevel(b); err != nil {
		return nil, p.refusal(err)
	}
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, invalid("body: something follows the JSON object")
	}
	return b, nil
}

// parser walks the tokens of one body.
type parser struct {
	text []byte
	dec  *jsontext.Decoder
}

func (p *parser) topLevel(b *body) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() != '}' {
		begin := p.dec.InputOffset()
		name, err := p.name()
		if err != nil {
			return err
		}
		m := member{name: name, key: p.since(begin)}
		begin = p.dec.InputOffset()
		if p.dec.PeekKind() == '[' {
			b.value[name], err = p.list(2, &m.items)
		} else {
			b.value[name], err = p.value(2)
		}
		if err != nil {
			return err
		}
		m.raw = p.since(begin)
		b.members = append(b.members, m)
	}
	_, err := p.dec.ReadToken()
	return err
}

// since returns the text of the value that begins after an offset, behind a separator, and has just
// been read.
func (p *parser) since(begin int64) json.RawMessage {
	return bytes.TrimLeft(p.text[begin:p.dec.InputOffset()], " \t\r\n:,")
}

// value reads the next value; one that holds others is depth levels deep.
func (p *parser) value(depth int) (any, error) {
	switch p.dec.PeekKind() {
	case '{':
		return p.object(depth)
	case '[':
		return p.list(depth, nil)
	}
	token, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '"':
		s := token.String()
		if hasControl(s) {
			return nil, p.here("holds a control character")
		}
		return s, nil
	case '0':
		f, err := strconv.ParseFloat(token.String(), 64)
		if err != nil || math.IsInf(f, 0) {
			return nil, p.here("is a number that is too large")
		}
		return f, nil
	case 't':
		return true, nil
	case 'f':
		return false, nil
	}
	return nil, nil
}

func (p *parser) object(depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, p.here("is nested too deeply, at most " + strconv.Itoa(maxDepth) + " levels are allowed")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for p.dec.PeekKind() != '}' {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if object[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := p.dec.ReadToken()
	return object, err
}

// list reads a list, and leaves the text of each of its items in items where that is not nil.
func (p *parser) list(depth int, items *[]json.RawMessage) ([]any, error) {
	if depth > maxDepth {
		return nil, p.here("is nested too deeply, at most " + strconv.Itoa(maxDepth) + " levels are allowed")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	list := []any{}
	for p.dec.PeekKind() != ']' {
		begin := p.dec.InputOffset()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if items != nil {
			*items = append(*items, p.since(begin))
		}
	}
	_, err := p.dec.ReadToken()
	return list, err
}

func (p *parser) name() (string, error) {
	token, err := p.dec.ReadToken()
	if err != nil {
		return "", err
	}
	name := token.String()
	if hasControl(name) {
		return "", p.here("is a name with a control character")
	}
	return name, nil
}

// here refuses the value that was read last.
func (p *parser) here(what string) error {
	return invalid("%s: %s", pointerPath(p.dec.StackPointer()), what)
}

// refusal turns an error of the tokenizer into one for the client.
func (p *parser) refusal(err error) error {
	var syntax *jsontext.SyntacticError
	var refused *exchange.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return invalid("%s: is given twice", pointerPath(syntax.JSONPointer))
	case errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("%s: is not valid JSON: %s at byte %d", pointerPath(syntax.JSONPointer), clip(syntax.Err.Error(), 200), syntax.ByteOffset)
	}
	return invalid("body: is not valid JSON: it ends too early")
}

func pointerPath(pointer jsontext.Pointer) string {
	var path fieldPath
	for token := range pointer.Tokens() {
		path = append(path, token)
	}
	return path.String()
}

// hasControl reports whether s holds a control character (Unicode category Cc) other than tab, LF and
// CR. s is valid UTF-8, so C1 controls are 0xC2 followed by 0x80 to 0x9F.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 0x20 && c < 0x7f, c == '\t', c == '\n', c == '\r':
		case c < 0x20, c == 0x7f:
			return true
		case c == 0xc2 && s[i+1] <= 0x9f:
			return true
		}
	}
	return false
}
