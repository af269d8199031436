package exchange

import (
	"encoding/json"
	"slices"
	"strings"
)

// Apply folds one event. An event of a type that this version does not know makes the state
// read-only (ReadOnly), unless its type starts with note_ or it is one of the original server's
// (Seq 0). Apply never fails on odd payloads: it takes what can be taken.
func (s *State) Apply(e Event) {
	switch e.Type {
	case ExecutorRegistered:
		s.applyRegistered(e)
	case ExecutorUpdated:
		s.applyUpdated(e)
	case ThreadCreated:
		s.applyCreated(e)
	case StatusChanged:
		s.applyStatus(e)
	case MessageAdded:
		s.applyMessage(e)
	case ExchangeOpened:
		s.applyOpened(e)
		return
	case DayClosed:
		return
	default:
		if e.Seq > 0 && !strings.HasPrefix(e.Type, NotePrefix) && s.readOnly == "" {
			s.readOnly = e.Type
		}
		return
	}
	if e.Actor != "" {
		s.lastEvent[e.Actor] = e.TS
	}
}

// change returns a copy of the event's thread, to be changed and put back, marked as updated by e; nil
// where there is none. A thread of the original server appears with its first event, whichever that is,
// because the line that created it may be lost (a torn file). In this server's own log it can't be.
func (s *State) change(e Event) *Thread {
	var t *Thread
	before, known := s.Thread(e.Thread)
	switch {
	case known:
		t = new(*before)
		if _, own := s.threads[e.Thread]; !own {
			// Room behind the messages belongs to the base, which will append there itself.
			t.Messages = slices.Clip(t.Messages)
		}
	case e.Thread == "" || e.Seq > 0 && e.Type != ThreadCreated:
		return nil
	default:
		t = &Thread{Ref: e.Thread, Status: StatusPending, Priority: PriorityNormal, CreatedAt: e.TS}
	}
	t.UpdatedAt, t.Seq = e.TS, e.Seq
	return t
}

// object decodes a payload whose members may have any type. A payload that is no object gives the
// zero value.
func object[T any](payload json.RawMessage) T {
	var v T
	if json.Unmarshal(payload, &v) != nil {
		var none T
		return none
	}
	return v
}
