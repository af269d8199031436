package exchange

import (
	"errors"
	"strings"
	"time"
)

// NoteLease says who delivers for an exchange, and for how long. The first one is where the outbox begins.
const NoteLease = NotePrefix + "lease"

// TakeLease makes a server the one that delivers for the exchange. It is renewed by its holder, and taken over by
// one that has seen it for its whole duration: Seen is the lease whose time that server saw run out. Where another
// was first, it is no event and not Held.
type TakeLease struct {
	Holder   string // the name of a running server, no other's and not used again
	Duration time.Duration
	Seen     int64 // Lease.Seq of the one that has run out, 0 for none
	Result   struct{ Held bool }
}

type lease struct {
	Holder       string `json:"holder"`
	Milliseconds int64  `json:"duration_ms"`
}

// Decide implements Command.
func (c *TakeLease) Decide(s *State, _ time.Time) ([]Draft, *Error) {
	c.Result.Held = false
	if refusal := s.writable(); refusal != nil {
		return nil, refusal
	}
	if c.Holder == "" || c.Duration < time.Millisecond {
		return nil, fault(errors.New("a lease of nobody or of no time"))
	}
	if last := s.Lease(); last.Holder != c.Holder && last.Seq != c.Seen {
		return nil, nil
	}
	c.Result.Held = true
	return drafts(draft(NoteLease, "", actorExchange, lease{c.Holder, c.Duration.Milliseconds()}))
}

// applyLease folds note_lease. One that can't be understood is skipped.
func (s *State) applyLease(e Event) {
	p := object[lease](e.Payload)
	if p.Holder == "" || p.Milliseconds <= 0 || p.Milliseconds > maxLease.Milliseconds() || e.Seq <= 0 {
		return
	}
	l := Lease{strings.Clone(p.Holder), time.Duration(p.Milliseconds) * time.Millisecond, e.Seq}
	if s.base != nil {
		s.changed.lease = &l
	} else {
		s.table.outbox.lease = l
	}
}

// maxLease bounds what a damaged lease could hold up.
const maxLease = time.Hour
