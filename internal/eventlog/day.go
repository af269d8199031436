package eventlog

import (
	"encoding/json"
	"fmt"
	"time"
)

// dayClosed is the payload of day_closed: the day that holds the position after it. A position's key
// holds its date, so a position must never be creatable under two dates; the log itself says where it
// goes on (storage rule 7).
type dayClosed struct {
	Next day `json:"next"`
}

func nextDay(payload json.RawMessage) (day, error) {
	var p dayClosed
	if err := json.Unmarshal(payload, &p); err != nil {
		return "", fmt.Errorf("decode day_closed: %w", err)
	}
	if !p.Next.valid() {
		return "", fmt.Errorf("decode day_closed: next is %q", p.Next)
	}
	return p.Next, nil
}

// now is the time of a decision: the store's, or the last event's where that is later, so that ts
// never goes back. It is taken anew for each decision. l.mu must be held.
func (l *Log) now() time.Time {
	now := l.store.Now().UTC().Truncate(time.Millisecond)
	if now.Before(l.head.ts) {
		return l.head.ts
	}
	return now
}

// dueDay returns the day that the log should move to before an event at now is written, or "" where
// it can stay. It never moves back, and not more than a day ahead of the store's time: a log whose last
// event has a ts from a clock gone wrong stays in its day until time has caught up. l.mu must be held.
func (l *Log) dueDay(now time.Time) day {
	d := dayOf(now)
	if d <= l.head.day || now.Sub(l.store.Now()) > maxAhead {
		return ""
	}
	return d
}
