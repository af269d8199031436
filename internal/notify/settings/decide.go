package settings

import (
	"slices"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Verdict is whether a message may disturb.
type Verdict int

// The three verdicts.
const (
	Now Verdict = iota
	Later
	Never
)

// Why a message is not sent now, as words for a record.
const (
	BelowMinPriority = "below_min_priority"
	InQuietHours     = "quiet_hours"
)

// Decision is what becomes of a message.
type Decision struct {
	Verdict Verdict
	At      time.Time // for Later: the first moment that is not quiet
	Reason  string    // "" for Now
}

// Decide says whether a message about a request of that priority may be sent at that time. Urgent always passes. A
// priority that is none, of the original server's data, counts as normal.
//
// It is asked again at Decision.At, for the preferences may have changed and the clocks too.
func (p Preferences) Decide(priority string, now time.Time) Decision {
	if priority == exchange.PriorityUrgent {
		return Decision{}
	}
	if !slices.Contains(priorities, priority) {
		priority = exchange.PriorityNormal
	}
	if slices.Index(priorities, priority) < slices.Index(priorities, p.MinPriority) {
		return Decision{Verdict: Never, Reason: BelowMinPriority}
	}
	if p.Quiet != nil && p.Quiet.at(now) {
		return Decision{Verdict: Later, At: p.Quiet.until(now), Reason: InQuietHours}
	}
	return Decision{}
}

// at reports whether it is quiet. What counts is the time on the clock, so an hour that comes twice, when the
// clocks go back, is quiet or not both times.
func (q *QuietHours) at(t time.Time) bool {
	hour, minute, _ := t.In(q.Zone).Clock()
	now := hour*60 + minute
	if q.Start <= q.End {
		return q.Start <= now && now < q.End
	}
	return now >= q.Start || now < q.End
}

// until returns the first moment from t on, at which it is quiet, that is not quiet. The clock is followed to End, or
// to where it is set to another time, and then looked at again. So quiet hours that end at a time that is left
// out end when the clocks go forward.
func (q *QuietHours) until(t time.Time) time.Time {
	for q.at(t) {
		local := t.In(q.Zone)
		hour, minute, second := local.Clock()
		passed := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(local.Nanosecond())
		left := time.Duration(q.End)*time.Minute - passed
		if left <= 0 {
			left += 24 * time.Hour
		}
		next := t.Add(left)
		if _, set := local.ZoneBounds(); !set.IsZero() && set.Before(next) {
			next = set
		}
		t = next
	}
	return t
}
