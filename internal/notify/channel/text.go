package channel

import (
	"strings"
	"unicode/utf8"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// ellipsis ends a text that was cut.
const ellipsis = "…"

// fit escapes s character by character, and cuts it so that what comes out has at most n characters: an escape is
// whole or not there. Line breaks in what is one line by its nature, such as a title, become blanks first (line).
func fit(s string, n int, escape func(rune) string) string {
	var out strings.Builder
	used, cut := 0, 0 // characters written; bytes up to where an ellipsis still has room
	for _, r := range s {
		e := escape(r)
		size := utf8.RuneCountInString(e)
		if used+size > n {
			return out.String()[:cut] + ellipsis
		}
		out.WriteString(e)
		if used += size; used < n {
			cut = out.Len()
		}
	}
	return out.String()
}

// line makes one line of a text.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// asIs escapes nothing.
func asIs(r rune) string { return string(r) }

// entity escapes what Slack and the HTML of Google Chat take for a command or a tag.
func entity(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return string(r)
}

// subject is what a request is called in a line: its intent, or the notification's title where that is blank.
func subject(n notify.Notification) string {
	if s := line(n.Thread.Intent); s != "" {
		return s
	}
	return line(n.Title)
}
