package exchange

import "time"

// Thread is a request as lists show it, without what was said about it (State.Messages).
type Thread struct {
	Ref       string
	Status    string // one of the Status constants; any text in data of the original server
	StatusBy  string // who set Status; the requestor of a new thread
	Intent    string
	Requestor string
	Executor  string // "" while nobody has claimed
	Priority  string
	CreatedAt time.Time
	UpdatedAt time.Time
	Seq       int64 // of the last event that changed it; breaks ties of UpdatedAt
	Messages  int   // how many it has
}

// The state keeps times as whole milliseconds since 1970, which is what the log holds and what is
// shown. Finer times of old data are cut off when they come in, so that what was decided on a fork,
// kept, and read from a snapshot shows the same time.

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
