package channel

import (
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// What Slack takes, in characters.
const (
	slackHeader  = 150
	slackSection = 3000
	slackField   = 2000
	slackText    = 3000 // 40,000 are taken, and this is one line of a list
	slackURL     = 3000 // of a button
)

type slackMessage struct {
	Text   string       `json:"text"` // for the list of notifications; the blocks are what is seen in the chat
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string         `json:"type"`
	Text     *slackTextOf   `json:"text,omitempty"`
	Fields   []slackTextOf  `json:"fields,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
}

type slackTextOf struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackElement struct {
	Type string      `json:"type"`
	Text slackTextOf `json:"text"`
	URL  string      `json:"url"`
}

// slack is a message of blocks. Everything that someone wrote is escaped, or "<!channel>" in an intent would call
// everybody in the room.
func slack(channel settings.Entry, n notify.Notification) notify.Request {
	field := func(name, value string) slackTextOf {
		return slackTextOf{Type: "mrkdwn", Text: "*" + name + ":* " + fit(line(value), slackField-50, entity)}
	}
	m := slackMessage{
		Text: fit(line(n.Title)+": "+subject(n), slackText, entity),
		Blocks: []slackBlock{
			{Type: "header", Text: &slackTextOf{Type: "plain_text", Text: fit(subject(n), slackHeader, entity)}},
			{Type: "section", Text: &slackTextOf{Type: "mrkdwn", Text: fit(n.Title+"\n"+n.Body, slackSection, entity)}},
			{Type: "section", Fields: []slackTextOf{field("Priority", n.Thread.Priority), field("From", n.Thread.Requestor)}},
		},
	}
	if holder := n.Thread.HeldBy(); holder != "" {
		m.Blocks[2].Fields = append(m.Blocks[2].Fields, field("Executor", holder))
	}
	if n.OpenURL != "" && len(n.OpenURL) <= slackURL {
		open := slackElement{Type: "button", Text: slackTextOf{Type: "plain_text", Text: "Open"}, URL: n.OpenURL}
		m.Blocks = append(m.Blocks, slackBlock{Type: "actions", Elements: []slackElement{open}})
	}
	return notify.Post(channel.Text["webhook_url"], m)
}
