package httpapi

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// An ETag says from which state of an exchange an answer was made, so whether it still holds is known before
// anything is read or written: after the key and the head of the log were looked at, as for any answer. All
// are weak: they promise the same state, and another version of the server may write that in other bytes.

const (
	etagHeader        = "Etag" // as net/http spells it
	ifNoneMatchHeader = "If-None-Match"
	linkHeader        = "Link"
	weak              = "W/"
	tagBase           = 36
)

// threadTag is the tag of a thread. Its last event would be enough, were exchanges never put back to an
// earlier copy. What the query asks for may be shown in another way, so it is part of it.
func threadTag(t *exchange.Thread, query string) string {
	tag := append(make([]byte, 0, 48), `W/"`...)
	tag = append(strconv.AppendInt(tag, t.Seq, tagBase), '.')
	tag = strconv.AppendInt(tag, t.UpdatedAt.UnixMilli(), tagBase)
	if query != "" {
		tag = append(tag, '.')
		tag = strconv.AppendUint(tag, sumOf([]byte(query)), tagBase)
	}
	return string(append(tag, '"'))
}

// sumOf is short enough for a header, and different for different texts for all that happens by chance.
func sumOf(text []byte) uint64 {
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}

// listTag is the tag of a page of a list. It holds until when the page holds, since what one could claim
// changes with time alone.
func listTag(name listName, v engine.ListVersion, until time.Time) string {
	ms := int64(0)
	if !until.IsZero() {
		ms = until.UnixMilli()
	}
	return fmt.Sprintf(`W/"%s.%s.%s"`, strconv.FormatInt(v.Head, tagBase), strconv.FormatInt(ms, tagBase), strconv.FormatUint(name.sum(v), tagBase))
}

// holds reports whether a tag is that of the page, and the page still what it was.
func (name listName) holds(tag string, v engine.ListVersion) bool {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(tag, weak), `"`), ".")
	if len(parts) != 3 || parts[0] != strconv.FormatInt(v.Head, tagBase) {
		return false
	}
	until, err := strconv.ParseInt(parts[1], tagBase, 64)
	if err != nil || until != 0 && v.Now.UnixMilli() >= until {
		return false
	}
	return parts[2] == strconv.FormatUint(name.sum(v), tagBase)
}

// sum stands for the list and the page of it.
func (name listName) sum(v engine.ListVersion) uint64 {
	return sumOf(fmt.Appendf(name.text(), " %d %d %d", name.filter.Limit, name.filter.Beyond, v.Updated.UnixMilli()))
}

// text is different for different lists, and the same for all pages of one.
func (name listName) text() []byte {
	f := &name.filter
	return fmt.Appendf(nil, "%q %q %q %q %q %q %d.%d", name.exchange, f.Status, f.Priority, f.Requestor, f.Executor, f.Eligible, f.Since.Unix(), f.Since.Nanosecond())
}

// anyTag is what If-None-Match says for whatever there is.
const anyTag = "*"

// held returns the first tag in If-None-Match for which same says yes, "" for none. What is no tag ends the
// header.
func (c *call) held(same func(tag string) bool) string {
	for _, line := range c.answer.request.Header[ifNoneMatchHeader] {
		for rest := line; ; {
			var tag string
			if tag, rest = cutTag(rest); tag == "" {
				break
			}
			if same(tag) {
				return tag
			}
		}
	}
	return ""
}

// holds reports whether who calls has the answer with that tag.
func (c *call) holds(tag string) bool {
	return c.held(func(t string) bool {
		return t == anyTag || strings.TrimPrefix(t, weak) == strings.TrimPrefix(tag, weak)
	}) != ""
}

// cutTag returns the first tag of a list, with its quotes, and what follows it; "" where it begins with none.
func cutTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, ", \t")
	if strings.HasPrefix(list, anyTag) {
		return anyTag, list[len(anyTag):]
	}
	opening := 0
	if strings.HasPrefix(list, weak) {
		opening = len(weak)
	}
	if !strings.HasPrefix(list[opening:], `"`) {
		return "", ""
	}
	length := strings.IndexByte(list[opening+1:], '"')
	if length < 0 {
		return "", ""
	}
	end := opening + 1 + length + 1
	return list[:end], list[end:]
}

// notModified answers who has the answer with that tag.
type notModified string

func (tag notModified) VisitListRequestsResponse(w http.ResponseWriter) error { return tag.send(w) }
func (tag notModified) VisitGetRequestResponse(w http.ResponseWriter) error   { return tag.send(w) }

func (tag notModified) send(w http.ResponseWriter) error {
	w.Header()[etagHeader] = []string{string(tag)}
	w.WriteHeader(http.StatusNotModified)
	return nil
}
