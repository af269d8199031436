package engine

import (
	"errors"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// deadlineSlack is added to the wait for a deadline: times in the log are whole milliseconds, and an
	// exchange that looks a moment too early would only look again.
	deadlineSlack = 2 * time.Millisecond
	// deadlineRetry and deadlineRetryMax bound the pauses while the storage does not take an expiry.
	deadlineRetry    = time.Second
	deadlineRetryMax = 15 * time.Second
)

// await sets the alarm to the state's next deadline, and tells the outbox. m.mu must be held.
func (m *machine) await() {
	if m.outbox != nil {
		m.outbox(m.state)
	}
	at, ok := m.state.NextDue()
	if ok == m.waiting && at.Equal(m.due) || m.deadline == nil {
		return
	}
	m.due, m.waiting = at, ok
	m.deadline(at, ok)
}

// deadline is told when the next deadline of the exchange changes. It is called under the log's lock.
func (x *running) deadline(at time.Time, ok bool) {
	if ok {
		x.engine.alarms.put(x.id, at, at.Sub(x.engine.store.Now()))
	} else {
		x.engine.alarms.rest(x.id)
	}
}

// expireDue opens the exchange if need be and moves what is due. Every replica that knows of the deadline
// does so; all but the first find nothing to do (docs/storage.md, rule 12). It tries until it is done or the
// engine closes.
func (e *Engine) expireDue(exchangeID string) {
	for wait := deadlineRetry; ; wait = min(2*wait, deadlineRetryMax) {
		err := e.expireOnce(exchangeID)
		if err == nil || errors.Is(err, eventlog.ErrNotFound) || e.life.Err() != nil {
			return
		}
		if refusal, ok := errors.AsType[*exchange.Error](err); ok && refusal.Code == exchange.CodeReadOnly {
			return // a newer version of the server does it
		}
		e.log.Warn("a deadline has come and could not be stored; trying again", "exchange", exchangeID, "error", err)
		select {
		case <-e.closing:
			return
		case <-time.After(wait):
		}
	}
}

func (e *Engine) expireOnce(exchangeID string) error {
	x, leave, err := e.find(e.life, exchangeID, forever)
	if err != nil {
		return err
	}
	defer leave()
	for {
		cmd := &exchange.Expire{}
		if err := x.submit(e.life, cmd); err != nil {
			return err
		}
		if !cmd.Result.More {
			x.machine.rearm()
			return nil
		}
	}
}

// rearm sets the alarm that has rung to what is next.
func (m *machine) rearm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due, m.waiting = time.Time{}, false
	m.await()
}
