package engine

import (
	"context"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// afterwards is how long what follows a commit may keep back its answer, where the commit is all that counts.
// Of a rotation the answer holds the only key there is, so it must not come too late for its client.
const afterwards = 2 * time.Second

// RotateKey replaces the caller's API key and returns the new one. CodeNotYourProfile for another's id,
// existing or not.
//
// The old key is dead with the commit, at every replica: whose call comes to the head behind it is
// refused. So a client that hears no answer, or CodeOutcomeUnknown, asks anything with the old key: either it
// still opens, and nothing happened, or the new one is lost and nobody can have it again, because nothing
// but its hash is kept.
//
// There is no Idempotency-Key here, unlike with Register. Whoever repeats a rotation has only the old key to
// show, so that would have to open something for another day: issue a key. A key is replaced because somebody
// else may have it, and an Idempotency-Key is not kept like a secret: proxies log it. Two things that leaked would
// then take the executor over after the rotation that was to end just that. It is the lesser evil to
// register under another id. (A registration repeated replaces a key that nobody was seen to have.)
func (e *Engine) RotateKey(ctx context.Context, c Caller, executorID string) (apiKey string, err error) {
	if executorID != c.Executor {
		return "", refuse(exchange.CodeNotYourProfile, "Can only replace your own API key")
	}
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return "", err
	}
	defer leave()
	key, err := auth.New(x.id, nil)
	if err != nil {
		return "", &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: err}
	}
	cmd := &exchange.RotateKey{Caller: c.Caller, ID: executorID, KeyHash: auth.Hash(key)}
	if err := x.submit(ctx, cmd); err != nil {
		return "", err
	}
	if err := x.noteKey(ctx, executorID); err != nil {
		return "", e.unreadable(ctx, err)
	}
	return key, nil
}

// noteKey writes the hash of the new key into the profile object, as far as that is possible: the log
// alone decides about keys, but an operator reads the object, and it must not bring an old key back should
// it one day be adopted again. It returns an error only where nothing may be answered any more.
func (x *running) noteKey(ctx context.Context, executorID string) error {
	patient, cancel := x.engine.detached(ctx, afterwards)
	defer cancel()
	done, err := x.engine.profiles.take(patient, x.id, executorID)
	if err == nil {
		defer done()
		err = x.changeProfile(patient, &exchange.UpdateExecutor{ID: executorID}, ProfileUpdate{})
	}
	if err == nil || x.engine.store.Fatal(err) {
		return err
	}
	x.logger.Warn("a new key's hash is not in its profile yet; the next change of the profile writes it", "executor", executorID, "error", err)
	return nil
}
