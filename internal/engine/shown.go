package engine

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// LogEvent is an event of the log as every executor of its exchange may see it. It is made once for all who
// read it, and never changed.
type LogEvent struct {
	Seq    int64
	ref    string // "" for one about no thread
	status string // that its thread got by it; "" for none
	frame  []byte // as a stream of server-sent events carries it
	line   []byte // the part of frame that is the event
}

// Frame returns the event as a stream of server-sent events carries it: id, event and data.
func (e *LogEvent) Frame() []byte { return e.frame }

// Line returns the event as a JSON object, without a line feed.
func (e *LogEvent) Line() []byte { return e.line }

// showEvent returns an event as it is shown; nil for a note. Notes are the server's own memory (which answers
// it gave, what it delivered where), and no part of what happened in the exchange.
func showEvent(exchangeID string, ev eventlog.Event) (*LogEvent, error) {
	if strings.HasPrefix(ev.Type, exchange.NotePrefix) {
		return nil, nil
	}
	shown := &LogEvent{Seq: ev.Seq, ref: strings.Clone(ev.Thread), status: exchange.StatusGiven(exchange.Event(ev))}
	ev.Payload = shownPayload(ev)
	frame := make([]byte, 0, len(ev.Payload)+eventOverhead)
	frame = fmt.Appendf(frame, "id: %d\n", ev.Seq)
	if !strings.ContainsAny(ev.Type, "\r\n") { // of a type that this version does not know, who can tell
		frame = append(append(append(frame, "event: "...), ev.Type...), '\n')
	}
	frame = append(frame, "data: "...)
	begin := len(frame)
	frame, err := eventlog.AppendLine(frame, exchangeID, ev)
	if err != nil {
		return nil, err
	}
	end := len(frame)
	shown.frame = append(frame, "\n\n"...)
	shown.line = shown.frame[begin:end:end]
	return shown, nil
}

// eventOverhead is about what an event's frame has besides its payload.
const eventOverhead = 400

// shownPayload is what everybody may see of a payload. An event about a thread is shown as it is, for every
// executor may read every thread. Of the others only what is known to be harmless is: no hash of a key, and
// nothing of a type that this version does not know.
func shownPayload(ev eventlog.Event) json.RawMessage {
	switch {
	case ev.Thread != "", ev.Type == exchange.DayClosed:
		return ev.Payload
	case ev.Type == exchange.ExecutorRegistered, ev.Type == exchange.ExecutorUpdated:
		var p struct {
			DisplayName  json.RawMessage `json:"display_name,omitempty"`
			Capabilities json.RawMessage `json:"capabilities,omitempty"`
		}
		if json.Unmarshal(ev.Payload, &p) == nil {
			if shown, err := json.Marshal(p); err == nil {
				return shown
			}
		}
	}
	return json.RawMessage("{}")
}

// EventFilter selects events; the zero value selects all.
type EventFilter struct {
	Ref    string // only those about this thread
	Status string // only those that give a thread this status, in any accepted spelling
}

// selects returns those of events that the filter takes: the list itself where it is all.
func (f EventFilter) selects(events []*LogEvent) []*LogEvent {
	if f == (EventFilter{}) {
		return events
	}
	var taken []*LogEvent
	for _, e := range events {
		if (f.Ref == "" || e.ref == f.Ref) && (f.Status == "" || e.status == f.Status) {
			taken = append(taken, e)
		}
	}
	return taken
}

// changesKey reports whether a key of the executor who caused the event may open nothing any more. Whoever is told
// looks for himself.
func changesKey(ev eventlog.Event) bool {
	switch ev.Type {
	case exchange.ExecutorRegistered, exchange.ExecutorUpdated, exchange.ExecutorRemoved:
		return true
	}
	return false
}
