package channel

import (
	"net/url"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// What a message of Google Chat may have is 32,000 bytes. These are characters, of up to four bytes each, and up
// to twice that in JSON, so that together they always fit.
const (
	chatText   = 1000
	chatTitle  = 200
	chatWidget = 2000
)

type chatMessage struct {
	Text   string     `json:"text"` // what a phone shows
	Thread chatThread `json:"thread"`
	Cards  []chatCard `json:"cardsV2"`
}

type chatThread struct {
	Key string `json:"threadKey"`
}

type chatCard struct {
	ID   string `json:"cardId"`
	Card struct {
		Header   chatHeader    `json:"header"`
		Sections []chatSection `json:"sections"`
	} `json:"card"`
}

type chatHeader struct {
	Title    string `json:"title"`
	Subtitle string `json:"subtitle"`
}

type chatSection struct {
	Widgets []chatWidgetOf `json:"widgets"`
}

type chatWidgetOf struct {
	Decorated *chatDecorated `json:"decoratedText,omitempty"`
	Paragraph *chatParagraph `json:"textParagraph,omitempty"`
	Buttons   *chatButtons   `json:"buttonList,omitempty"`
}

type chatDecorated struct {
	TopLabel string `json:"topLabel"`
	Text     string `json:"text"`
}

type chatParagraph struct {
	Text string `json:"text"`
}

type chatButtons struct {
	Buttons []chatButton `json:"buttons"`
}

type chatButton struct {
	Text    string `json:"text"`
	OnClick struct {
		OpenLink struct {
			URL string `json:"url"`
		} `json:"openLink"`
	} `json:"onClick"`
}

// googleChat is a card in the conversation of its request, so that what is said later stands below it.
func googleChat(channel settings.Entry, n notify.Notification) notify.Request {
	key := fit(n.Thread.Ref, chatTitle, asIs)
	card := chatCard{ID: key}
	card.Card.Header = chatHeader{
		Title:    fit(subject(n), chatTitle, asIs),
		Subtitle: fit(line(n.Thread.Priority+" · "+n.Thread.Status), chatTitle, asIs),
	}
	widgets := []chatWidgetOf{
		{Paragraph: &chatParagraph{Text: fit(n.Title+"\n"+n.Body, chatWidget, entity)}},
		{Decorated: &chatDecorated{TopLabel: "From", Text: fit(line(n.Thread.Requestor), chatTitle, entity)}},
	}
	if holder := n.Thread.HeldBy(); holder != "" {
		widgets = append(widgets, chatWidgetOf{Decorated: &chatDecorated{TopLabel: "Executor", Text: fit(line(holder), chatTitle, entity)}})
	}
	if n.OpenURL != "" {
		open := chatButton{Text: "Open"}
		open.OnClick.OpenLink.URL = n.OpenURL
		widgets = append(widgets, chatWidgetOf{Buttons: &chatButtons{Buttons: []chatButton{open}}})
	}
	card.Card.Sections = []chatSection{{Widgets: widgets}}
	r := notify.Post(inThread(channel.Text["webhook_url"]), chatMessage{
		Text:   fit(line(n.Title)+": "+subject(n), chatText, noCommand),
		Thread: chatThread{Key: key},
		Cards:  []chatCard{card},
	})
	r.Header["Content-Type"] = "application/json; charset=UTF-8"
	return r
}

// inThread asks for the conversation that the key names, or a new one. The rest of the URL stays as it is.
func inThread(webhook string) string {
	const option = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
	u, err := url.Parse(webhook)
	if err != nil || u.Query().Has("messageReplyOption") {
		return webhook // the first was checked when it was set
	}
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+option, "&")
	return u.String()
}

// noCommand breaks what the text of a message takes for one: "<users/all>" calls everybody, "<url|text>" is a link
// that says it leads elsewhere. There is no escape for them, so a character without width stands behind "<".
func noCommand(r rune) string {
	if r == '<' {
		return "<\u200b"
	}
	return string(r)
}
