package engine

import (
	"sync"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// maxUploads is how many uploads are in progress at once; one more is refused. On a directory each takes a
	// buffer of 32 KiB. The S3 driver holds up to 16 MiB of one that is larger than that, and a part on its way.
	maxUploads = 16
	// maxOwnUploads is how many of them may be one executor's, so that nobody's slow line keeps the others out.
	maxOwnUploads = 4
)

// uploads are those in progress.
type uploads struct {
	mu  sync.Mutex
	all int
	by  map[executorName]int // none is 0
}

type executorName struct{ exchange, id string }

// begin makes room for one. The refusal, where there is none, says whose fault that is.
func (u *uploads) begin(c Caller) (end func(), refusal *exchange.Error) {
	name := executorName{c.Exchange, c.Executor}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.by[name] >= maxOwnUploads:
		return nil, refuse(exchange.CodeOverloaded, "Too many uploads of yours are in progress; try again when one has ended")
	case u.all >= maxUploads:
		return nil, refuse(exchange.CodeOverloaded, "Too many uploads are in progress; try again shortly")
	}
	u.all++
	u.by[name]++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.all--
		if u.by[name]--; u.by[name] == 0 {
			delete(u.by, name)
		}
	}, nil
}
