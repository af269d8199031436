package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// action is what a client does in one call.
type action string

const (
	register     action = "register"
	authenticate action = "authenticate"
	create       action = "create"
	claim        action = "claim"
	release      action = "release"
	complete     action = "complete"
	cancel       action = "cancel"
	say          action = "say"
	look         action = "look"
	list         action = "list"
)

// statuses are what the actions that move a thread set.
var statuses = map[action]string{
	claim: exchange.StatusClaimed, release: exchange.StatusPending, complete: exchange.StatusCompleted, cancel: exchange.StatusCancelled,
}

// client is a person or a program with a key, who makes one call at a time.
type client struct {
	number  int
	names   int    // executor ids tried so far
	id      string // once registered
	key     string
	caller  engine.Caller
	running *operation // nil while it thinks
	again   *operation // what it sends once more, with its key; nil for nothing
}

// operation is one call of a client, and its answer.
type operation struct {
	action  action
	token   string
	client  *client
	replica *replica
	process int      // of the replica, which may end before the call does
	thread  *history // of the actions on one
	name    string   // of a register: the id
	ctx     context.Context
	cancel  context.CancelFunc

	begun int64 // what had been shown when it began: no answer may show less

	keyed   bool       // the token is its idempotency key
	since   int64      // begun, of the first of those with that key
	tries   int        // before this one
	doubt   bool       // one of them may have been carried out
	repeats *operation // one of them that was answered

	done   bool
	err    error
	key    string // of a register
	caller engine.Caller
	shown  []exchange.Thread  // of a look or a list
	said   []exchange.Message // of a look
	ref    string             // of a command
	status string
}

func (o *operation) String() string {
	s := fmt.Sprintf("client %d %s at r%d", o.client.number, o.action, o.replica.number)
	if o.thread != nil {
		s += fmt.Sprintf(" %s", o.thread)
	}
	if o.token != "" {
		s += " " + o.token
	}
	if o.tries > 0 {
		s += ", again"
	}
	return s
}

// once is the operation's idempotency key.
func (o *operation) once() (none exchange.Once) {
	if !o.keyed {
		return none
	}
	return exchange.NewOnce(o.token, string(o.action), "", nil)
}

// run makes the call. It runs in a goroutine of its own and touches nothing but the operation.
func (o *operation) run(e *engine.Engine) {
	c := o.client
	switch o.action {
	case register:
		o.key, o.err = e.Register(o.ctx, home, engine.Registration{ExecutorID: o.name, DisplayName: o.token})
	case authenticate:
		o.caller, o.err = e.Authenticate(o.ctx, home, c.key)
	case create:
		cmd := &exchange.Create{Once: o.once(), Intent: o.token, Request: json.RawMessage(fmt.Sprintf(`{"intent":%q}`, o.token))}
		if o.err = e.Create(o.ctx, c.caller, cmd); o.err == nil {
			o.ref, o.status = cmd.Result.Ref, cmd.Result.Status
		}
	case look:
		var t *engine.Thread
		if t, o.err = e.Thread(o.ctx, c.caller, o.thread.ref); o.err == nil {
			o.shown, o.said = []exchange.Thread{t.Thread}, t.Messages
		}
	case list:
		o.shown, o.err = e.Threads(o.ctx, c.caller, exchange.Filter{})
	default:
		cmd := &exchange.Update{Once: o.once(), Ref: o.thread.ref, Status: statuses[o.action], Message: o.token}
		if o.action == say {
			cmd.Message, cmd.Mess = "", []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"note":%q}`, o.token))}
		}
		if o.err = e.Update(o.ctx, c.caller, cmd); o.err == nil {
			o.ref, o.status = cmd.Result.Ref, cmd.Result.Status
		}
	}
}

// code is the code of the refusal, "" for none.
func (o *operation) code() exchange.Code {
	refusal, ok := errors.AsType[*exchange.Error](o.err)
	switch {
	case o.err == nil:
		return ""
	case !ok:
		return exchange.CodeInternal
	}
	return refusal.Code
}

// begin has a client make a call. done is told in a turn of the scheduler.
func (w *world) begin(o *operation) {
	r := o.replica
	o.process, o.begun = r.process, w.shown
	if o.tries == 0 {
		o.since = o.begun
	}
	patience := time.Hour
	if !w.quiet && w.rng.IntN(3) == 0 {
		patience = time.Duration(w.rng.Int64N(int64(12 * time.Second)))
	}
	o.ctx, o.cancel = context.WithTimeout(context.WithValue(r.life, clientKey{}, o.client.number), patience)
	o.client.running = o
	w.running = append(w.running, o)
	w.tracef("begin %s", o)
	go func() {
		o.run(r.engine)
		w.mu.Lock()
		defer w.mu.Unlock()
		o.done = true
	}()
}

// compose makes up what an idle client does next, or returns nil where it has to wait.
func (w *world) compose(c *client) *operation {
	r := w.replicas[c.number%len(w.replicas)]
	if w.rng.IntN(3) == 0 {
		r = w.replicas[w.rng.IntN(len(w.replicas))]
	}
	if c.again != nil { // at another replica, more often than not
		r = w.replicas[(c.again.replica.number+1+w.rng.IntN(3))%len(w.replicas)]
	}
	if !r.takesCalls(w) {
		return nil
	}
	if o := c.again; o != nil {
		c.again = nil
		o.replica = r
		w.counts.retries++
		return o
	}
	w.tokens++
	o := &operation{client: c, replica: r, token: fmt.Sprintf("tok-%d", w.tokens)}
	if c.key == "" {
		o.action, o.name = register, fmt.Sprintf("client-%d-%d", c.number, c.names)
		if c.names == 0 {
			o.name = "everybodys" // the first choice of all, and one of them gets it
		}
		c.names++
		return o
	}
	if w.rng.IntN(4) == 0 || c.caller.Exchange == "" {
		o.action, o.token = authenticate, ""
		return o
	}
	actions := []action{claim, claim, claim, release, release, complete, cancel, say, say, look, look, list, create}
	o.action = actions[w.rng.IntN(len(actions))]
	if known := len(w.witness.threads); known == 0 {
		o.action = create
	} else if o.action != create && o.action != list {
		o.thread = w.witness.threads[max(0, known-1-w.rng.IntN(3))] // few, so that clients meet
	}
	if o.action == look || o.action == list {
		o.token = ""
	}
	o.keyed = o.token != "" && w.rng.IntN(2) == 0
	return o
}

// mayRepeat lets a client send a call with a key once more, mostly. doubt says that it may have been carried out.
func (w *world) mayRepeat(o *operation, doubt bool) bool {
	if !o.keyed || w.quiet || o.tries == mostTries || w.rng.IntN(5) == 0 {
		return false
	}
	o.client.again = &operation{
		action: o.action, token: o.token, client: o.client, replica: o.replica, thread: o.thread,
		keyed: true, since: o.since, tries: o.tries + 1, doubt: o.doubt || doubt,
	}
	return true
}

// mostTries is how often a call is sent again.
const mostTries = 4
