package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	notification "github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// settingsCache keeps what profiles say about notifications. An entry counts for the executor of the state that it was
// read for: each event about an executor makes another (*exchange.Executor), and what this process writes without
// an event is forgotten here.
type settingsCache struct {
	mu   sync.Mutex
	of   map[executorName]*cachedSettings
	size int // bytes of the objects that they were read from
}

type cachedSettings struct {
	executor *exchange.Executor
	settings notification.Settings
	size     int
}

func (c *settingsCache) get(name executorName, executor *exchange.Executor) (notification.Settings, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.of[name]; ok && kept.executor == executor {
		return kept.settings, true
	}
	return notification.Settings{}, false
}

func (c *settingsCache) put(name executorName, kept *cachedSettings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(name)
	c.of[name] = kept
	c.size += kept.size
	for other := range c.of {
		if len(c.of) <= maxCachedSettings && c.size <= maxCachedBytes {
			return
		}
		if other != name {
			c.drop(other)
		}
	}
}

// forget is for whoever has changed the object.
func (c *settingsCache) forget(name executorName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(name)
}

// forgetSettings is for whoever has changed, or may have, what an executor has set.
func (x *running) forgetSettings(executorID string) {
	if x.engine.tellers != nil {
		x.engine.tellers.cache.forget(executorName{x.id, executorID})
	}
}

// drop takes an entry out. c.mu must be held.
func (c *settingsCache) drop(name executorName) {
	if kept, ok := c.of[name]; ok {
		c.size -= kept.size
		delete(c.of, name)
	}
}

// settingsOf returns what an executor's profile says about notifications. Without an object there is nothing yet: it
// may be about to be written, so that is not kept.
func (x *running) settingsOf(ctx context.Context, executor *exchange.Executor) (notification.Settings, error) {
	cache, name := &x.engine.tellers.cache, executorName{x.id, executor.ID}
	if s, ok := cache.get(name, executor); ok {
		return s, nil
	}
	soon, cancel := context.WithTimeout(ctx, profilePatience)
	defer cancel()
	data, _, err := x.engine.store.Load(soon, profileKey(x.id, executor.ID))
	if err != nil && x.engine.store.NoSuchKey(err) {
		return notification.Settings{}, nil
	}
	if err != nil {
		return notification.Settings{}, fmt.Errorf("read the profile of %s: %w", executor.ID, err)
	}
	s, problems := notification.Read(x.readProfile(executor, data).settings())
	if problems != nil {
		x.logger.Debug("settings that can't be used are left out", "executor", executor.ID, "error", problems)
	}
	cache.put(name, &cachedSettings{executor, s, len(data)})
	return s, nil
}
