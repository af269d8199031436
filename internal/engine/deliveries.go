package engine

import (
	"context"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// Delivery is what becomes of telling one executor of one event on one channel, or by one hook.
type Delivery struct {
	ID         string // notify.DeliveryID
	Ref        string
	EventType  string // thread_created or status_changed
	Channel    string // notify.Way.String
	Status     string // the last outcome: exchange.OutcomeDelivered and its like
	Attempts   int
	HTTPStatus int       // of the last answer, 0 for none
	Reason     string    // in fixed words, "" for none
	Next       time.Time // of the next attempt, zero for none
	Created    time.Time
	Updated    time.Time
}

// DeliveryPage is a page of deliveries, the newest first.
type DeliveryPage struct {
	Deliveries []Delivery
	Next       int64 // where the next page begins; 0 for no more
}

// Deliveries returns what the caller was told of, from before a place on (0: from the newest), at most limit, of what
// the state remembers (exchange.State.Deliveries, which says what it costs). CodeNotYourProfile for another's.
func (e *Engine) Deliveries(ctx context.Context, c Caller, executorID string, before int64, limit int) (DeliveryPage, error) {
	if executorID != c.Executor {
		return DeliveryPage{}, refuse(exchange.CodeNotYourProfile, "Can only list your own deliveries")
	}
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return DeliveryPage{}, err
	}
	defer leave()
	var (
		rows []exchange.Delivered
		more uint64
	)
	err = x.read(ctx, c, func(s *exchange.State) error {
		rows, more = s.Deliveries(executorID, uint64(max(before, 0)), limit)
		return nil
	})
	if err != nil {
		return DeliveryPage{}, err
	}
	page := DeliveryPage{Deliveries: make([]Delivery, len(rows)), Next: int64(more)}
	for i := range rows {
		page.Deliveries[i] = x.delivery(&rows[i])
	}
	return page, nil
}

// delivery is a row of the state as its executor sees it.
func (x *running) delivery(row *exchange.Delivered) Delivery {
	d := Delivery{
		ID: notify.DeliveryIDOf(x.id, row.Event, row.Executor, row.Way), Ref: row.Ref, EventType: string(notify.StatusChanged), Channel: row.Way,
		Status: row.Outcome, Attempts: row.Attempts, HTTPStatus: row.Status, Reason: row.Reason, Next: row.Next, Created: row.First, Updated: row.Last,
	}
	if row.Created {
		d.EventType = string(notify.ThreadCreated)
	}
	return d
}
