package engine

import (
	"sync"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// linkSecrets are the secrets of claim links that were read, so that a link costs the storage nothing: neither to
// make one for each of a thousand executors, nor to see that one is forged. An executor that is changed, or has
// another key, is another pointer, and whose secret is read again.
type linkSecrets struct {
	mu  sync.Mutex
	all map[*exchange.Executor][]byte
}

func (s *linkSecrets) get(executor *exchange.Executor) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[executor]
}

// put keeps a secret, in the place of any other where there are too many.
func (s *linkSecrets) put(executor *exchange.Executor, secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*exchange.Executor][]byte{}
	}
	if _, there := s.all[executor]; !there && len(s.all) >= maxLinkSecrets {
		for other := range s.all {
			delete(s.all, other)
			break
		}
	}
	s.all[executor] = secret
}
