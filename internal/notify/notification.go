package notify

import (
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// EventType is what a notification is about. The words are those of the log, and receivers know them.
type EventType string

// The two kinds of notification.
const (
	ThreadCreated EventType = "thread_created"
	StatusChanged EventType = "status_changed"
)

// Test is the type of a notification that is about no event: whoever gets it has asked for it.
const Test EventType = "test"

// Notification is what someone is told, whatever channel it takes.
type Notification struct {
	Type   EventType
	Title  string
	Body   string
	Thread Thread

	// Links for people, absolute URLs; "" where the server has no public address. ClaimURL takes a POST without a
	// body and claims the request in the name of the channel's owner, so it is a secret between the two.
	OpenURL  string
	ClaimURL string
}

// newNotification says it in the words of the original server, which people's filters and programs know.
func newNotification(typ EventType, t Thread) Notification {
	title := "🆕 New MESS Request"
	if typ == StatusChanged {
		title = "📬 MESS Update: " + t.Status
	}
	return Notification{
		Type:   typ,
		Title:  title,
		Body:   t.Intent + "\n\nRef: " + t.Ref + "\nPriority: " + t.Priority,
		Thread: t,
	}
}

// NewTest is a notification that an executor sends to itself, to see whether it arrives. Its thread looks like one,
// and has a ref that none has.
func NewTest(executor string, now time.Time) Notification {
	return Notification{
		Type:  Test,
		Title: "🔔 MESS Test",
		Body:  "This is a test of your notifications. There is nothing to do.",
		Thread: ThreadOf(exchange.Thread{
			Ref: "test", Status: exchange.StatusPending, Intent: "A test of your notifications", Requestor: executor,
			Priority: exchange.PriorityNormal, CreatedAt: now, UpdatedAt: now,
		}),
	}
}
