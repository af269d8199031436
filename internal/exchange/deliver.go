package exchange

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// NoteDelivery says what came of one round of deliveries about one event.
const NoteDelivery = NotePrefix + "delivery"

// What comes of an attempt. OutcomeRetry and OutcomeDeferred name the next time; the others end the delivery.
const (
	OutcomeDelivered = "delivered"
	OutcomeRetry     = "retry"    // the attempt failed, and there is another
	OutcomeDeferred  = "deferred" // no attempt was made yet
	OutcomeFailed    = "failed"   // for good
	OutcomeDropped   = "dropped"  // it is of no use any more, or not wanted
)

const (
	// MaxOutcomes bounds one Deliver, so that its event stays far below the largest one of the log: an outcome
	// takes at most 400 bytes there. With more, executors are told in several rounds (Deliver.Told).
	MaxOutcomes = 1 << 13
	// maxOutcomeText bounds each text of an outcome.
	maxOutcomeText = 64
)

// Outcome is what came of one delivery in one round. It goes into the log, which everyone may read who may
// read the exchange's data, so it holds no secret and no URL.
type Outcome struct {
	Executor string
	Way      string // the name of the channel or hook
	Attempt  int    // counted from 1; 0 where none was made
	Outcome  string
	Status   int    // of HTTP; 0 for no answer
	Reason   string // in fixed words
	Next     time.Time

	ExternalID string // what the hook has opened elsewhere, "" for nothing
}

// Deliver records what came of a round of deliveries about an event. A round that another server recorded first,
// or of an event that nobody is to be told of any more, is no event (Stale): what it sent has been sent twice.
type Deliver struct {
	Event    int64
	Round    int64 // the event's last one and 1
	Told     int   // of how many of Undelivered.Executors the first attempts are made with it
	Outcomes []Outcome
	Result   struct{ Stale bool }
}

type delivery struct {
	Event    int64         `json:"event"`
	Ref      string        `json:"ref"`
	Round    int64         `json:"round"`
	Told     int           `json:"told"`
	Outcomes []toldOutcome `json:"outcomes"`
}

