package notify

import (
	"slices"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Change is an event that others may have to hear of, with the thread on both sides of it.
type Change struct {
	Type   EventType
	Actor  string          // who caused it; the exchange itself for an expiry
	Before exchange.Thread // zero where Type is ThreadCreated
	After  exchange.Thread
}

// Roll is who there is, and whom a thread is for. *exchange.State is one, as it is right behind the commit of the
// change: what a request requires comes with its first message, behind the event that created it. A caller that
// knows which executors have no channels and no hooks may leave them out.
type Roll interface {
	Executors() []*exchange.Executor
	Eligible(t exchange.Thread, e *exchange.Executor) bool
}

var _ Roll = (*exchange.State)(nil)

// Notice is that one executor is told something: on its channels, by its hooks of a moment, or both.
type Notice struct {
	Executor string
	Name     string // the executor's display name
	Tell     bool   // on the channels, if the preferences let it pass
	Moment   Moment // of the hooks that fire; "" for none
}

// Telling is what a change makes the exchange say, and to whom.
type Telling struct {
	Notification Notification // for those whom a notice tells on their channels
	Occasion     Occasion     // for those whose hooks fire
	Notices      []Notice     // in the order of registration
}

// Occasion is what a hook fires on, whoever owns the hook.
type Occasion struct {
	Moment    Moment
	Thread    Thread
	OldStatus string // "" for a new request
	Actor     string
}

// Tell is the rule of who hears of a change.
//
// Channels: of a new request, every executor whom it is for, but the requestor. Of a change of the status, the
// parties of the thread, which are the requestor and the executor, but the one who made it. Nobody but the executor
// itself can end its part in a thread, so who had it before needs no telling.
//
// Hooks: of a new request, those of every executor whom it is for, the requestor included. Of a start and a
// completion, those of the thread's executor. Of a claim, a rejection or a cancellation, those of everyone, so that
// what the hooks of many opened for a new request can be closed when one of them has it.
//
// Cost: one step for each executor on the roll.
func Tell(c Change, roll Roll) Telling {
	after := ThreadOf(c.After)
	told := Telling{Notification: newNotification(c.Type, after)}
	moment, fires := Created, true
	if c.Type == StatusChanged {
		moment, fires = momentOf(c.After.Status)
	}
	if fires {
		told.Occasion = Occasion{Moment: moment, Thread: after, OldStatus: c.Before.Status, Actor: c.Actor}
	}
	parties := []string{c.After.Requestor, c.After.Executor}
	for _, e := range roll.Executors() {
		notice := Notice{Executor: e.ID, Name: e.DisplayName}
		if c.Type == ThreadCreated {
			eligible := roll.Eligible(c.After, e)
			notice.Tell = eligible && e.ID != c.After.Requestor
			fires = eligible
		} else {
			notice.Tell = e.ID != c.Actor && slices.Contains(parties, e.ID)
		}
		if fires && (!moment.ofHolder() || e.ID == c.After.Executor) {
			notice.Moment = moment
		}
		if notice.Tell || notice.Moment != "" {
			told.Notices = append(told.Notices, notice)
		}
	}
	return told
}
