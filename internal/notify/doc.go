// Package notify says who is told of what happens to a request, and in which words. It is pure: it reads no
// clock, no profile and no network, so that the same event says the same thing at every replica and after
// every crash.
//
// What leads from an event to a message that has arrived is cut into parts that each stand alone:
//
//	notify            an event and the state behind it → who is told what (Tell), under which id (DeliveryID)
//	notify/settings   a profile object → channels, hooks and preferences; refuses what can't work when it is
//	                  set, skips it in old data; whether and when a message may disturb (Preferences.Decide)
//	notify/channel    a notification and a channel → the HTTP request: ntfy, slack, google_chat, webhook
//	notify/hook       a moment and a hook → the HTTP request, and what its answer says: webhook, ifttt, zapier,
//	                  home_assistant, todoist, linear, google_tasks
//	notify/template   the {{variables}} in hooks
//	notify/send       requests → outcomes: connections, limits, which addresses may be called, when to try again
//
// A notification tells a person, so preferences hold it back: a lowest priority, quiet hours. A hook drives a
// program that its owner has set up, so nothing holds it back, and it fires for what its owner did as well.
package notify
