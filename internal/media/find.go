package media

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// The kinds of media, as the blocks of messages name them. An attachment is a file.
const (
	Image = "image"
	Audio = "audio"
	Video = "video"
	File  = "file"
)

// Medium is one that stands in a message.
type Medium struct {
	At   string // a JSON pointer to the string that holds it
	Kind string
	Name string // what the message calls it; "" for no name that a file could have
	Type string // a media type, "" where the message does not say
	Link bool   // it is not there: the string is a URL

	text  []byte // of the string, as it is spelled between its quotes
	start int    // of text, in what was searched
	uri   bool   // text is a data: URI
	data  int    // where in text the data begins
}

// maxDepth is how deep is looked. The log takes 100 levels; data of other servers may have more.
const maxDepth = 200

// Find returns the media in a JSON value, in their order. at is a JSON pointer to it.
func Find(value []byte, at string) []Medium {
	w := &walker{text: value, path: []string{at}}
	w.value(0, place{})
	return w.found
}

// place says what a string may be where it stands.
type place struct {
	content bool   // an entry of content or context
	kind    string // of the medium that it is or belongs to
	data    bool   // it is the member data of an object, or uri
	bare    bool   // it may be base64 without a data: before it
	name    string
	mime    string
}

type walker struct {
	text  []byte
	path  []string // from the root; names still as they are spelled
	found []Medium
}

// value looks at the value that begins at i, and returns where it ends; past all text if it does not.
func (w *walker) value(i int, p place) int {
	if i >= len(w.text) {
		return i
	}
	switch w.text[i] {
	case '{':
		return w.object(i, p)
	case '[':
		return w.list(i, p)
	case '"':
		end := stringEnd(w.text, i)
		if end <= len(w.text) {
			w.string(i+1, end-1, p)
		}
		return end
	}
	return skip(w.text, i)
}

func (w *walker) list(i int, p place) int {
	if len(w.path) > maxDepth {
		return skip(w.text, i)
	}
	for n, at := 0, space(w.text, i+1); ; n++ {
		if at >= len(w.text) || w.text[at] == ']' {
			return at + 1
		}
		w.path = append(w.path, strconv.Itoa(n))
		at = space(w.text, w.value(at, p))
		w.path = w.path[:len(w.path)-1]
		if at < len(w.text) && w.text[at] == ',' {
			at = space(w.text, at+1)
		} else if at < len(w.text) && w.text[at] != ']' {
			return len(w.text) + 1 // no JSON
		}
	}
}

// members calls f with the name and the place of the value of each member of the object at i, until it
// returns past the text. f returns the value's end.
func members(text []byte, i int, f func(name []byte, at int) int) int {
	for at := space(text, i+1); ; {
		switch {
		case at >= len(text) || text[at] == '}':
			return at + 1
		case text[at] != '"':
			return len(text) + 1 // no JSON
		}
		end := stringEnd(text, at)
		if end > len(text) {
			return end
		}
		name := text[at+1 : end-1]
		if at = space(text, end); at >= len(text) || text[at] != ':' {
			return len(text) + 1
		}
		if at = space(text, f(name, space(text, at+1))); at < len(text) && text[at] == ',' {
			at = space(text, at+1)
		} else if at < len(text) && text[at] != '}' {
			return len(text) + 1
		}
	}
}

func (w *walker) object(i int, p place) int {
	if len(w.path) > maxDepth {
		return skip(w.text, i)
	}
	if p.kind != "" {
		p.name, p.mime = w.describe(i)
	}
	return members(w.text, i, func(name []byte, at int) int {
		w.path = append(w.path, string(name))
		end := w.value(at, p.member(unquote(name)))
		w.path = w.path[:len(w.path)-1]
		return end
	})
}

// member is the place of a member of an object that stands in place p.
func (p place) member(name string) place {
	switch name {
	case Image, Audio, Video, File:
		return place{kind: name}
	case "attachment":
		return place{kind: File}
	case "content", "context":
		return place{content: true}
	case "data", "uri":
		if p.kind != "" {
			return place{kind: p.kind, name: p.name, mime: p.mime, data: true, bare: name == "data"}
		}
	}
	return place{}
}

// describe returns the members name and mime of the object at i, where they are texts.
func (w *walker) describe(i int) (name, mime string) {
	members(w.text, i, func(member []byte, at int) int {
		end := skip(w.text, at)
		if at < len(w.text) && w.text[at] == '"' && end <= len(w.text) && end-at <= longestText {
			switch unquote(member) {
			case "name":
				name = unquote(w.text[at+1 : end-1])
			case "mime":
				mime = unquote(w.text[at+1 : end-1])
			}
		}
		return end
	})
	return name, mime
}

// longestText is how long a name or media type may be as it is spelled, to be one.
const longestText = 2 << 10

// string looks at what stands between two quotes.
func (w *walker) string(start, end int, p place) {
	text := w.text[start:end]
	m := Medium{Kind: p.kind, text: text, start: start}
	var mediaType string
	switch mediaType, m.data, m.uri = dataURI(text); {
	case m.uri && (p.kind != "" || p.content):
		m.Type = cleanType(mediaType)
	case p.kind != "" && p.bare:
	case p.kind != "" && len(text) <= longestText:
		m.Link = true
	default:
		return
	}
	if CleanName(p.name) {
		m.Name = p.name
	}
	if m.Type == "" {
		m.Type = cleanType(p.mime)
	}
	if m.Type == "" {
		m.Type = TypeByName(m.Name)
	}
	if m.Kind == "" {
		m.Kind = KindOf(m.Type)
	}
	m.At = w.pointer()
	w.found = append(w.found, m)
}

// dataURI takes the beginning off a data: URI, whose media type it returns and where its data begins.
func dataURI(text []byte) (mediaType string, data int, ok bool) {
	const scheme = "data:"
	if len(text) < len(scheme) || !bytes.EqualFold(text[:len(scheme)], []byte(scheme)) {
		return "", 0, false
	}
	head := text[:min(len(text), longestText)]
	comma := bytes.IndexByte(head, ',')
	if comma < 0 {
		return "", 0, false
	}
	before := unquote(head[len(scheme):comma])
	if strings.Contains(before, " ") {
		return "", 0, false // a sentence
	}
	mediaType, _ = strings.CutSuffix(before, base64Mark(before))
	return mediaType, comma + 1, true
}

// base64Mark is how the head of a data: URI ends that says its data is base64, "" for any other.
func base64Mark(head string) string {
	const mark = ";base64"
	if at := len(head) - len(mark); at >= 0 && strings.EqualFold(head[at:], mark) {
		return head[at:]
	}
	return ""
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

func (w *walker) pointer() string {
	var p strings.Builder
	p.WriteString(w.path[0])
	for _, name := range w.path[1:] {
		p.WriteByte('/')
		p.WriteString(pointerEscape.Replace(unquote([]byte(name))))
	}
	return p.String()
}

// unquote is what the inside of a JSON string says.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	var s string
	if json.Unmarshal(append(append([]byte{'"'}, text...), '"'), &s) != nil {
		return string(text)
	}
	return s
}
