package media

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// Decode returns the bytes of a medium that stands in its message. It is more generous than TakeOut: base64 may
// be without its padding, in the alphabet of URLs, and broken into lines. false for what is none.
func (m *Medium) Decode() ([]byte, bool) {
	if m.Link {
		return nil, false
	}
	text := unquote(m.text)
	if m.uri {
		head, data, _ := strings.Cut(text, ",")
		if base64Mark(head) == "" {
			plain, err := url.PathUnescape(data)
			return []byte(plain), err == nil
		}
		text = data
		if strings.Contains(text, "%") {
			plain, err := url.PathUnescape(text)
			if err != nil {
				return nil, false
			}
			text = plain
		}
	}
	text = strings.NewReplacer("\r", "", "\n", "", "\t", "", " ", "", "-", "+", "_", "/").Replace(text)
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return b, err == nil
}

// URL is the link in the place of a medium, "" where it is no link.
func (m *Medium) URL() string {
	if !m.Link {
		return ""
	}
	return unquote(m.text)
}
