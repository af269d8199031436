package messeaf

import (
	"bytes"
	"strconv"
)

// checkSize refuses a document that would take the parser too much memory. It knows of YAML only what
// it must: it may take text for structure, never structure for text.
//
// As long as all lines are simple (simpleLine), it knows where each literal block begins and ends, and
// that nothing spans lines but those. From the first line that is not, anything may be within
// anything, so everything counts that could begin a value. What Render writes, and what other writers
// of block style do, is simple but for odd lines.
func checkSize(file string, c chunk) *Error {
	s := &sizer{simple: !loneCR(c.text)}
	line := c.above
	for l := range bytes.Lines(c.text) {
		line++
		if s.add(bytes.TrimRight(l, "\r\n")); s.lines > maxLines {
			return &Error{File: show(file), Line: line, Problem: "one document may hold " + strconv.Itoa(maxLines) + " lines at most, texts of several lines aside"}
		}
		if s.flow > maxFlow {
			return &Error{File: show(file), Line: line, Problem: "one document may hold " + strconv.Itoa(maxFlow) + " commas and brackets at most in lists and objects of the form [a, b] and {a: b}"}
		}
	}
	return nil
}

// sizer counts what may begin a value.
type sizer struct {
	lines, flow int

	simple bool
	inFlow bool // a flow collection may have begun
	plain  bool // a plain text may go on if the next line is indented by more than parent
	text   bool // in a literal block
	parent int  // the indentation its lines must exceed
	indent int  // that of its lines, 0 until there is one that is not blank
	blanks int  // the longest of the blank lines before that
}

func (s *sizer) add(line []byte) {
	if s.text && s.inText(line) {
		return
	}
	s.lines++
	if s.simple {
		l, ok := simpleLine(line)
		if s.simple = ok && !(s.plain && l.indent > s.parent); s.simple {
			s.lines += max(0, l.dashes-1)
			if !l.blank {
				s.plain, s.text, s.parent, s.indent, s.blanks = l.plain, l.opensText, l.column, 0, 0
			}
			return
		}
	}
	s.count(line)
}

// inText reports whether a line belongs to the literal block that was opened. Where it is neither that
// nor what can follow one, lines are not simple any more.
func (s *sizer) inText(line []byte) bool {
	content := bytes.TrimLeft(line, " ")
	indent := len(line) - len(content)
	if len(content) == 0 {
		s.blanks = max(s.blanks, indent)
		return true
	}
	if s.indent == 0 && indent > s.parent && indent >= s.blanks {
		s.indent = indent
	}
	if s.indent > 0 && indent >= s.indent {
		return true
	}
	s.text = false
	s.simple = indent <= s.parent && content[0] != '\t'
	return false
}

// count takes a line for whatever it could be at worst.
func (s *sizer) count(line []byte) {
	before := byte(0) // what is not blank
	for i, b := range line {
		switch b {
		case ' ', '\t':
			continue
		case '\r':
			s.lines++
		case '-', '?', ':':
			if before == '-' || before == '?' || before == ':' {
				s.lines++
			}
		case '[', '{':
			s.inFlow = s.inFlow || opensFlow(line, i)
			s.flow++
		case ',':
			s.flow++
		}
		before = b
		if !s.inFlow {
			s.flow = 0
		}
	}
}

// opensFlow reports whether the bracket at i may begin a flow collection. Behind a letter or digit it
// is part of a text, and one that closes at once and is the last of its line is small.
func opensFlow(line []byte, i int) bool {
	if i > 0 && wordByte(line[i-1]) {
		return false
	}
	closes := line[i] + 2 // ']' and '}' come two behind '[' and '{'
	return !(i+2 == len(line) && line[i+1] == closes)
}

// loneCR reports whether there is a CR that ends a line by itself, as YAML has it.
func loneCR(text []byte) bool {
	return bytes.Count(text, []byte("\r")) != bytes.Count(text, []byte("\r\n"))
}

// simple is what a simple line holds.
type simple struct {
	blank     bool // or a comment, or the mark before a document
	dashes    int
	indent    int
	column    int  // of the innermost key or "-"
	plain     bool // it ends in a plain text
	opensText bool // a literal or folded block follows
}

// simpleLine reads a line of block style: dashes, then a key, then a value, each of which may be missing.
// The value is all on the line, in double quotes or a plain text that can't be anything else, or it is
// the beginning of a literal block. ok is false for any other line.
func simpleLine(line []byte) (l simple, ok bool) {
	rest := bytes.TrimLeft(line, " ")
	l.indent = len(line) - len(rest)
	if len(rest) == 0 || rest[0] == '#' || string(line) == "---" {
		return simple{blank: true}, true
	}
	column := func() int { return len(line) - len(rest) }
	for rest[0] == '-' && (len(rest) == 1 || rest[1] == ' ') {
		l.dashes, l.column = l.dashes+1, column()
		if rest = bytes.TrimLeft(rest[1:], " "); len(rest) == 0 {
			return l, true
		}
	}
	if key, value, found := cutKey(rest); found {
		if !simpleValue(key) {
			return l, false
		}
		l.column = column()
		if rest = bytes.TrimLeft(value, " "); len(rest) == 0 {
			return l, true
		}
	} else if l.dashes == 0 {
		return l, false // a text that goes on, or no YAML
	}
	switch string(rest) {
	case "|", "|-", "|+", ">", ">-", ">+":
		l.opensText = true
		return l, true
	case "[]", "{}":
		return l, true
	}
	l.plain = rest[0] != '"'
	return l, simpleValue(rest)
}

// cutKey splits a line behind its key, which is not checked.
func cutKey(line []byte) (key, value []byte, found bool) {
	i := bytes.Index(line, []byte(": "))
	if line[0] == '"' {
		i = quotedEnd(line)
	}
	if i < 0 {
		i = len(line) - 1
	}
	if i == len(line) || line[i] != ':' || i+1 < len(line) && line[i+1] != ' ' {
		return nil, nil, false
	}
	return line[:i], line[i+1:], true
}

// quotedEnd is the offset behind a text in double quotes that begins a line, or 0 if it does not end there.
func quotedEnd(line []byte) int {
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// simpleValue reports whether a key or value is a text in double quotes, or a plain one without anything
// that could end it on the line.
func simpleValue(v []byte) bool {
	switch {
	case len(v) == 0:
		return false
	case v[0] == '"':
		return quotedEnd(v) == len(v)
	case !wordByte(v[0]) && v[0] != '_' && v[0] != '/' && v[0] < 0x80 && !(v[0] == '-' && len(v) > 1 && wordByte(v[1])):
		return false
	}
	return !bytes.Contains(v, []byte(": ")) && !bytes.Contains(v, []byte(" #")) && !bytes.HasSuffix(v, []byte(":")) && !bytes.ContainsAny(v, "\t\r")
}
