package httpapi

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// longestWait bounds how long a read of a thread waits for a change: below the time after which usual proxies
// and load balancers give up on an answer, most of them after 60 seconds and more.
const longestWait = 60 * time.Second

// threadView is what the query of GET …/requests/{ref} says, of which the gate has made sure that each parameter is
// given once and is what the contract wants. Generated code does not bind them (api/server.overlay.yaml).
type threadView struct {
	links bool // instead of media
	waits bool
	wait  string
	since int64 // engine.NoSeq where it is not given
}

func viewOf(query string) threadView {
	v := threadView{since: engine.NoSeq}
	if query == "" {
		return v
	}
	q, _ := url.ParseQuery(query)
	v.links = q.Get("media") == "link"
	v.waits, v.wait = q.Has("wait"), q.Get("wait")
	if seq, err := strconv.ParseInt(q.Get("since"), 10, 64); err == nil {
		v.since = seq
	}
	return v
}

// awaitNews waits for what the parameters of GET …/requests/{ref} ask for. Nothing is held meanwhile but the
// request's goroutine and its connection.
func (h *handlers) awaitNews(ctx context.Context, ref string, view threadView) error {
	if !view.waits {
		return nil
	}
	d, ok := parseWait(view.wait)
	if !ok {
		return invalid("wait: must be a duration such as 30s, or a number of seconds, from 0 to %d seconds", int(longestWait.Seconds()))
	}
	c := callOf(ctx)
	c.waited = d > 0
	return h.exchange.AwaitThread(ctx, c.caller, ref, view.since, d)
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
