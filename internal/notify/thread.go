package notify

import (
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Thread is a request as receivers see it, in the form in which lists of the API show it.
type Thread struct {
	Ref       string    `json:"ref"`
	Status    string    `json:"status"`
	Intent    string    `json:"intent"`
	Requestor string    `json:"requestor_id"`
	Executor  *string   `json:"executor_id"` // nil while nobody has claimed
	Priority  string    `json:"priority"`
	CreatedAt timestamp `json:"created_at"`
	UpdatedAt timestamp `json:"updated_at"`
}

// How many bytes of a thread are sent. An intent may be some megabytes long, receivers take kilobytes, and whoever
// wants to do the request reads it at the exchange. The other texts are short but in data of the original server.
const (
	maxIntent = 4 << 10
	maxWord   = 256
)

// ThreadOf is what receivers see of a thread.
func ThreadOf(t exchange.Thread) Thread {
	seen := Thread{
		Ref: Clip(t.Ref, maxWord), Status: Clip(t.Status, maxWord), Intent: Clip(t.Intent, maxIntent),
		Requestor: Clip(t.Requestor, maxWord), Priority: Clip(t.Priority, maxWord),
		CreatedAt: timestamp(t.CreatedAt), UpdatedAt: timestamp(t.UpdatedAt),
	}
	if t.Executor != "" {
		executor := Clip(t.Executor, maxWord)
		seen.Executor = &executor
	}
	return seen
}

// HeldBy returns who has claimed the thread, "" for nobody.
func (t Thread) HeldBy() string {
	if t.Executor == nil {
		return ""
	}
	return *t.Executor
}

// timestamp is a time as it is written everywhere at the exchange: RFC 3339 in UTC with milliseconds.
type timestamp time.Time

func (t timestamp) String() string { return time.Time(t).UTC().Format("2006-01-02T15:04:05.000Z") }

// MarshalText implements encoding.TextMarshaler.
func (t timestamp) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
