package media

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

const (
	// Least is how many bytes a medium has at least that is taken out.
	Least = 4 << 10
	// Most is how many are taken out of one message. Each is an object of its own, and is looked for by a walk
	// over the message.
	Most = 100
)

// Part is a medium that was taken out.
type Part struct {
	Medium
	Size   int    // of its bytes
	base64 []byte // what was taken out, a part of the message
}

// Content returns the bytes of the medium.
func (p *Part) Content() io.Reader {
	return base64.NewDecoder(base64.StdEncoding, bytes.NewReader(p.base64))
}

// TakeOut takes the data of large media out of a JSON value, at most so many. Each leaves the string that held
// it, and in it what stood before the data. at is a JSON pointer to the value. small is value where there are none.
func TakeOut(value json.RawMessage, at string, most int) (small json.RawMessage, parts []Part) {
	kept := 0
	for _, m := range Find(value, at) {
		size, ok := m.movable()
		if !ok || len(parts) == most {
			continue
		}
		data := m.start + m.data
		small = append(small, value[kept:data]...)
		kept = m.start + len(m.text)
		parts = append(parts, Part{Medium: m, Size: size, base64: value[data:kept]})
	}
	if len(parts) == 0 {
		return value, nil
	}
	return append(small, value[kept:]...), parts
}

// movable reports whether the data comes back as it was sent, and is large, and how large.
func (m *Medium) movable() (size int, ok bool) {
	data := m.text[m.data:]
	if m.Link || len(data) <= base64.StdEncoding.EncodedLen(Least) || m.uri && base64Mark(unquote(m.text[:m.data-1])) == "" {
		return 0, false
	}
	return canonical(data)
}

// digits tells what each character of base64 stands for; 0xff for none.
var digits = func() (table [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range table {
		table[i] = 0xff
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i)
	}
	return table
}()

// canonical reports whether text is what encoding some bytes gives, and how many.
func canonical(text []byte) (size int, ok bool) {
	if len(text)%4 != 0 {
		return 0, false
	}
	body := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("=")), []byte("="))
	padding := len(text) - len(body)
	for _, c := range body {
		if digits[c] == 0xff {
			return 0, false
		}
	}
	if padding > 0 {
		unused := byte(1)<<(2*padding) - 1 // bits of the last digit
		if digits[body[len(body)-1]]&unused != 0 {
			return 0, false
		}
	}
	return len(text)/4*3 - padding, true
}

// Hole is where something was taken out of a JSON value.
type Hole struct {
	Start, End int // of the string's inside; what was taken out belongs at End
}

// Locate finds the string to which a JSON pointer leads; false where there is none.
func Locate(value []byte, pointer string) (Hole, bool) {
	at := space(value, 0)
	for pointer != "" {
		token, rest, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
		if pointer = ""; rest != "" {
			pointer = "/" + rest
		}
		if at = step(value, at, pointerUnescape.Replace(token)); at < 0 {
			return Hole{}, false
		}
	}
	if at >= len(value) || value[at] != '"' {
		return Hole{}, false
	}
	end := stringEnd(value, at)
	if end > len(value) {
		return Hole{}, false
	}
	return Hole{Start: at + 1, End: end - 1}, true
}

// Member returns the value of a member of a JSON object.
func Member(object []byte, name string) (json.RawMessage, bool) {
	at := step(object, space(object, 0), name)
	if at < 0 {
		return nil, false
	}
	return json.RawMessage(object[at:min(skip(object, at), len(object))]), true
}

var pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")

// step returns where a member of the value at i begins, or an item; -1 where there is none.
func step(value []byte, i int, name string) int {
	found := -1
	switch {
	case i >= len(value):
	case value[i] == '{':
		members(value, i, func(member []byte, at int) int {
			if unquote(member) == name {
				found = at
				return len(value)
			}
			return skip(value, at)
		})
	case value[i] == '[':
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 {
			return -1
		}
		at := space(value, i+1)
		for ; n > 0 && at < len(value) && value[at] != ']'; n-- {
			if at = space(value, skip(value, at)); at < len(value) && value[at] == ',' {
				at = space(value, at+1)
			}
		}
		if n == 0 && at < len(value) && value[at] != ']' {
			found = at
		}
	}
	return found
}
