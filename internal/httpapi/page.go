package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// mostListed is how many threads a page has where the client does not say, and at most: some 300 kB.
const mostListed = 1000

// ListRequests implements GET …/requests.
func (h *handlers) ListRequests(ctx context.Context, r server.ListRequestsRequestObject) (server.ListRequestsResponseObject, error) {
	c := callOf(ctx)
	name := listName{c.caller.Exchange, filterOf(c.caller, r.Params)}
	if r.Params.Cursor != nil {
		var ok bool
		if name.filter.Beyond, ok = name.readCursor(*r.Params.Cursor); !ok {
			return nil, invalid("cursor: must be the next_cursor of a page of the same list")
		}
	}
	kept := h.lists.get(name)
	var tag string // the one that the caller has and that holds
	list, err := h.exchange.ListUnless(ctx, c.caller, name.filter, func(v engine.ListVersion) bool {
		tag = c.held(func(t string) bool { return name.holds(t, v) })
		return tag != "" || kept.holds(v)
	})
	switch {
	case err != nil:
		return nil, err
	case tag != "":
		return notModified(weak + strings.TrimPrefix(tag, weak)), nil
	}
	again := kept.holds(list.Version)
	answer := pageAnswer{tag: kept.tag}
	if again {
		list.Next = kept.next
	} else {
		answer.tag = listTag(name, list.Version, list.Until)
	}
	var cursor string
	if list.Next != 0 {
		cursor = name.cursor(list.Next)
		answer.link = name.link(r.Params, cursor)
	}
	switch {
	case c.holds(answer.tag):
		return notModified(answer.tag), nil
	case again:
		answer.text, answer.kept = kept.text, true
	default:
		answer.text = appendThreads(takeBuffer(), list.Threads, cursor)
		h.lists.put(name, kept, list, answer.tag, answer.text)
	}
	return answer, nil
}

// filterOf is what the parameters select, the same for parameters that mean the same.
func filterOf(caller engine.Caller, p server.ListRequestsParams) exchange.Filter {
	f := exchange.Filter{Limit: mostListed}
	if p.Status != nil {
		f.Status = words(*p.Status, func(s server.StatusFilter) string {
			status, _ := exchange.ParseStatus(string(s)) // the gate lets no other pass
			return status
		})
	}
	if p.Priority != nil {
		f.Priority = words(*p.Priority, func(p server.Priority) string { return string(p) })
	}
	// What is kept must not keep a whole request line in memory.
	if p.Requestor != nil {
		f.Requestor = strings.Clone(*p.Requestor)
	}
	if p.Executor != nil {
		f.Executor = strings.Clone(*p.Executor)
	}
	if p.Eligible != nil && *p.Eligible {
		f.Eligible = caller.Executor
	}
	if p.Since != nil {
		f.Since = p.Since.UTC()
	}
	if p.Limit != nil {
		f.Limit = *p.Limit
	}
	return f
}

// words writes each of several words once, in order, with commas between them.
func words[T ~string](all []T, word func(T) string) string {
	list := make([]string, len(all))
	for i, one := range all {
		list[i] = word(one)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}

// A cursor is a place in the order of updates, and a sum of it and of the list that it belongs to. The sum
// keeps nobody from anything: it tells a cursor that was cut, changed or taken from another list.
const cursorSum = 6 // bytes

func (name listName) cursor(place int64) string {
	at := binary.AppendVarint(nil, place)
	sum := binary.BigEndian.AppendUint64(nil, sumOf(append(name.text(), at...)))
	return base64.RawURLEncoding.EncodeToString(append(at, sum[:cursorSum]...))
}

// readCursor returns the place in a cursor; false for what is none of this list.
func (name listName) readCursor(text string) (place int64, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, false
	}
	place, _ = binary.Varint(b)
	return place, place != 0 && name.cursor(place) == text
}

// link is the address of the next page. It is relative to that of this one, as whoever asked knows it: what a
// proxy has put in front of it is not known here.
func (name listName) link(p server.ListRequestsParams, cursor string) string {
	f, query := &name.filter, url.Values{"cursor": {cursor}}
	for parameter, value := range map[string]string{"status": f.Status, "priority": f.Priority, "requestor": f.Requestor, "executor": f.Executor} {
		if value != "" {
			query.Set(parameter, value)
		}
	}
	if f.Eligible != "" {
		query.Set("eligible", "true")
	}
	if !f.Since.IsZero() {
		query.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	if p.Limit != nil {
		query.Set("limit", strconv.Itoa(*p.Limit))
	}
	return "<?" + query.Encode() + `>; rel="next"`
}

// pageAnswer is a page of a list.
type pageAnswer struct {
	text []byte
	kept bool // the text stays where it is; otherwise it stands in a buffer of the pool
	tag  string
	link string // of the next page, "" for none
}

func (a pageAnswer) VisitListRequestsResponse(w http.ResponseWriter) error {
	h := w.Header()
	h[etagHeader] = []string{a.tag}
	if a.link != "" {
		h[linkHeader] = []string{a.link}
	}
	if a.kept {
		return writeJSON(w, http.StatusOK, a.text)
	}
	return document(a.text).send(w)
}
