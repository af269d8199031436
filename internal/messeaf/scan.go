package messeaf

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// checkText looks at a file before the YAML parser does: only text that may stand in a log line gets
// that far, so that no encoding but UTF-8 is ever guessed.
func checkText(file string, text []byte) *Error {
	if len(text) > maxYAML {
		return inFile(file, "is larger than %d MiB", maxYAML>>20)
	}
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\n':
			line++
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size == 1 {
				return &Error{File: show(file), Line: line, Problem: "is not UTF-8"}
			}
			if r <= 0x9f {
				return controlAt(file, line, r)
			}
			if r == '\u2028' || r == '\u2029' || r == '\uFFFE' || r == '\uFFFF' || r == '\uFEFF' && i > 0 {
				// YAML 1.1 ends a line at the first two, YAML 1.2 does not; the others are no characters, or
				// no longer.
				return &Error{File: show(file), Line: line, Problem: "holds U+" + hex4(r) + ", which must be written as an escape in double quotes"}
			}
			i += size
			continue
		case c < ' ' && c != '\t' && c != '\r', c == 0x7f:
			return controlAt(file, line, rune(c))
		}
		i++
	}
	return nil
}

func controlAt(file string, line int, r rune) *Error {
	return &Error{File: show(file), Line: line, Problem: "holds the control character U+" + hex4(r)}
}

func hex4(r rune) string {
	s := "0000" + strconv.FormatInt(int64(r), 16)
	return string(bytes.ToUpper([]byte(s[len(s)-4:])))
}

// hasControl reports whether s, which is UTF-8, holds a control character other than tab, LF and CR.
func hasControl(s string) bool {
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r <= 0x9f {
			return true
		}
	}
	return false
}

// chunk is the text of one YAML document, and the number of the line before its first.
type chunk struct {
	text  []byte
	above int
}

// documents cuts a file at its lines "---". These are what they look like wherever they stand: no
// YAML text has such a line inside a value. So each document is parsed by itself, and what one needs
// is gone when the next begins.
func documents(file string, text []byte) ([]chunk, *Error) {
	var all []chunk
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	begin, line, above, count := 0, 0, 0, 0
	add := func(end int) {
		count++
		if c := (chunk{text[begin:end], above}); !blank(c.text) {
			all = append(all, c)
		}
	}
	for at := 0; at < len(text); line++ {
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		switch l := text[at:end]; {
		case l[0] == '%':
			return nil, &Error{File: show(file), Line: line + 1, Problem: "YAML directives (lines that begin with %) are not part of the format"}
		case at > begin && marker(l, "---"):
			add(at)
			begin, above = at, line
		}
		at = end
	}
	add(len(text))
	if count > maxDocuments {
		return nil, tooManyDocuments(file)
	}
	return all, nil
}

func tooManyDocuments(file string) *Error {
	return inFile(file, "holds more than %d documents", maxDocuments)
}

// marker reports whether a line begins with one of the marks between documents.
func marker(line []byte, mark string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// blank reports whether a document is nothing but marks, comments and white space. Writers leave such
// behind a last "---"; it says nothing.
func blank(text []byte) bool {
	for line := range bytes.Lines(text) {
		for _, mark := range []string{"---", "..."} {
			if marker(line, mark) {
				line = line[len(mark):]
			}
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}
