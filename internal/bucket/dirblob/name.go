package dirblob

import (
	"strings"
	"unicode/utf8"
)

// Keys and file paths map to each other one to one, element by element, in both directions: two keys
// never share a file, and a file written by anyone is listed under the key that reads it back. Every
// key that is a plain relative path is its own path. The others:
//
//   - A control character of a key is %HH in the file name ("\n" is %0A).
//   - A byte of a file name that is a control character or no UTF-8 is U+FFFD and HH in the key.
//   - The elements "", "." and "..", and at the top the driver's own names in any case, get a "%"
//     at their end.
//   - Text that looks like one of these already carries one mark more: %0A is %250A in the file name,
//     %250A is %25250A, and so on without end; ".%" is ".%%".
const (
	tempFolder = ".tmp"
	lockFile   = ".lock"
	probeFile  = ".probe"
)

const replacement = "\uFFFD"

// reserved reports whether a name at the top of the directory is the driver's. Case does not count,
// because on some file systems it does not.
func reserved(name string) bool {
	return strings.EqualFold(name, tempFolder) || strings.EqualFold(name, lockFile) || strings.EqualFold(name, probeFile)
}

// pathOf returns the file path of a key, and false for a key that no file can have.
func pathOf(key string) (string, bool) {
	if key == "" {
		return "", false
	}
	elements := strings.Split(key, "/")
	for i, e := range elements {
		name := nameOf(e, i == 0)
		// Only text around U+FFFD can fail this: two lone bytes that would make one letter.
		if strings.Contains(e, replacement) && elementOf(name, i == 0) != e {
			return "", false
		}
		elements[i] = name
	}
	return strings.Join(elements, "/"), true
}

// nameOf returns the file name of an element of a key; top tells that it is the first one.
func nameOf(element string, top bool) string {
	name := element
	if strings.ContainsFunc(element, isMark) {
		name = encode(element)
	}
	if special(name, top) {
		name += "%"
	}
	return name
}

// elementOf is the inverse of nameOf, for every file name there can be.
func elementOf(name string, top bool) string {
	if isPlain(name) {
		return name
	}
	if strings.HasSuffix(name, "%") && special(name, top) {
		name = name[:len(name)-1]
	}
	if utf8.ValidString(name) && !strings.ContainsFunc(name, isMark) {
		return name
	}
	return decode(name)
}

// special reports whether a name, without the "%" at its end, cannot be an object's name.
func special(name string, top bool) bool {
	name = strings.TrimRight(name, "%")
	return name == "" || name == "." || name == ".." || top && reserved(name)
}

// isPlain reports, quickly, that a name is surely no other as an element; most are.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '%' || c >= 0x80 || isControl(c) {
			return false
		}
	}
	return true
}

func isMark(r rune) bool {
	return r == '%' || r == utf8.RuneError || r < utf8.RuneSelf && isControl(byte(r))
}

func isControl(c byte) bool { return c < 0x20 || c == 0x7F }

// isRaw tells the bytes that a file name may hold and a key writes as U+FFFD and two digits.
func isRaw(c byte) bool { return c != 0 && isControl(c) || c >= 0x80 }

func encode(element string) string {
	var b strings.Builder
	for i := 0; i < len(element); {
		rest := element[i:]
		if isControl(rest[0]) {
			b.WriteString("%" + hexByte(rest[0]))
			i++
		} else if n, _ := token(rest, "%", "25", isControl); n > 0 {
			b.WriteString("%25" + rest[1:n])
			i += n
		} else if n, c := token(rest, replacement, "00", isRaw); n > 0 {
			if n == len(replacement)+2 {
				b.WriteByte(c)
			} else {
				b.WriteString(replacement + rest[len(replacement)+2:n])
			}
			i += n
		} else {
			b.WriteByte(rest[0])
			i++
		}
	}
	return b.String()
}

func decode(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		rest := name[i:]
		r, size := utf8.DecodeRuneInString(rest)
		if r == utf8.RuneError && size == 1 || isControl(rest[0]) {
			b.WriteString(replacement + hexByte(rest[0]))
			i++
		} else if n, c := token(rest, "%", "25", isControl); n > 0 {
			if n == len("%")+2 {
				b.WriteByte(c)
			} else {
				b.WriteString("%" + rest[len("%")+2:n])
			}
			i += n
		} else if n, _ := token(rest, replacement, "00", isRaw); n > 0 {
			b.WriteString(replacement + "00" + rest[len(replacement):n])
			i += n
		} else {
			b.WriteString(rest[:size])
			i += size
		}
	}
	return b.String()
}

// token measures a token at the start of s: the mark, any number of pads, and two upper-case digits
// of a byte in set. It returns its length, 0 for none, and the byte. No pad is in its set, and no
// mark is a digit, so tokens neither overlap nor read two ways.
func token(s, mark, pad string, set func(byte) bool) (int, byte) {
	if !strings.HasPrefix(s, mark) {
		return 0, 0
	}
	n := len(mark)
	for strings.HasPrefix(s[n:], pad) {
		n += len(pad)
	}
	if len(s) < n+2 {
		return 0, 0
	}
	high, low := digit(s[n]), digit(s[n+1])
	if high < 0 || low < 0 || !set(byte(high<<4|low)) {
		return 0, 0
	}
	return n + 2, byte(high<<4 | low)
}

const digits = "0123456789ABCDEF"

func digit(c byte) int { return strings.IndexByte(digits, c) }

func hexByte(c byte) string { return string([]byte{digits[c>>4], digits[c&0xF]}) }