type toldOutcome struct {
	Executor string `json:"executor"`
	Channel  string `json:"channel"`
	Attempt  int    `json:"attempt"`
	Outcome  string `json:"outcome"`
	Status   int    `json:"status,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Next     string `json:"next,omitempty"` // RFC 3339

	ExternalID string `json:"external_id,omitempty"`
}

// Decide implements Command.
func (c *Deliver) Decide(s *State, _ time.Time) ([]Draft, *Error) {
	c.Result.Stale = false
	if refusal := s.writable(); refusal != nil {
		return nil, refusal
	}
	u, round := s.round(c.Event)
	if u == nil || c.Round != round+1 {
		c.Result.Stale = true
		return nil, nil
	}
	if c.Told < u.Told || c.Told > u.Executors || len(c.Outcomes) > MaxOutcomes {
		return nil, fault(fmt.Errorf("a round that tells %d of %d executors, with %d outcomes", c.Told, u.Executors, len(c.Outcomes)))
	}
	p := delivery{Event: c.Event, Ref: u.After.Ref, Round: c.Round, Told: c.Told, Outcomes: make([]toldOutcome, len(c.Outcomes))}
	for i, o := range c.Outcomes {
		again := o.Outcome == OutcomeRetry || o.Outcome == OutcomeDeferred
		if !slices.Contains(outcomes, o.Outcome) || again == o.Next.IsZero() || o.Attempt < 0 {
			return nil, fault(fmt.Errorf("the outcome %q of attempt %d, with another at %v", o.Outcome, o.Attempt, o.Next))
		}
		p.Outcomes[i] = toldOutcome{
			Executor: o.Executor, Channel: clip(o.Way, maxOutcomeText), Attempt: o.Attempt,
			Outcome: o.Outcome, Status: o.Status, Reason: clip(o.Reason, maxOutcomeText),
		}
		if len(o.ExternalID) <= maxExternalID {
			p.Outcomes[i].ExternalID = o.ExternalID
		}
		if again {
			p.Outcomes[i].Next = o.Next.UTC().Format(time.RFC3339Nano)
		}
	}
	return drafts(draft(NoteDelivery, "", actorExchange, p))
}

var outcomes = []string{OutcomeDelivered, OutcomeRetry, OutcomeDeferred, OutcomeFailed, OutcomeDropped}

// round returns an event that is open and its last round, a fork's included.
func (s *State) round(event int64) (u *Undelivered, round int64) {
	for ; s.base != nil; s = s.base {
		if n, ok := s.changed.rounds[event]; ok {
			round = max(round, n)
		}
	}
	u = s.table.outbox.open[event]
	if u != nil {
		round = max(round, u.Round)
	}
	return u, round
}

// applyDelivery folds note_delivery. One that can't be understood, or of another round than the next, is skipped.
// What it names to be tried again is open from then on, in the place of what was: a delivery that was open and is
// not named stays so. The event is settled when nothing is.
func (s *State) applyDelivery(e Event) {
	p := object[delivery](e.Payload)
	u, round := s.round(p.Event)
	if u == nil || p.Round != round+1 || p.Told < u.Told || p.Told > u.Executors {
		return
	}
	if s.base != nil {
		if s.changed.rounds == nil {
			s.changed.rounds = map[int64]int64{}
		}
		s.changed.rounds[p.Event] = p.Round
		return
	}
	next := *u
	next.Round, next.Told = p.Round, p.Told
	o := &s.table.outbox
	next.Tries = o.round(u, p.Outcomes, e.TS)
	if next.Told == next.Executors && len(next.Tries) == 0 {
		o.settle(p.Event)
		return
	}
	if next.Due = e.TS; next.Told == next.Executors {
		next.Due = next.Tries[0].Next
	}
	o.put(&next)
	o.bound()
}

// round notes what a round says of an event's deliveries, and returns what is open after it, in order of when it is
// due.
func (o *outbox) round(u *Undelivered, outcomes []toldOutcome, ts time.Time) []Try {
	type name struct{ executor, way string }
	open := make(map[name]Try, len(u.Tries))
	for _, t := range u.Tries {
		open[name{t.Executor, t.Way}] = t
	}
	var all []Try
	named := make(map[name]bool, len(outcomes))
	for _, said := range outcomes {
		n := name{said.Executor, clip(said.Channel, maxOutcomeText)}
		if named[n] {
			continue
		}
		named[n] = true
		t, again := open[n]
		at, err := time.Parse(time.RFC3339, said.Next)
		goesOn := err == nil && (said.Outcome == OutcomeRetry || said.Outcome == OutcomeDeferred)
		if at = fromMillis(at.UnixMilli()); !goesOn {
			at = time.Time{}
		}
		attempts := min(max(said.Attempt, 0), maxAttempts)
		if !again {
			t = Try{Executor: strings.Clone(said.Executor), Way: o.word(strings.Clone(n.way))}
		}
		t.number = o.follow(t.number, Delivered{
			Event: u.Event, Created: u.Created, Ref: u.After.Ref, Executor: t.Executor, Way: t.Way, Outcome: o.word(strings.Clone(said.Outcome)), Attempts: attempts,
			Status: said.Status, Reason: strings.Clone(clip(said.Reason, maxOutcomeText)), Next: at, First: ts, Last: ts,
		})
		if t.Attempts, t.Next = attempts, at; goesOn {
			all = append(all, t)
		}
		if id := said.ExternalID; id != "" && len(id) <= maxExternalID {
			o.openElsewhere(externalKey{t.Executor, u.After.Ref}, strings.Clone(id))
		}
	}
	for _, t := range u.Tries {
		if !named[name{t.Executor, t.Way}] {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b Try) int { return a.Next.Compare(b.Next) })
	return all
}

// maxAttempts bounds what a damaged round could say.
const maxAttempts = 1 << 16
