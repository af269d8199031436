package channel

import (
	"fmt"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// Delivery is one attempt to bring a notification to a channel.
type Delivery struct {
	Notification notify.Notification
	ID           string    // notify.DeliveryID, the same for every attempt
	Now          time.Time // of this attempt
}

// Request is what brings a notification to a channel that was read by package settings. It is the same for every
// attempt, apart from a webhook's signature, which says when it was made.
func Request(channel settings.Entry, d Delivery) (notify.Request, error) {
	switch channel.Type {
	case "ntfy":
		return ntfy(channel, d.Notification), nil
	case "slack":
		return slack(channel, d.Notification), nil
	case "google_chat":
		return googleChat(channel, d.Notification), nil
	case "webhook":
		return webhook(channel, d)
	}
	return notify.Request{}, fmt.Errorf("no such type of channel: %s", channel.Type)
}
