package exchange

import (
	"encoding/json"
	"strings"
)

// Apply folds one event. An event of a type that this version does not know makes the state
// read-only (ReadOnly), unless its type starts with note_ or it is one of the original server's
// (Seq 0). Apply never fails on odd payloads: it takes what can be taken.
func (s *State) Apply(e Event) {
	e.TS = fromMillis(e.TS.UnixMilli())
	if s.base == nil {
		s.table.answers.forget(e.TS)
	}
	switch e.Type {
	case ExecutorRegistered:
		s.applyRegistered(e)
		s.see(e.Actor, e.TS)
		return
	case ExecutorUpdated:
		s.applyUpdated(e)
	case ExecutorRemoved:
		s.applyRemoved(e)
	case ThreadCreated:
		s.tell(e, s.applyCreated)
	case StatusChanged:
		s.tell(e, s.applyStatus)
	case MessageAdded:
		s.applyMessage(e)
	case ThreadImported:
		s.applyImported(e)
	case ExchangeOpened:
		s.applyOpened(e)
		return
	case NoteAnswered:
		s.applyAnswered(e)
		return
	case NoteDelivery:
		s.applyDelivery(e)
		return
	case NoteLease:
		s.applyLease(e)
		return
	case DayClosed:
		return
	default:
		if e.Seq > 0 && !strings.HasPrefix(e.Type, NotePrefix) && s.readOnly == "" {
			s.readOnly = strings.Clone(e.Type)
		}
		return
	}
	s.see(e.Actor, e.TS)
	s.active(e.Actor)
}

// change returns the event's thread, to be changed and put back, marked as updated by e; ok is false
// where there is none. A thread of the original server appears with its first event, whichever that is,
// because the line that created it may be lost (a torn file). In this server's own log it can't be.
func (s *State) change(e Event) (t Thread, ok bool) {
	if t, ok = s.Thread(e.Thread); !ok {
		if e.Thread == "" || e.Seq > 0 && e.Type != ThreadCreated {
			return Thread{}, false
		}
		t = Thread{Ref: e.Thread, Status: StatusPending, Priority: PriorityNormal, CreatedAt: e.TS}
	}
	t.UpdatedAt, t.Seq = e.TS, e.Seq
	return t, true
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
