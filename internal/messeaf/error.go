package messeaf

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says why files are no MESSE-AF, in a sentence for whoever sent them. All errors of this
// package's reading functions are of this type.
type Error struct {
	File    string // the name of the file as it was sent, made printable; "" where that is not known
	Line    int    // in File, from 1; 0 where that is not known
	Problem string
}

func (e *Error) Error() string {
	switch {
	case e.File == "" && e.Line == 0:
		return e.Problem
	case e.Line == 0:
		return e.File + ": " + e.Problem
	case e.File == "":
		return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
	}
	return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Problem)
}

// inFile makes an error about a file.
func inFile(name, format string, args ...any) *Error {
	return &Error{File: show(name), Problem: fmt.Sprintf(format, args...)}
}

// show makes a text that somebody sent fit to be quoted in a sentence: short, on one line, printable.
func show(s string) string {
	const most = 80
	s = strings.ToValidUTF8(s[:min(len(s), most*utf8.UTFMax)], "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
