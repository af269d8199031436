package httpapi

import (
	"context"
	"strconv"
	"time"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// longestWait bounds how long a read of a thread waits for a change: below the time after which usual proxies
// and load balancers give up on an answer, most of them after 60 seconds and more.
const longestWait = 60 * time.Second

// awaitNews waits for what the parameters of GET …/requests/{ref} ask for. Nothing is held meanwhile but the
// request's goroutine and its connection.
func (h *handlers) awaitNews(ctx context.Context, ref string, p server.GetRequestParams) error {
	if p.Wait == nil {
		return nil
	}
	d, ok := parseWait(*p.Wait)
	if !ok {
		return invalid("wait: must be a duration such as 30s, or a number of seconds, from 0 to %d seconds", int(longestWait.Seconds()))
	}
	since := int64(engine.NoSeq)
	if p.Since != nil {
		since = *p.Since
	}
	return h.exchange.AwaitThread(ctx, callOf(ctx).caller, ref, since, d)
}

// parseWait reads a duration, or a number of seconds.
func parseWait(text string) (time.Duration, bool) {
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
		if _, number := strconv.ParseFloat(text, 64); number != nil {
			return 0, false // "1m2", which would be read as 1m2s
		}
	}
	return d, err == nil && d >= 0 && d <= longestWait
}
