package httpapi

import (
	"context"
	"time"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// mostTests is how many tests one executor may send in a minute: who sets channels up tries them a few times, and 20
// channels make 20 requests of one.
const mostTests = 5

// executorName names an executor among those of all exchanges.
type executorName struct{ exchange, executor string }

// TestNotifications implements POST …/executors/{executor_id}/notifications/test.
func (h *handlers) TestNotifications(ctx context.Context, r server.TestNotificationsRequestObject) (server.TestNotificationsResponseObject, error) {
	caller := callOf(ctx).caller
	if r.ExecutorID == caller.Executor { // another's is refused for that
		if wait := h.tests.add(executorName{caller.Exchange, caller.Executor}); wait > 0 {
			return nil, tooManyTests(wait)
		}
	}
	results, err := h.exchange.TestNotifications(ctx, caller, r.ExecutorID)
	if err != nil {
		return nil, err
	}
	return document(appendTestResults(takeBuffer(), results)), nil
}

func tooManyTests(wait time.Duration) error {
	return tooManyOf("You have sent many tests; try again later", wait)
}

func appendTestResults(dst []byte, results []engine.TestResult) []byte {
	dst = append(dst, `{"results":[`...)
	for i, r := range results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"channel":`...), r.Channel)
		dst = appendString(append(dst, `,"outcome":`...), r.Outcome)
		dst = appendHTTPStatus(append(dst, `,"status":`...), r.Status)
		dst = append(appendReason(append(dst, `,"reason":`...), r.Reason), '}')
	}
	return append(dst, "]}\n"...)
}
