package notify

import "github.com/mess-exchange/mess-exchange/internal/exchange"

// Moment is a point in the life of a request at which hooks fire.
type Moment string

// The six moments. A profile keeps the hooks of each under "on_request_" and its name.
const (
	Created   Moment = "created"
	Claimed   Moment = "claimed"
	Started   Moment = "started"
	Completed Moment = "completed"
	Rejected  Moment = "rejected"
	Cancelled Moment = "cancelled"
)

// Moments are all of them, in the order of a request's life.
var Moments = []Moment{Created, Claimed, Started, Completed, Rejected, Cancelled}

// Setting is the name under which a profile keeps the hooks of a moment.
func (m Moment) Setting() string { return "on_request_" + string(m) }

// momentOf returns the moment that a status begins; ok is false for a status that is none.
func momentOf(status string) (m Moment, ok bool) {
	switch status {
	case exchange.StatusClaimed:
		return Claimed, true
	case exchange.StatusInProgress:
		return Started, true
	case exchange.StatusCompleted:
		return Completed, true
	case exchange.StatusDeclined:
		return Rejected, true
	case exchange.StatusCancelled:
		return Cancelled, true
	}
	return "", false
}

// ofHolder are the moments that concern nobody but the thread's executor.
func (m Moment) ofHolder() bool { return m == Started || m == Completed }
