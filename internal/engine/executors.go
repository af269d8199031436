package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Registration is what a new executor says of itself. Settings are the private ones (notifications,
// preferences, hooks …): the body's members other than executor_id, display_name and capabilities, as sent.
type Registration struct {
	exchange.Once
	ExecutorID   string
	DisplayName  string
	Capabilities []string
	Settings     map[string]json.RawMessage
}

// register is exchange.Register with one more reason for a refusal: an executor of the same name in
// another case would share its profile object on a file system that does not tell cases apart. It
// is decided with the command, so that no two replicas can register two spellings.
type register struct{ exchange.Register }

func (r *register) Decide(s *exchange.State, now time.Time) ([]exchange.Draft, *exchange.Error) {
	taken := s.TakenIDs()
	if !slices.Contains(taken, r.ID) {
		for _, id := range taken {
			if strings.EqualFold(id, r.ID) {
				return nil, errNameTaken("An executor", id)
			}
		}
	}
	return r.Register.Decide(s, now)
}

// Register adds an executor and returns its API key, opening the exchange where it is the first.
// CodeInvalid: an id that new exchanges or executors can't have, or settings that could not work; CodeNameTaken: it differs from an
// existing one in case only; CodeAlreadyRegistered.
//
// The event arbitrates: the one whose registration commits, and nobody else, writes the profile
// object and only then answers. A crash between the two is a registration that was never answered:
// the id is taken and nobody has its key. The same holds where the object can't be written, which
// the client is told as CodeOutcomeUnknown. With an Idempotency-Key the client can repeat it then, at any
// replica, and gets another key (exchange.Register); CodeKeyReused: that one came with another registration.
func (e *Engine) Register(ctx context.Context, exchangeID string, r Registration) (apiKey string, err error) {
	leave, err := e.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	began := time.Now()
	if !exchange.ValidID(r.ExecutorID) {
		return "", errInvalidExecutor()
	}
	if err := checkSettings(r.Settings); err != nil {
		return "", err
	}
	x, leaveExchange, err := e.findOrCreate(ctx, exchangeID)
	if err != nil {
		return "", err
	}
	defer leaveExchange()
	if err := e.spelledAlike(ctx, x, r.ExecutorID); err != nil {
		return "", err
	}
	key, err := auth.New(exchangeID, nil)
	if err != nil {
		return "", &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
	}
	cmd := &register{exchange.Register{
		Once: r.Once, ID: r.ExecutorID, DisplayName: r.DisplayName, Capabilities: r.Capabilities, KeyHash: auth.Hash(key), Notify: kinds(r.Settings),
	}}
	if err := x.submit(ctx, cmd); err != nil {
		return "", err
	}
	// From here on the client's patience does not count: the settings exist nowhere else.
	patient, cancel := e.detached(ctx, max(time.Second, answerTime-time.Since(began)))
	defer cancel()
	if err := x.writeNewProfile(patient, r.ExecutorID, cmd.KeyHash, r.Settings); err != nil {
		refusal := e.unreadable(ctx, err)
		return "", &exchange.Error{
			Code:    exchange.CodeOutcomeUnknown,
			Message: "The executor may have been registered, but its API key can't be handed out; try again, with the same Idempotency-Key or else with another executor_id if this one is taken now",
			Err:     refusal,
		}
	}
	x.forgetSettings(r.ExecutorID)
	x.called(r.ExecutorID)
	return key, nil
}

// findOrCreate returns the exchange with that id, creating it where there is none and the id is one
// that new exchanges can have.
func (e *Engine) findOrCreate(ctx context.Context, id string) (x *running, leave func(), err error) {
	x, leave, err = e.find(ctx, id, openPatience)
	if !errors.Is(err, eventlog.ErrNotFound) {
		return x, leave, err
	}
	if !exchange.ValidExchangeID(id) {
		return nil, nil, errInvalidExchange()
	}
	other, err := e.store.Spelling(ctx, "events/", "exchange="+id)
	if err == nil && other == "" {
		other, err = e.store.Spelling(ctx, "executors/", "exchange="+id)
	}
	if err != nil {
		return nil, nil, e.unreadable(ctx, err)
	}
	if other != "" {
		return nil, nil, errNameTaken("An exchange", strings.TrimPrefix(other, "exchange="))
	}
	for {
		// An open that is under way may be a mere look-up, which creates nothing.
		x, leave, _, err := e.open(ctx, id, true, openPatience)
		if !errors.Is(err, eventlog.ErrNotFound) {
			return x, leave, err
		}
	}
}

// spelledAlike refuses an executor id whose profile object would meet one of another spelling that
// the log knows nothing of, such as a stray file.
func (e *Engine) spelledAlike(ctx context.Context, x *running, id string) error {
	if _, taken := x.executor(id); taken {
		return nil // the command's to refuse
	}
	other, err := e.store.Spelling(ctx, profileFolder(x.id), id+profileSuffix)
	if err != nil {
		return e.unreadable(ctx, err)
	}
	if other != "" {
		return errNameTaken("An executor", strings.TrimSuffix(other, profileSuffix))
	}
	return nil
}

// Executor is an executor as others see it.
type Executor struct {
	*exchange.Executor
	LastSeen time.Time
}

// Executors lists the executors of the caller's exchange, in the order of their registration.
//
// LastSeen is the latest of the executor's last event, its last request at this replica since the
// start, and what the original server had written; keeping it costs no write.
func (e *Engine) Executors(ctx context.Context, c Caller) ([]Executor, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	var all []Executor
	err = x.read(ctx, c, func(s *exchange.State) error {
		for _, executor := range s.Executors() {
			all = append(all, Executor{Executor: executor, LastSeen: s.LastEvent(executor.ID)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	x.date(ctx, all)
	return all, nil
}

// date completes what the state says of executors by what this replica and the original's files know of
// when they were there.
func (x *running) date(ctx context.Context, executors []Executor) {
	opened := x.readOriginal(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range executors {
		executor := &executors[i]
		old := x.original[executor.ID]
		// Without an event, the state only knows when the executor was adopted.
		if executor.CreatedAt.Equal(opened) && !old.created.IsZero() {
			dated := *executor.Executor
			dated.CreatedAt = old.created
			executor.Executor = &dated
		}
		executor.LastSeen = latest(executor.LastSeen, x.requests[executor.ID], old.seen, executor.CreatedAt)
	}
}

func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
