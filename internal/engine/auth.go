package engine

import (
	"context"
	"errors"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Authenticate finds out whose key it is. CodeUnauthorized: no such key (a malformed one, or an
// unknown exchange, too); CodeWrongExchange: a valid key of another exchange than exchangeID,
// whether or not that exists.
//
// A yes may be of a moment ago: commands prove the key again when they are decided, reads when they
// have come to the head. A no is proved at the head first.
func (e *Engine) Authenticate(ctx context.Context, exchangeID, key string) (Caller, error) {
	leave, err := e.enter()
	if err != nil {
		return Caller{}, err
	}
	defer leave()
	home, _, ok := auth.Parse(key)
	if !ok {
		return Caller{}, errUnauthorized()
	}
	x, leaveExchange, err := e.find(ctx, home, openPatience)
	if errors.Is(err, eventlog.ErrNotFound) {
		return Caller{}, errUnauthorized()
	}
	if err != nil {
		return Caller{}, err
	}
	defer leaveExchange()
	hash := auth.Hash(key)
	executor, ok := x.whose(hash)
	foreign := home != exchangeID
	if !ok || foreign {
		if err := x.sync(ctx); err != nil {
			return Caller{}, err
		}
		executor, ok = x.whose(hash)
	}
	switch {
	case !ok:
		return Caller{}, errUnauthorized()
	case foreign:
		return Caller{}, refuse(exchange.CodeWrongExchange, "This API key belongs to another exchange")
	}
	x.called(executor.ID)
	return Caller{Exchange: x.id, Caller: exchange.Caller{Executor: executor.ID, KeyHash: hash}}, nil
}

// call begins a call of an executor that was let in. leave must be called at its end.
func (e *Engine) call(ctx context.Context, c Caller) (x *running, leave func(), err error) {
	leaveEngine, err := e.enter()
	if err != nil {
		return nil, nil, err
	}
	x, leaveExchange, err := e.find(ctx, c.Exchange, openPatience)
	if errors.Is(err, eventlog.ErrNotFound) {
		err = errUnauthorized()
	}
	if err != nil {
		leaveEngine()
		return nil, nil, err
	}
	return x, func() {
		leaveExchange()
		leaveEngine()
	}, nil
}
