package exchange

import (
	"encoding/json"
	"slices"
)

// The kinds of notification that an executor may have set, as its events name them (member notify).
const (
	NotifyChannels = "channels"
	NotifyHooks    = "hooks"
)

// Hearing is what an executor's events say about the notifications in its profile: which kinds there may be. Of those
// of the original server, and of older versions of this one, nothing is known.
type Hearing struct{ Known, Channels, Hooks bool }

// hearingOf reads a list of kinds. What is no list says nothing.
func hearingOf(v json.RawMessage, otherwise Hearing) Hearing {
	var kinds []json.RawMessage
	if !given(v) || json.Unmarshal(v, &kinds) != nil {
		return otherwise
	}
	h := Hearing{Known: true}
	for _, k := range kinds {
		switch text(k) {
		case NotifyChannels:
			h.Channels = true
		case NotifyHooks:
			h.Hooks = true
		}
	}
	return h
}

// hearers is how many executors may be told something.
type hearers struct{ channels, hooks, unknown int }

// count adds an executor, or with -1 takes it away.
func (h *hearers) count(e *Executor, n int) {
	switch {
	case e.removed:
	case !e.Notify.Known:
		h.unknown += n
	default:
		if e.Notify.Channels {
			h.channels += n
		}
		if e.Notify.Hooks {
			h.hooks += n
		}
	}
}

// hears reports whether an executor may have channels. One of whom nothing is known counts once the outbox has begun,
// so that what happened before is not told late.
func (s *State) hears(id string) bool {
	e, ok := s.Executor(id)
	return ok && (e.Notify.Channels || !e.Notify.Known && s.Begun())
}

// AwaitsLease reports whether there are executors of whom nothing is known, who hear of nothing before the first
// lease. s must not be a fork.
func (s *State) AwaitsLease() bool { return s.register.hearers.unknown > 0 && !s.Begun() }

// anyHears reports whether somebody might be told of an event, whichever it is. It costs nothing.
func (s *State) anyHears() bool {
	h := &s.register.hearers
	return h.channels+h.hooks > 0 || h.unknown > 0 && s.Begun()
}

// mayConcern reports whether somebody might be told of what has become of a thread: of a new one anybody; of a change
// the parties but who made it, and whoever has hooks.
func (s *State) mayConcern(after *Thread, created bool, actor string) bool {
	h := &s.register.hearers
	if created || h.hooks > 0 || h.unknown > 0 && s.Begun() {
		return s.anyHears()
	}
	return slices.ContainsFunc([]string{after.Requestor, after.Executor}, func(party string) bool { return party != actor && s.hears(party) })
}

// bits is how a snapshot has it.
func (h Hearing) bits() (b uint64) {
	for i, on := range [...]bool{h.Known, h.Channels, h.Hooks} {
		if on {
			b |= 1 << i
		}
	}
	return b
}

func (d *decoder) hearing() Hearing {
	b := d.upTo(7)
	h := Hearing{Known: b&1 != 0, Channels: b&2 != 0, Hooks: b&4 != 0}
	if !h.Known && b != 0 {
		d.fail("notifications of one of whom nothing is known")
	}
	return h
}
