package send

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The pauses before each attempt after the first, as Standard Webhooks recommends. What is urgent is of no use in
// five minutes, so it has two more attempts before that.
var (
	pauses = []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	urgentPauses = append([]time.Duration{5 * time.Second, 15 * time.Second, 60 * time.Second}, pauses[1:]...)
)

// spread is how far a pause may differ from the table, so that what failed together does not come back together.
const spread = 0.2

// Retry is what decides when to try again.
type Retry struct {
	Failures int           // how many attempts have failed; 1 or more
	Urgent   bool          // more attempts in the first minutes
	Now      time.Time     // of the last failure
	After    time.Duration // what the receiver asked for (Outcome.RetryAfter); 0 for nothing
	Cut      time.Time     // from when on it is of no use any more, such as the thread's deadline; zero for never
}

// Next returns when to try again; ok is false where that was the last attempt. random is from [0, 1): the same one
// gives the same time.
func (r Retry) Next(random float64) (at time.Time, ok bool) {
	table := pauses
	if r.Urgent {
		table = urgentPauses
	}
	if r.Failures < 1 || r.Failures > len(table) {
		return time.Time{}, false
	}
	pause := time.Duration(float64(table[r.Failures-1]) * (1 - spread + 2*spread*random))
	at = r.Now.Add(max(pause, min(r.After, maxRetryAfter)))
	if !r.Cut.IsZero() && !at.Before(r.Cut) {
		return time.Time{}, false
	}
	return at, true
}

// retryAfter reads a header Retry-After, which holds seconds or a date. What can't be read is no wish.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxRetryAfter)
	}
	return 0
}
