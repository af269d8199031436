package engine

import (
	"context"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// Check reads everything that the store holds of an exchange and reports what is wrong with it, as
// eventlog.Check says, its snapshots included: each must be what the log's events make.
func Check(ctx context.Context, store Store, exchangeID string) (eventlog.Report, error) {
	return eventlog.Check(ctx, store, exchangeID, eventlog.CheckOptions{
		New: func() eventlog.Projection { return newMachine(exchangeID, nil) },
		Difference: func(restored, replayed eventlog.Projection) string {
			return difference(restored.(*machine), replayed.(*machine))
		},
	})
}
