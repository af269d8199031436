package engine

import (
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/hook"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// Notify is what notifications need of the world.
type Notify struct {
	Sender    Sender        // nil: nothing is sent
	Services  hook.Services // where the services of hooks are
	PublicURL string        // where people reach this server, without a slash at its end; "" for nowhere
	// Delivered is told of each attempt that this process made and recorded, with the type of the channel or hook and
	// the outcome; nil for nobody. It must not block.
	Delivered func(channel, outcome string)
}

// Sender is what the engine needs of *send.Sender. Whoever makes one closes it, before the engine.
type Sender interface {
	Submit(r notify.Request, done func(send.Outcome)) error
}
