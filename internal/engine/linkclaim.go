package engine

import (
	"context"
	"crypto/hmac"
	"errors"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// LinkedThread is where a claim link leads.
type LinkedThread struct {
	Executor string // in whose name it claims
	Thread   exchange.Thread
}

// ReadLink returns where a claim link leads, and changes nothing. CodeNotFound: a token that this server has not
// made, or that stands for somebody who was removed or has another key since; CodeForbidden: one that has expired;
// CodeThreadNotFound.
func (e *Engine) ReadLink(ctx context.Context, token string) (*LinkedThread, error) {
	f, err := e.followLink(ctx, token)
	if err != nil {
		return nil, err
	}
	defer f.leave()
	return f.thread(ctx)
}

// ClaimByLink claims the request that a claim link leads to, in the name of the executor whom it was sent to: as
// that one's Update would, with the same refusals. CodeNotFound and CodeForbidden as in ReadLink.
func (e *Engine) ClaimByLink(ctx context.Context, token string) (*LinkedThread, error) {
	f, err := e.followLink(ctx, token)
	if err != nil {
		return nil, err
	}
	defer f.leave()
	cmd := &exchange.Update{Caller: f.caller.Caller, Ref: f.link.Ref, Status: exchange.StatusClaimed}
	if err := f.x.submit(ctx, cmd); err != nil {
		return nil, linkRefusal(err)
	}
	f.x.called(f.link.Executor)
	return f.thread(ctx)
}

// followed is a link that is good.
type followed struct {
	x      *running
	link   claimLink
	caller Caller
	leave  func()
}

// followLink finds the executor that a token was made for, and that it was made by a server of this exchange. As
// with a key, a no is proved at the head first: the executor may be new to this replica.
//
// Cost: of a token that names an exchange which is not open, what opening one costs; of one that names an executor
// whose secret is not known, a read of its profile. httpapi bounds how many wrong ones an address may send.
func (e *Engine) followLink(ctx context.Context, token string) (f *followed, err error) {
	link, text, sum, ok := readClaimLink(token)
	if !ok {
		return nil, errNoLink()
	}
	leaveEngine, err := e.enter()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			leaveEngine()
		}
	}()
	x, leaveExchange, err := e.find(ctx, link.Exchange, openPatience)
	if errors.Is(err, eventlog.ErrNotFound) {
		return nil, errNoLink()
	}
	if err != nil {
		return nil, err
	}
	leave := func() {
		leaveExchange()
		leaveEngine()
	}
	defer func() {
		if err != nil {
			leaveExchange()
		}
	}()
	executor, err := x.whoseLink(ctx, link, text, sum)
	if err != nil {
		return nil, err
	}
	if !e.store.Now().Before(link.Expires) {
		return nil, refuse(exchange.CodeForbidden, "This link has expired; claim the request at the exchange itself")
	}
	return &followed{x: x, link: link, caller: Caller{Exchange: x.id, Caller: exchange.Caller{Executor: executor.ID, KeyHash: executor.KeyHash}}, leave: leave}, nil
}

// whoseLink returns the executor whose secret and key a link was signed with.
func (x *running) whoseLink(ctx context.Context, link claimLink, text, sum []byte) (*exchange.Executor, error) {
	if err := x.sync(ctx); err != nil {
		return nil, err
	}
	executor, ok := x.executor(link.Executor)
	if !ok {
		return nil, errNoLink()
	}
	soon, cancel := context.WithTimeout(ctx, profilePatience)
	defer cancel()
	secret, err := x.linkSecret(soon, executor, false)
	if err != nil {
		return nil, x.engine.unreadable(ctx, err)
	}
	if secret == nil || !hmac.Equal(sum, claimSum(secret, executor.KeyHash, text)) {
		return nil, errNoLink()
	}
	return executor, nil
}

// thread reads the thread that a link leads to.
func (f *followed) thread(ctx context.Context) (*LinkedThread, error) {
	l := &LinkedThread{Executor: f.link.Executor}
	err := f.x.read(ctx, f.caller, func(s *exchange.State) error {
		t, ok := s.Thread(f.link.Ref)
		if !ok {
			return refuse(exchange.CodeThreadNotFound, "Thread not found")
		}
		l.Thread = t
		return nil
	})
	if err != nil {
		return nil, linkRefusal(err)
	}
	return l, nil
}

// linkRefusal is what a refusal says to who has a link and no key: the key may have been replaced a moment ago.
func linkRefusal(err error) error {
	if refusal, ok := errors.AsType[*exchange.Error](err); ok && refusal.Code == exchange.CodeUnauthorized {
		return errNoLink()
	}
	return err
}

// errNoLink says no more than that, of whatever is not or no longer a link.
func errNoLink() *exchange.Error {
	return refuse(exchange.CodeNotFound, "This link leads nowhere, or not any more")
}
