package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Remove takes the caller out of its exchange. CodeNotYourProfile for another's id, existing or not.
//
// The event comes first and decides: with its commit the key opens nothing any more, at any replica. Then
// the profile object is deleted. One that is left over (a crash in between, a store that was away) is of no
// use to anyone, since the id is not given out again, and is deleted within a day (deleteLeftovers).
func (e *Engine) Remove(ctx context.Context, c Caller, executorID string) error {
	if executorID != c.Executor {
		return refuse(exchange.CodeNotYourProfile, "Can only remove yourself")
	}
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	cmd := &exchange.Remove{Caller: c.Caller, ID: executorID}
	for began := time.Now(); ; {
		if err := x.submit(ctx, cmd); err != nil {
			return err
		}
		if !cmd.Result.Left {
			break
		}
		if time.Since(began) > answerTime/2 {
			return refuse(exchange.CodeOverloaded, "Some of the threads you hold are pending again, but you are still registered; do it again")
		}
	}
	patient, cancel := e.detached(ctx, afterwards)
	defer cancel()
	if err := x.deleteProfile(patient, executorID); err != nil {
		return e.unreadable(ctx, err)
	}
	return nil
}

// deleteProfile deletes the profile object of an executor who was removed. One that can't be deleted now is
// deleted later; so it returns an error only where nothing may be answered any more.
func (x *running) deleteProfile(ctx context.Context, executorID string) error {
	store := x.engine.store
	err := store.Bucket().Delete(ctx, profileKey(x.id, executorID))
	switch {
	case err == nil, store.NoSuchKey(err):
		return nil
	case store.Fatal(err):
		return fmt.Errorf("delete the profile of %s: %w", executorID, err)
	}
	x.logger.Warn("the profile of a removed executor is still there; it will be deleted within a day", "executor", executorID, "error", err)
	return nil
}

// deleteLeftovers deletes the profile objects of executors who were removed, where any are left.
func (x *running) deleteLeftovers(ctx context.Context) {
	removed := map[string]bool{}
	x.machine.mu.RLock()
	for _, id := range x.machine.state.TakenIDs() {
		if _, still := x.machine.state.Executor(id); !still {
			removed[id] = true
		}
	}
	x.machine.mu.RUnlock()
	if len(removed) == 0 {
		return
	}
	files, err := x.profileFiles(ctx)
	if err != nil {
		if x.engine.life.Err() == nil {
			x.logger.Warn("profiles of removed executors can't be looked for; trying again tomorrow", "error", err)
		}
		return
	}
	for _, id := range files {
		if !removed[id] || ctx.Err() != nil {
			continue
		}
		if err := x.deleteProfile(ctx, id); err != nil {
			x.engine.die(err)
			return
		}
	}
}
