package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// checkProfiles holds the profile objects against the executors that the log knows. The order of writing
// tells findings from notes:
//
//   - A registration is an event, then the object, then the answer. So an object without a registration is a
//     finding: the log has lost something. An executor without an object is a note, unless it has done
//     anything since: then it was told its key, and its settings are lost.
//   - What the registration wrote of id, exchange and key no later change touches. A key that the log gave
//     the executor before is a note, for a rotation is an event first.
//   - A change of name or capabilities is the object first, then the event, and two changes at once may
//     end in the other's order. So a difference there is a note, whatever it says.
//   - A removal is an event, then the object is deleted. So an object of one who was removed is a note.
//   - Files of the original server, and beside them, are as they were found. All that is odd with them is
//     a note, for no server mends it and every server reads past it.
func (a *audit) checkProfiles(ctx context.Context, store Store, r *eventlog.Report, profiles []storedProfile) error {
	there := map[string]bool{}
	for _, p := range profiles {
		there[p.file] = true
		a.checkProfile(r, p)
	}
	for _, x := range a.state.Executors() {
		if there[x.ID] {
			continue
		}
		key := profileKey(r.Exchange, x.ID)
		if !a.registeredHere(x.ID) {
			r.Note("%s, of an executor of the original server, is missing", key)
			continue
		}
		// It may have been written since the profiles were read.
		_, _, err := store.Load(ctx, key)
		switch {
		case err == nil:
		case !store.NoSuchKey(err):
			return fmt.Errorf("read %s: %w", key, err)
		case !a.state.Idle(x.ID):
			r.Find(key, "%s is missing, though the executor has been told its key: its settings are lost", key)
		default:
			r.Note("%s is missing: the registration was not completed, and nobody has its key", key)
		}
	}
	return nil
}

// registeredHere tells the executors of this server from those of the original one.
func (a *audit) registeredHere(id string) bool { return a.here[id] }

func (a *audit) checkProfile(r *eventlog.Report, p storedProfile) {
	key := profileKey(r.Exchange, p.file)
	wrong := func(problem string) { r.Find(key, "%s %s", key, problem) }
	if a.legacy && !a.registeredHere(p.file) {
		wrong = func(problem string) { r.Note("%s, of the original server, %s", key, problem) }
	}
	x, registered := a.state.Executor(p.file)
	if !registered && slices.Contains(a.state.TakenIDs(), p.file) {
		r.Note("%s, of an executor who was removed, is still there; a running server deletes it within a day", key)
		return
	}
	switch {
	case p.members == nil:
		wrong("is no JSON object")
	case !p.says("id", p.file):
		wrong("names another executor in its id, or none")
	case !p.says("exchange_id", r.Exchange):
		wrong("names another exchange in its exchange_id, or none")
	case !registered:
		wrong("belongs to no executor that the log knows")
	default:
		a.checkIdentity(r, p, x, wrong)
	}
}

// says tells whether a member is that text.
func (p storedProfile) says(member, want string) bool {
	var got string
	return take(p.members[member], &got) && got == want
}

// checkIdentity compares a profile with its executor.
func (a *audit) checkIdentity(r *eventlog.Report, p storedProfile, x *exchange.Executor, wrong func(problem string)) {
	key := profileKey(r.Exchange, p.file)
	var hash string
	take(p.members["api_key_hash"], &hash)
	switch {
	case hash == x.KeyHash:
	case slices.Contains(a.keys[x.ID], hash):
		r.Note("%s has the hash of a key that was replaced", key)
	default:
		wrong("has the hash of a key that the log never gave this executor")
	}
	var name string
	if !take(p.members["display_name"], &name) {
		wrong("has a display_name that is no text")
	} else if name != x.DisplayName {
		r.Note("%s has another display_name than the log: a change was not completed", key)
	}
	var capabilities []string
	if !take(p.members["capabilities"], &capabilities) {
		wrong("has capabilities that are no list of texts")
	} else if !slices.Equal(capabilities, x.Capabilities) {
		r.Note("%s has other capabilities than the log: a change was not completed", key)
	}
	if a.registeredHere(x.ID) && !p.says("created_at", wireTime(x.CreatedAt)) {
		r.Note("%s has another created_at than the log", key)
	}
}
