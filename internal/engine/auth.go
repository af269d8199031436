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

// Recognizes reports whether the key is one that this replica knows by heart, of whatever exchange. It
// costs the storage nothing, and its no says nothing: the key may be new, or its exchange not open.
func (e *Engine) Recognizes(key string) bool {
	home, _, ok := auth.Parse(key)
	if !ok {
		return false
	}
	e.mu.Lock()
	o := e.openings[home]
	e.mu.Unlock()
	if o == nil {
		return false
	}
	leave, ok := e.visit(o)
	if !ok {
		return false
	}
	defer leave()
	_, ok = o.x.whose(auth.Hash(key))
	return ok
}

// Prove tells whether the caller's key still holds at the head of the log, for what is answered without
// reading the exchange. CodeUnauthorized where not.
func (e *Engine) Prove(ctx context.Context, c Caller) error {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	return x.read(ctx, c, func(*exchange.State) error { return nil })
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
