package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// mostDeliveries is how many deliveries a page has where the client does not say, and at most: some 350 kB.
const mostDeliveries = 1000

// deliverySize is about what a Delivery takes.
const deliverySize = 350

// ListDeliveries implements GET …/executors/{executor_id}/deliveries.
func (h *handlers) ListDeliveries(ctx context.Context, r server.ListDeliveriesRequestObject) (server.ListDeliveriesResponseObject, error) {
	caller := callOf(ctx).caller
	name := deliveriesName{caller.Exchange, r.ExecutorID}
	limit, before := mostDeliveries, int64(0)
	if r.Params.Limit != nil {
		limit = *r.Params.Limit
	}
	if r.Params.Cursor != nil && r.ExecutorID == caller.Executor { // another's is refused for that
		var ok bool
		if before, ok = name.readCursor(*r.Params.Cursor); !ok {
			return nil, invalid("cursor: must be the next_cursor of a page of the same list")
		}
	}
	page, err := h.exchange.Deliveries(ctx, caller, r.ExecutorID, before, limit)
	if err != nil {
		return nil, err
	}
	var answer deliveriesAnswer
	var cursor string
	if page.Next != 0 {
		cursor = name.cursor(page.Next)
		query := url.Values{"cursor": {cursor}}
		if r.Params.Limit != nil {
			query.Set("limit", strconv.Itoa(limit))
		}
		answer.link = "<?" + query.Encode() + `>; rel="next"`
	}
	answer.text = appendDeliveries(takeBuffer(), page.Deliveries, cursor)
	return answer, nil
}

// deliveriesName is what a cursor belongs to, as with lists of threads (page.go).
type deliveriesName struct{ exchange, executor string }

func (name deliveriesName) cursor(place int64) string {
	at := binary.AppendVarint(nil, place)
	sum := binary.BigEndian.AppendUint64(nil, sumOf(append(fmt.Appendf(nil, "deliveries %q %q ", name.exchange, name.executor), at...)))
	return base64.RawURLEncoding.EncodeToString(append(at, sum[:cursorSum]...))
}

// readCursor returns the place in a cursor; false for what is none of this list.
func (name deliveriesName) readCursor(text string) (place int64, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, false
	}
	place, _ = binary.Varint(b)
	return place, place != 0 && name.cursor(place) == text
}

// deliveriesAnswer is a page of deliveries. The text stands in a buffer of the pool.
type deliveriesAnswer struct {
	text []byte
	link string // of the next page, "" for none
}

func (a deliveriesAnswer) VisitListDeliveriesResponse(w http.ResponseWriter) error {
	if a.link != "" {
		w.Header()[linkHeader] = []string{a.link}
	}
	return document(a.text).send(w)
}

func appendDeliveries(dst []byte, all []engine.Delivery, cursor string) []byte {
	dst = append(slices.Grow(dst, len(all)*deliverySize), `{"deliveries":[`...)
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendDelivery(dst, &all[i])
	}
	if cursor == "" {
		return append(dst, "]}\n"...)
	}
	dst = append(dst, `],"next_cursor":`...)
	return append(appendString(dst, cursor), "}\n"...)
}

func appendDelivery(dst []byte, d *engine.Delivery) []byte {
	dst = appendString(append(dst, `{"id":`...), d.ID)
	dst = appendString(append(dst, `,"ref":`...), d.Ref)
	dst = appendString(append(dst, `,"event_type":`...), d.EventType)
	dst = appendString(append(dst, `,"channel":`...), d.Channel)
	dst = appendString(append(dst, `,"status":`...), d.Status)
	dst = strconv.AppendInt(append(dst, `,"attempts":`...), int64(d.Attempts), 10)
	dst = appendHTTPStatus(append(dst, `,"http_status":`...), d.HTTPStatus)
	dst = appendReason(append(dst, `,"reason":`...), d.Reason)
	dst = append(dst, `,"next_try":`...)
	if d.Next.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = appendTime(dst, d.Next)
	}
	dst = appendTime(append(dst, `,"created_at":`...), d.Created)
	return append(appendTime(append(dst, `,"updated_at":`...), d.Updated), '}')
}

// appendHTTPStatus appends the status of a receiver's answer; null where there was none.
func appendHTTPStatus(dst []byte, status int) []byte {
	if status == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, int64(status), 10)
}

// appendReason appends a reason; null for none.
func appendReason(dst []byte, reason string) []byte {
	if reason == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, reason)
}
