package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// evidenceTime is how long what the storage last did counts. It bounds what being asked costs the
	// storage: one trial a second, whoever asks and however often.
	evidenceTime = time.Second
	// trialTime bounds a trial: whoever asks wants to know now.
	trialTime = 3 * time.Second
	// trialSlots is how many objects trials overwrite, one at random each time. Replicas rarely meet on
	// one (stores may limit how often an object is written), and no number of starts leaves more behind.
	trialSlots = 16
	// trialSize is that of a small commit: it must need room of its own on a disk.
	trialSize = 4 << 10
)

// storage is what the engine knows of its store: the newest evidence, and the trial that looks for some.
type storage struct {
	mu    sync.Mutex
	seen  time.Time // when the evidence is from
	err   error     // nil: a change was stored
	trial *trial    // under way; nil while nobody asks
}

// trial is one that any number of callers wait for. err is set when done closes.
type trial struct {
	done chan struct{}
	err  error
}

// note takes evidence from the work of the engine.
func (s *storage) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.err = time.Now(), err
}

// stored notes what submitting a decision says about the storage. A change is evidence, and so is a storage
// that failed; a refusal or a no-op may not have reached it, and says nothing.
func (s *storage) stored(d *decision, err error) {
	switch {
	case err == nil && d.drafts > 0:
		s.note(nil)
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrOutcomeUnknown):
		s.note(err)
	}
}

// Ready tells whether the engine can serve: each exchange that was found at the start has been opened,
// and the storage takes changes. CodeNotReady or CodeUnavailable where not, with the reason.
//
// An exchange that could not be opened was still tried, and does not count: either the storage failed,
// which is seen by itself, or that log is damaged, which must not take the others out of service. The
// first visitor has it tried again.
func (e *Engine) Ready(ctx context.Context) error {
	leave, err := e.enter()
	if err != nil {
		return err
	}
	defer leave()
	e.mu.Lock()
	listed, found, opened := e.listed, e.found, e.found-len(e.untried)
	e.mu.Unlock()
	switch {
	case !listed:
		return refuse(exchange.CodeNotReady, "Looking for exchanges")
	case opened < found:
		return refuse(exchange.CodeNotReady, fmt.Sprintf("Opening exchanges: %d of %d", opened, found))
	}
	return e.takesChanges(ctx)
}

// takesChanges looks at the newest evidence, and has some made where there is none that counts.
func (e *Engine) takesChanges(ctx context.Context) error {
	s := &e.storage
	s.mu.Lock()
	if !s.seen.IsZero() && time.Since(s.seen) < evidenceTime {
		err := s.err
		s.mu.Unlock()
		return e.unready(ctx, err)
	}
	t := s.trial
	if t == nil {
		t = &trial{done: make(chan struct{})}
		if !e.spawn(func() { e.try(t) }) {
			s.mu.Unlock()
			return errClosing()
		}
		s.trial = t
	}
	s.mu.Unlock()
	select {
	case <-t.done:
		return e.unready(ctx, t.err)
	case <-ctx.Done():
		return e.unreadable(ctx, ctx.Err())
	}
}

// try makes the evidence.
func (e *Engine) try(t *trial) {
	ctx, cancel := context.WithTimeout(e.life, trialTime)
	defer cancel()
	s := &e.storage
	s.mu.Lock()
	failed := s.err != nil
	s.mu.Unlock()
	if e.store.Shared() && !failed {
		// A create of what is there needs all that a commit needs, and leaves nothing behind: of an object
		// that is overwritten, a bucket may keep every version.
		t.err = eventlog.WriteSchema(ctx, e.store)
	} else {
		t.err = e.overwrite(ctx)
	}
	if t.err != nil && ctx.Err() != nil {
		t.err = errors.Join(ctx.Err(), t.err) // a call that was cut short need not say that it was
	}
	s.mu.Lock()
	s.seen, s.err, s.trial = time.Now(), t.err, nil
	s.mu.Unlock()
	close(t.done)
}

// overwrite writes an object as durably as any, and reads it. Only that tells a storage that is full or
// read-only from a good one.
func (e *Engine) overwrite(ctx context.Context) error {
	key := fmt.Sprintf("snapshots/-probe/ready-%x", rand.N(trialSlots))
	bucket := e.store.Bucket()
	o := &blob.WriterOptions{ContentType: "application/octet-stream", CacheControl: "no-store"}
	if err := bucket.WriteAll(ctx, key, make([]byte, trialSize), o); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	if _, err := bucket.ReadAll(ctx, key); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// unready turns a storage's failure into a refusal, in the words of what an operator can do about it.
// The cause goes to the server's log only.
func (e *Engine) unready(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case e.store.Fatal(err):
		return e.unreadable(ctx, err)
	}
	refusal := &exchange.Error{Code: exchange.CodeUnavailable, Err: opaque(err)}
	_, unreached := errors.AsType[*net.OpError](err)
	switch code := gcerrors.Code(err); {
	case code == gcerrors.ResourceExhausted:
		refusal.Message = "The storage is full"
	case code == gcerrors.PermissionDenied:
		refusal.Message = "The storage does not permit changes"
	case errors.Is(err, context.DeadlineExceeded):
		refusal.Message = "The storage does not answer in time"
	case unreached:
		refusal.Message = "The storage can't be reached"
	case e.store.Definite(err):
		refusal.Message = "The storage refuses changes"
	default:
		refusal.Message = "The storage does not answer"
	}
	return refusal
}
