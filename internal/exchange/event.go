package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The types of event that this version knows. One whose name starts with NotePrefix may be skipped by
// a version that does not know it; it changes no thread.
const (
	ExecutorRegistered = "executor_registered"
	ExecutorUpdated    = "executor_updated"
	ExecutorRemoved    = "executor_removed"
	ThreadCreated      = "thread_created"
	StatusChanged      = "status_changed"
	MessageAdded       = "message_added"
	ThreadImported     = "thread_imported"
	ExchangeOpened     = "exchange_opened"
	DayClosed          = "day_closed"
	// NoteAnswered is in once.go, NoteDelivery in deliver.go, NoteLease in lease.go.

	NotePrefix = "note_"
)

// actorExchange is the actor of what the exchange does by itself. No executor id can be the same: they
// begin with a letter or digit.
const actorExchange = "-"

// Event is a fact in the log. It has the fields of eventlog.Event, which converts to it, so that
// the rules import nothing but the standard library.
type Event struct {
	ID      string
	Seq     int64 // 0 for exchange_opened and for events of the original server
	TS      time.Time
	Thread  string // the thread's ref; "" for events about no thread
	Type    string
	Actor   string
	Payload json.RawMessage
	At      At // where it stands in the log; zero before it is committed
}

// Draft is an event that has been decided but not committed.
type Draft struct {
	Thread  string
	Type    string
	Actor   string
	Payload json.RawMessage
}

// encode writes a value as it stands in the log: compact, and with what clients sent
// (json.RawMessage) kept byte by byte apart from white space, so that big integers, 2.50, the order of
// keys and a "<" come back as they were.
func encode(v any) (json.RawMessage, *Error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fault(fmt.Errorf("encode an event: %w", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// draft is a Draft with an encoded payload.
func draft(typ, thread, actor string, payload any) (Draft, *Error) {
	p, refusal := encode(payload)
	if refusal != nil {
		return Draft{}, refusal
	}
	return Draft{Thread: thread, Type: typ, Actor: actor, Payload: p}, nil
}
