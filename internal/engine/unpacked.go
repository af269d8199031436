package engine

import (
	"context"
	"errors"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// errUnpacked is the refusal of a command that would be carried out, which needs its luggage for that.
var errUnpacked = &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence}

// unpacked is a command whose luggage is not stored yet. It is decided as far as that goes without it: refused,
// with the events that a refusal has (what came due, the note of a key), or answered as it was before.
type unpacked struct{ exchange.Command }

// Decide implements exchange.Command.
func (u unpacked) Decide(s *exchange.State, now time.Time) ([]exchange.Draft, *exchange.Error) {
	drafts, refusal := u.Command.Decide(s, now)
	if refusal == nil && len(drafts) > 0 {
		return nil, errUnpacked
	}
	return drafts, refusal
}

// answered is a command that is answered as it was before, by its key, or not at all.
type answered struct{ exchange.Command }

// Decide implements exchange.Command.
func (a answered) Decide(s *exchange.State, now time.Time) ([]exchange.Draft, *exchange.Error) {
	drafts, refusal := a.Command.Decide(s, now)
	if len(drafts) > 0 {
		return nil, errUnpacked
	}
	return drafts, refusal
}

// unlessAnswered is the refusal of a command that was refused before the rules were asked, for a reason that
// may not have been there the first time: where it has a key and was answered, that answer counts.
func (x *running) unlessAnswered(ctx context.Context, c exchange.Command, once exchange.Once, refusal error) error {
	if !once.Given() {
		return refusal
	}
	if err := x.submit(ctx, answered{c}); !errors.Is(err, errUnpacked) {
		return err
	}
	return refusal
}
