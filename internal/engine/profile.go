package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	notification "github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

const (
	profileSuffix = ".json"
	// profileAttempts is how often a profile object is written again after someone else changed it or
	// the store did not say whether it did; profilePause lies between two of them.
	profileAttempts = 5
	profilePause    = 100 * time.Millisecond
	// profilePatience bounds the wait for a turn, and for the head before anything is written. What then is
	// left of answerTime, at least as much, is for the writing.
	profilePatience = 3 * time.Second
)

// profileFolder is where the profile objects of an exchange live, ending in "/".
func profileFolder(exchangeID string) string { return eventlog.ExecutorsPrefix(exchangeID) }

func profileKey(exchangeID, executorID string) string {
	return profileFolder(exchangeID) + executorID + profileSuffix
}

// profile is the content of a profile object: the members that the original server wrote, then the
// executor's private settings, byte for byte as they were sent. Nothing in it decides anything.
type profile map[string]json.RawMessage

// identity are the members that the server writes, in the order of the file. A setting of one of
// these names is ignored, as any server-set field in a body is.
var identity = []string{"id", "exchange_id", "display_name", "capabilities", "api_key_hash", linkSecretName, "created_at", "last_seen"}

// isSetting tells what an executor may keep in its profile from what only the server writes there.
func isSetting(name string) bool { return name != "executor_id" && !slices.Contains(identity, name) }

// newProfile returns the profile of an executor that the log knows.
func newProfile(exchangeID string, x *exchange.Executor) profile {
	p := profile{}
	p.set("id", x.ID)
	p.set("exchange_id", exchangeID)
	p.set("api_key_hash", x.KeyHash)
	p.set("created_at", wireTime(x.CreatedAt))
	p.set("last_seen", wireTime(x.CreatedAt))
	p.describe(&x.DisplayName, &x.Capabilities)
	return p
}

// describe sets what is not nil.
func (p profile) describe(displayName *string, capabilities *[]string) {
	if displayName != nil {
		p.set("display_name", *displayName)
	}
	if capabilities != nil {
		p.set("capabilities", append([]string{}, *capabilities...)) // a list, never null
	}
}

// settle merges settings: JSON null removes one, what is not named stays.
func (p profile) settle(settings map[string]json.RawMessage) {
	for name, value := range settings {
		switch {
		case !isSetting(name):
		case bytes.Equal(bytes.TrimSpace(value), []byte("null")):
			delete(p, name)
		default:
			p[name] = value
		}
	}
}

// set stores strings, lists and objects of what was read from JSON, which always encode.
func (p profile) set(name string, value any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value)
	p[name] = bytes.TrimSpace(b.Bytes())
}

