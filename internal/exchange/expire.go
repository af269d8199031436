package exchange

import "time"

// Expire moves threads that are still pending at their needed_by to expired. The exchange asks for it
// itself, whenever NextDue has come. Any number of servers may: those that are not due any more, because
// another was first or an executor, are no events.
type Expire struct {
	Result struct {
		Expired int
		More    bool // others are due, which the next Expire moves
	}
}

// mostExpired bounds the events of one Expire, so that it is a small part of a commit and holds up nobody.
const mostExpired = 256

// Decide implements Command.
func (c *Expire) Decide(s *State, now time.Time) ([]Draft, *Error) {
	c.Result.Expired, c.Result.More = 0, false
	if refusal := s.writable(); refusal != nil {
		return nil, refusal
	}
	var (
		all     []Draft
		refusal *Error
	)
	s.eachDue(func(d due) bool {
		if now.Before(d.at) || len(all) == mostExpired {
			c.Result.More = !now.Before(d.at)
			return false
		}
		t, _ := s.Thread(d.ref)
		_, expired := s.situation(t, now)
		var events []Draft
		events, refusal = changes(d.ref, actorExchange, expired, "")
		all = append(all, events...)
		return refusal == nil
	})
	if refusal != nil {
		return nil, refusal
	}
	c.Result.Expired = len(all)
	return all, nil
}
