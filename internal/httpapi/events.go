package httpapi

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

const (
	// usualEvents is how many events a page has where the client does not say.
	usualEvents = 100
	// streamTime is for a client of a stream to take what was written. It is shorter than writeTime, because a
	// client that reads nothing would otherwise keep its stream through a shutdown; nothing is lost by being
	// cut, for it goes on where it was.
	streamTime = 5 * time.Second
	// retryAfter is how long a client is to wait before it comes back, in milliseconds.
	retryAfter = 2000
)

const streamType = "text/event-stream"

// streamHeaders are those of a stream. The last one keeps nginx from holding it back.
var streamHeaders = []header{
	{"Content-Type", []string{streamType}},
	{"X-Accel-Buffering", []string{"no"}},
}

// ListEvents implements GET …/events.
func (h *handlers) ListEvents(ctx context.Context, r server.ListEventsRequestObject) (server.ListEventsResponseObject, error) {
	after, err := begins(r.Params)
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	var filter engine.EventFilter
	if r.Params.Ref != nil {
		filter.Ref = *r.Params.Ref
	}
	if r.Params.Status != nil {
		filter.Status = string(*r.Params.Status)
	}
	if !prefersJSON(c.answer.request.Header["Accept"]) {
		return &eventStream{exchange: h.exchange, ctx: ctx, call: c, filter: filter, after: after}, nil
	}
	limit := usualEvents
	if r.Params.Limit != nil {
		limit = *r.Params.Limit
	}
	page, err := h.exchange.Events(ctx, c.caller, filter, after, limit)
	if err != nil {
		return nil, err
	}
	return eventPage{page}, nil
}

// begins returns the seq behind which a client wants events. Where both are given, it has come back with the
// address that it first came with.
func begins(p server.ListEventsParams) (int64, error) {
	switch {
	case p.LastEventID != nil && *p.LastEventID != "":
		seq, err := strconv.ParseInt(*p.LastEventID, 10, 64)
		if err != nil || seq < 0 {
			return 0, invalid("Last-Event-ID: must be the id of an event, a whole number from 0 on")
		}
		return seq, nil
	case p.Since != nil:
		return *p.Since, nil
	}
	return engine.NoSeq, nil
}

// prefersJSON reports whether a client would rather have a page than a stream: it names JSON, and not the
// stream's type as well or better.
func prefersJSON(accept []string) bool {
	var json, stream float64
	for _, one := range strings.Split(strings.Join(accept, ","), ",") {
		media, params, err := mime.ParseMediaType(one)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			weight = q
		}
		switch media {
		case "application/json":
			json = weight
		case streamType:
			stream = weight
		}
	}
	return json > stream
}

// eventPage is a page of events.
type eventPage struct{ *engine.EventPage }

func (p eventPage) VisitListEventsResponse(w http.ResponseWriter) error {
	pieces := make([][]byte, 0, 2*len(p.Events)+1)
	between := []byte(`{"events":[`)
	for _, e := range p.Events {
		pieces = append(pieces, between, e.Line())
		between = []byte(",")
	}
	end := []byte(`],"next":`)
	if len(p.Events) == 0 {
		end = append(between, end...)
	}
	end = strconv.AppendInt(end, p.Next, 10)
	end = strconv.AppendBool(append(end, `,"more":`...), p.More)
	return writeJSON(w, http.StatusOK, append(pieces, append(end, "}\n"...))...)
}

// eventStream is a stream of server-sent events. Each frame is written from where the exchange keeps it for
// all who listen.
type eventStream struct {
	exchange Exchange
	ctx      context.Context
	call     *call
	filter   engine.EventFilter
	after    int64

	w    http.ResponseWriter
	sent int64 // the last id
}

// errHeader ends an answer to HEAD.
var errHeader = errors.New("the header is all that was asked for")

// VisitListEventsResponse answers until the client goes away, or must. What ends a stream that has begun is
// not told to the client: it comes back, and is told then.
func (s *eventStream) VisitListEventsResponse(w http.ResponseWriter) error {
	s.w = w
	err := s.exchange.Follow(s.ctx, s.call.caller, s.filter, s.after, s.deliver)
	if errors.Is(err, errHeader) {
		return nil
	}
	return err
}

func (s *eventStream) deliver(b engine.EventBatch) error {
	if s.call.answer.status == 0 {
		return s.begin(b.Seq)
	}
	var err error
	for _, e := range b.Events {
		if _, err = s.w.Write(e.Frame()); err != nil {
			return err
		}
		s.sent = e.Seq
	}
	if len(b.Events) == 0 {
		_, err = s.w.Write(s.alive(b.Seq))
	}
	if err != nil {
		return err
	}
	return s.call.answer.control.Flush()
}

// begin sends the header, and where the stream begins, so that a client that is cut off before the first event
// can come back to there.
func (s *eventStream) begin(seq int64) error {
	setHeaders(s.w.Header(), streamHeaders)
	s.call.waited = true
	s.call.answer.patience = streamTime
	s.w.WriteHeader(http.StatusOK)
	if s.call.answer.request.Method == http.MethodHead {
		return errHeader
	}
	s.sent = seq
	first := strconv.AppendInt([]byte("retry: "), retryAfter, 10)
	first = strconv.AppendInt(append(first, "\nid: "...), seq, 10)
	if _, err := s.w.Write(append(first, "\n\n"...)); err != nil {
		return err
	}
	return s.call.answer.control.Flush()
}

// alive is a comment, with an id where a filter has passed over events since the last: a client that comes back
// then need not have them looked at again.
func (s *eventStream) alive(seq int64) []byte {
	text := []byte(": nothing new\n")
	if seq > s.sent {
		s.sent = seq
		text = append(strconv.AppendInt(append(text, "id: "...), seq, 10), '\n')
	}
	return append(text, '\n')
}
