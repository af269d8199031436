package channel

import (
	"strings"
	"unicode/utf8"

	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// What an ntfy server takes. Longer is a 400, or becomes an attachment that nobody opens.
const (
	ntfyMessage = 4096            // bytes
	ntfyBody    = 2 * ntfyMessage // bytes of the JSON as a whole
	ntfyTitle   = 1024            // bytes
	ntfyActions = 3
)

// defaultNtfy is the server where a channel names none.
const defaultNtfy = "https://ntfy.sh"

// ntfyPriority is ntfy's number for a priority; what is none of ours is its own default.
var ntfyPriority = map[string]int{"background": 2, "normal": 3, "elevated": 4, "urgent": 5}

type ntfyPublication struct {
	Topic    string       `json:"topic"`
	Title    string       `json:"title"`
	Message  string       `json:"message"`
	Priority int          `json:"priority"`
	Tags     []string     `json:"tags"`
	Click    string       `json:"click,omitempty"`
	Actions  []ntfyAction `json:"actions,omitempty"`
}

type ntfyAction struct {
	Action string `json:"action"`
	Label  string `json:"label"`
	URL    string `json:"url"`
	Method string `json:"method,omitempty"`
	Clear  bool   `json:"clear,omitempty"`
}

// ntfy publishes JSON at the root of the server, not text at the topic: there the title would be a header, which
// takes no line break and no letter outside of Latin-1.
func ntfy(channel settings.Entry, n notify.Notification) notify.Request {
	p := ntfyPublication{
		Topic:    channel.Text["topic"],
		Title:    notify.Clip(n.Title, ntfyTitle),
		Priority: ntfyPriority[n.Thread.Priority],
		Tags:     []string{string(n.Type)},
		Click:    n.OpenURL,
		Actions:  ntfyActionsOf(n),
	}
	if p.Priority == 0 {
		p.Priority = 3
	}
	// The message comes last, into the room that is left.
	p.Message = ntfyFit(n.Body, ntfyMessage, ntfyBody-len(notify.JSON(p)))
	r := notify.Post(strings.TrimRight(channel.Or("server", defaultNtfy), "/")+"/", p)
	if token, given := channel.Text["token"]; given {
		r.Header["Authorization"] = "Bearer " + token
	}
	return r
}

// ntfyActionsOf are the buttons below a message. Claiming is for a request that nobody has.
func ntfyActionsOf(n notify.Notification) []ntfyAction {
	var all []ntfyAction
	if n.ClaimURL != "" && n.Type == notify.ThreadCreated {
		all = append(all, ntfyAction{Action: "http", Label: "Claim", URL: n.ClaimURL, Method: "POST", Clear: true})
	}
	if n.OpenURL != "" {
		all = append(all, ntfyAction{Action: "view", Label: "Open", URL: n.OpenURL})
	}
	return all[:min(len(all), ntfyActions)]
}

// ntfyFit cuts s to so many bytes, and to so many of what it is in JSON, where a character can take six.
func ntfyFit(s string, most, mostEncoded int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	cut, size, encoded := 0, 0, 0 // cut is where an ellipsis still has room
	for i, r := range s {
		if size+len(ellipsis) <= most && encoded+len(ellipsis) <= mostEncoded {
			cut = i
		}
		size, encoded = size+utf8.RuneLen(r), encoded+encodedLen(r)
		if size > most || encoded > mostEncoded {
			return s[:cut] + ellipsis
		}
	}
	return s
}

// encodedLen is how many bytes a character has in a string that notify.JSON writes.
func encodedLen(r rune) int {
	switch {
	case strings.ContainsRune("\"\\\b\f\n\r\t", r):
		return 2
	case r < ' ', r == '\u2028', r == '\u2029':
		return 6
	}
	return utf8.RuneLen(r)
}