// encode writes the object the way people read it: identity first, then the settings by name.
func (p profile) encode() ([]byte, error) {
	var names []string
	for _, name := range identity {
		if _, ok := p[name]; ok {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if !slices.Contains(identity, name) {
			names = append(names, name)
		}
	}
	line := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			line = append(line, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, fmt.Errorf("encode a profile: %w", err)
		}
		line = append(append(append(line, quoted...), ':'), p[name]...)
	}
	line = append(line, '}')
	var b bytes.Buffer
	if err := json.Indent(&b, line, "", "  "); err != nil {
		return nil, fmt.Errorf("encode a profile: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// checkSettings refuses settings that could not work: a channel, a hook or preferences that nobody could act upon,
// or a value as it is shown in the place of the secret.
func checkSettings(own map[string]json.RawMessage) error {
	if err := refuseMasked(own); err != nil {
		return err
	}
	if err := notification.Check(own); err != nil {
		return refuse(exchange.CodeInvalid, err.Error()) // its sentences are for clients, and hold no value
	}
	return nil
}

// settings are the members that are the executor's own.
func (p profile) settings() map[string]json.RawMessage {
	own := map[string]json.RawMessage{}
	for name, value := range p {
		if isSetting(name) {
			own[name] = value
		}
	}
	return own
}

// ProfileUpdate changes an executor's profile; nil fields and members of Settings that are not
// named stay as they are, a member that is JSON null is removed.
type ProfileUpdate struct {
	DisplayName  *string
	Capabilities *[]string
	Settings     map[string]json.RawMessage
}

// UpdateProfile changes the caller's own profile. CodeNotYourProfile for another's, existing or not; CodeInvalid for
// settings that could not work.
//
// The object is replaced first, then the log announces it, so that whoever reads the object at the
// announcement reads the change. A failure in between leaves settings that count already and a
// display name and capabilities that don't yet; the same update again completes it.
func (e *Engine) UpdateProfile(ctx context.Context, c Caller, executorID string, u ProfileUpdate) error {
	if err := checkSettings(u.Settings); err != nil {
		return err // what is wrong with the body comes before whose profile it is
	}
	if executorID != c.Executor {
		return refuse(exchange.CodeNotYourProfile, "Can only update your own profile")
	}
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	began := time.Now()
	done, err := e.profiles.take(ctx, x.id, executorID)
	switch {
	case errors.Is(err, errContended):
		return refuse(exchange.CodeOverloaded, "Other changes of this profile are under way; try again shortly")
	case err != nil:
		return e.unreadable(ctx, err)
	}
	defer done()

	if u.DisplayName != nil && *u.DisplayName == "" {
		u.DisplayName = &executorID // as the rules read it
	}
	cmd := &exchange.UpdateExecutor{Caller: c.Caller, ID: executorID, DisplayName: u.DisplayName, Capabilities: u.Capabilities}
	if err := x.rehearse(ctx, cmd); err != nil {
		return err
	}
	// From here on the client's patience does not count: half an update is worse than one unanswered.
	patient, cancel := e.detached(ctx, answerTime-time.Since(began))
	defer cancel()
	err = x.changeProfile(patient, cmd, u)
	x.forgetSettings(executorID)
	if err != nil {
		if errors.Is(err, errRemoved) {
			return errUnauthorized()
		}
		return e.unwritten(ctx, err)
	}
	d := &decision{command: cmd}
	err = inPart(x.outcome(ctx, d, x.log.Submit(patient, d)))
	if _, still := x.executor(executorID); !still {
		// It was removed meanwhile, and its object may have come back by this.
		if fatal := x.deleteProfile(patient, executorID); fatal != nil {
			return e.unreadable(ctx, fatal)
		}
	}
	return err
}

// inPart corrects a refusal that says of the whole change what is true of its announcement only: that
// nothing was stored.
func inPart(err error) error {
	refusal, ok := errors.AsType[*exchange.Error](err)
	if ok && (refusal.Code == exchange.CodeUnavailable || refusal.Code == exchange.CodeOverloaded) {
		refusal.Code, refusal.Message = exchange.CodeOutcomeUnknown, "A part of the change may have been stored; make it again"
	}
	return err
}

// changeProfile merges an update into the profile object, and completes the announcement by what the object says then.
func (x *running) changeProfile(ctx context.Context, cmd *exchange.UpdateExecutor, u ProfileUpdate) error {
	executorID := cmd.ID
	now := x.engine.store.Now()
	return x.putProfile(ctx, executorID, func(old []byte) ([]byte, error) {
		executor, ok := x.executor(executorID)
		if !ok {
			return nil, errRemoved
		}
		p := x.readProfile(executor, old)
		p.describe(u.DisplayName, u.Capabilities)
		p.settle(turnedOn(u.Settings))
		p.set("api_key_hash", executor.KeyHash)
		p.set("last_seen", wireTime(now))
		cmd.Notify = kinds(p)
		return p.encode()
	})
}

// readProfile decodes a profile object. Where there is none (the server stopped between a
// registration and its object), or what stands there is no JSON object, the log has all but the settings.
func (x *running) readProfile(executor *exchange.Executor, data []byte) profile {
	var p profile
	if data != nil {
		if err := json.Unmarshal(data, &p); err != nil || p == nil {
			x.logger.Warn("a profile that can't be read counts as one without settings", "executor", executor.ID, "error", err)
			p = nil
		}
	}
	if p == nil {
		p = newProfile(x.id, executor)
	}
	return p
}

// writeNewProfile writes the object of an executor just registered here with the key of that hash. One that
// stands there already belongs to no registration, or to the same one before it was repeated, and is
// overwritten.
//
// Where the registration has been repeated meanwhile, at another replica perhaps, the object is the repeated
// one's to write, and its client may already have changed it: then this one leaves it alone. Its key is dead.
func (x *running) writeNewProfile(ctx context.Context, executorID, keyHash string, settings map[string]json.RawMessage) error {
	encode := func() ([]byte, error) {
		executor, ok := x.executor(executorID)
		if !ok || executor.KeyHash != keyHash {
			return nil, errRepeated
		}
		p := newProfile(x.id, executor)
		p.settle(turnedOn(settings))
		return p.encode()
	}
	data, err := encode()
	if err == nil {
		err = x.engine.store.Replace(ctx, profileKey(x.id, executorID), "", data)
		if err == nil || x.engine.store.Fatal(err) {
			return err
		}
		err = x.putProfile(ctx, executorID, func([]byte) ([]byte, error) {
			// After the object was read: a later change of it makes the write fail.
			if err := x.sync(ctx); err != nil {
				return nil, err
			}
			return encode()
		})
	}
	if errors.Is(err, errRepeated) {
		return nil
	}
	return err
}

var (
	// errContended: other changes of the profile took all the time there was.
	errContended = errors.New("the profile is being changed by others")
	// errInDoubt: of an attempt the store did not say whether it was done. No later refusal takes that back.
	errInDoubt = errors.New("an attempt may have been stored")
	// errRemoved: the executor has left the exchange; its profile is not to come back.
	errRemoved = errors.New("the executor was removed")
	// errRepeated: the executor was registered again, with the same Idempotency-Key, or has another key by now.
	errRepeated = errors.New("the executor has another key")
)

// putProfile replaces the profile object with what edit makes of it, which may be asked again where
// someone else was faster. old is nil where there is no object. An attempt of which the store did not
// say how it went is made again: if it did go well, the next edit makes the same of it.
func (x *running) putProfile(ctx context.Context, executorID string, edit func(old []byte) ([]byte, error)) error {
	store, key := x.engine.store, profileKey(x.id, executorID)
	var err error
	doubt := false
	for attempt := range profileAttempts {
		if attempt > 0 {
			if late := pause(ctx, profilePause); late != nil {
				err = late
				break
			}
		}
		old, version, loadErr := store.Load(ctx, key)
		if loadErr != nil && !store.NoSuchKey(loadErr) {
			err = loadErr
			continue
		}
		if loadErr != nil {
			old, version = nil, ""
		}
		data, editErr := edit(old)
		if editErr != nil {
			return editErr
		}
		if old != nil && bytes.Equal(old, data) {
			return nil
		}
		if err = store.Replace(ctx, key, version, data); err == nil {
			return nil
		}
		if store.Fatal(err) || store.Definite(err) {
			break
		}
		doubt = true // whatever it says: another version may be this one, put there by an attempt of the SDK's own
	}
	if doubt && !store.Fatal(err) {
		err = fmt.Errorf("%w, then: %w", errInDoubt, err)
	}
	return fmt.Errorf("write the profile of %s: %w", executorID, err)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unwritten turns an error of writing a profile into a refusal.
func (e *Engine) unwritten(ctx context.Context, err error) *exchange.Error {
	refusal := e.unreadable(ctx, err)
	if errors.Is(err, errInDoubt) {
		refusal.Code, refusal.Message = exchange.CodeOutcomeUnknown, "The storage did not say whether the change was stored; look before trying again"
	}
	return refusal
}

// profileTurns makes changes of one profile in this process wait for each other, so that they don't
// use up their attempts on one another. Two profiles may share a turn; a call holds only one.
type profileTurns struct {
	seed  maphash.Seed
	turns [64]chan struct{}
}

func newProfileTurns() profileTurns {
	p := profileTurns{seed: maphash.MakeSeed()}
	for i := range p.turns {
		p.turns[i] = make(chan struct{}, 1)
	}
	return p
}

// take waits for the turn, or returns errContended.
func (p *profileTurns) take(ctx context.Context, exchangeID, executorID string) (done func(), err error) {
	turn := p.turns[maphash.String(p.seed, strings.Join([]string{exchangeID, executorID}, "/"))%uint64(len(p.turns))]
	late := time.NewTimer(profilePatience)
	defer late.Stop()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-late.C:
		return nil, errContended
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
