package engine

import (
	"context"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// List is a page of a list of threads, and what it was made of.
type List struct {
	exchange.Page
	Version ListVersion
}

// ListVersion is what the lists of an exchange depend on besides their filters. While Head is the same, and
// Page.Until not reached, so is every page of them.
type ListVersion struct {
	Head    int64     // the seq of the last event that is more than a note
	Updated time.Time // when the thread that was updated last was; in an exchange that was put back, heads come again
	Now     time.Time
}

// Threads lists threads as of the head of the log, as many as the filter says.
func (e *Engine) Threads(ctx context.Context, c Caller, f exchange.Filter) ([]exchange.Thread, error) {
	list, err := e.ListUnless(ctx, c, f, func(ListVersion) bool { return false })
	return list.Threads, err
}

// ListUnless returns a page of a list as of the head of the log, for who may have it already. known is told
// what the page would be made of, and must not block; where it says yes, no thread is looked at. Cost: see
// exchange.State.Page.
func (e *Engine) ListUnless(ctx context.Context, c Caller, f exchange.Filter, known func(ListVersion) bool) (list List, err error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return List{}, err
	}
	defer leave()
	err = x.read(ctx, c, func(s *exchange.State) error {
		list.Version = ListVersion{Head: x.machine.telling, Updated: s.LastUpdate(), Now: e.store.Now()}
		if !known(list.Version) {
			list.Page = s.Page(f, list.Version.Now)
		}
		return nil
	})
	return list, err
}
