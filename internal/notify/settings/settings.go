package settings

import (
	"encoding/json"
	"errors"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// Settings are what a profile says about notifications.
type Settings struct {
	Channels    []Entry
	Hooks       map[notify.Moment][]Entry
	Preferences Preferences
}

// Entry is a channel or a hook. All that its type requires is there; of what its type does not know, nothing is.
type Entry struct {
	Type  string
	Index int // its place in the profile's list, whatever was left out before it

	Text       map[string]string // by the member's name; none is empty
	Headers    []Header          // sorted by name
	Body       json.RawMessage   // nil where not given
	Labels     []string
	Priorities map[string]int // the receiver's number for a priority
}

// Header is a header of a hook's request; the value may hold variables.
type Header struct{ Name, Value string }

// Or returns the text of that name, or another where there is none.
func (e Entry) Or(name, otherwise string) string {
	if text, given := e.Text[name]; given {
		return text
	}
	return otherwise
}

// Problem is something in a profile that can't be used.
type Problem struct {
	Field string // as in "hooks.on_request_created[0].token"
	Rule  string // what it must be
}

// Error implements error. The sentence is for clients.
func (p *Problem) Error() string { return p.Field + ": " + p.Rule }

// Check returns the first problem of settings that are being set, or nil. Members that are not about notifications
// are not looked at, and one that is null is being removed.
func Check(members map[string]json.RawMessage) error {
	r := reader{strict: true}
	r.settings(members)
	if len(r.problems) == 0 {
		return nil
	}
	return r.problems[0]
}

// Read takes what can be used of stored settings. The problems say what was left out, for one line of the
// server's log.
func Read(members map[string]json.RawMessage) (Settings, error) {
	r := reader{}
	s := r.settings(members)
	problems := make([]error, len(r.problems))
	for i, p := range r.problems {
		problems[i] = p
	}
	return s, errors.Join(problems...)
}

func (r *reader) settings(members map[string]json.RawMessage) Settings {
	s := Settings{Channels: r.entries("notifications", members["notifications"], channels, MaxChannels)}
	hooks := r.object("hooks", members["hooks"])
	for _, m := range notify.Moments {
		if all := r.entries("hooks."+m.Setting(), hooks[m.Setting()], hookTypes, MaxHooks); len(all) > 0 {
			if s.Hooks == nil {
				s.Hooks = map[notify.Moment][]Entry{}
			}
			s.Hooks[m] = all
		}
		delete(hooks, m.Setting())
	}
	r.unknownMoments(hooks)
	s.Preferences = r.preferences(members["preferences"])
	return s
}
