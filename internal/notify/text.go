package notify

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// ellipsis ends a text that was cut.
const ellipsis = "…"

// Clip returns s, or its beginning and "…", in at most n bytes, which must be three or more. It never cuts a
// character in two, and what is not UTF-8 becomes U+FFFD first, because no receiver takes it.
func Clip(s string, n int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) <= n {
		return s
	}
	n -= len(ellipsis)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + ellipsis
}

// JSON encodes a value the way it is sent: compact, and with < > & as they are, because the receivers are no web
// pages and some count bytes. What this package and those below it encode always can be.
func JSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("notify: " + err.Error()) // a value that no caller builds
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
