package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Profile is an executor as the caller may see it.
type Profile struct {
	Executor
	Settings map[string]json.RawMessage // masked; nil for anyone but the caller
}

// Profile returns one executor of the caller's exchange, with the settings where it is the caller.
// CodeExecutorNotFound where there is none with that id, or not any more.
//
// No setting leaves the engine in clear on this way, not even to its owner: who has found a key must not
// find with it what opens a chat or a house (mask.go).
func (e *Engine) Profile(ctx context.Context, c Caller, executorID string) (*Profile, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	one := make([]Executor, 1)
	err = x.read(ctx, c, func(s *exchange.State) error {
		executor, ok := s.Executor(executorID)
		if !ok {
			return refuse(exchange.CodeExecutorNotFound, "Executor not found")
		}
		one[0] = Executor{Executor: executor, LastSeen: s.LastEvent(executorID)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p := &Profile{}
	if executorID == c.Executor {
		if p.Settings, err = x.maskedSettings(ctx, one[0].Executor); err != nil {
			return nil, e.unreadable(ctx, err)
		}
	}
	x.date(ctx, one)
	p.Executor = one[0]
	return p, nil
}

// maskedSettings reads the settings of an executor for showing.
func (x *running) maskedSettings(ctx context.Context, executor *exchange.Executor) (map[string]json.RawMessage, error) {
	own, err := x.ownSettings(ctx, executor)
	if err != nil {
		return nil, err
	}
	return masked(own), nil
}

// ownSettings reads the settings of an executor. Where there is no object there are none.
func (x *running) ownSettings(ctx context.Context, executor *exchange.Executor) (map[string]json.RawMessage, error) {
	soon, cancel := context.WithTimeout(ctx, profilePatience)
	defer cancel()
	data, _, err := x.engine.store.Load(soon, profileKey(x.id, executor.ID))
	if err != nil {
		if x.engine.store.NoSuchKey(err) {
			return map[string]json.RawMessage{}, nil
		}
		return nil, fmt.Errorf("read the profile of %s: %w", executor.ID, err)
	}
	return x.readProfile(executor, data).settings(), nil
}
