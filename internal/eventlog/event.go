package eventlog

import (
	"encoding/json"
	"time"
)

// Event is one line of the log. The log itself understands exchange_opened and day_closed only;
// everything else is passed on as it is. internal/exchange declares a type of the same fields, so
// that neither package imports the other and a plain conversion is enough.
type Event struct {
	ID      string          // event_id, a UUIDv7; any string in data of the original server
	Seq     int64           // 1, 2, 3 … without gaps; 0 for exchange_opened and for events of the original server
	TS      time.Time       // UTC, whole milliseconds; never goes back within a log
	Thread  string          // thread_ref; "" is null on the wire
	Type    string          // event_type
	Actor   string          // actor_id
	Payload json.RawMessage // a JSON object, compact, as it was accepted
	At      At              // where it stands in the log; zero before it is committed, and in genesis
}

// Draft is an event that has been decided but has no place in the log yet.
type Draft struct {
	Thread  string
	Type    string
	Actor   string
	Payload json.RawMessage
}
