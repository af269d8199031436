package channel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// webhookBody is what a program gets; the members are the original server's.
type webhookBody struct {
	Title     string           `json:"title"`
	Body      string           `json:"body"`
	Thread    notify.Thread    `json:"thread"`
	EventType notify.EventType `json:"event_type"`
}

// webhook is a request by the rules of Standard Webhooks: with an id to know repetitions by, and, if the channel
// has a secret, a signature over the id, the time and the body.
func webhook(channel settings.Entry, d Delivery) (notify.Request, error) {
	n := d.Notification
	r := notify.Post(channel.Text["url"], webhookBody{Title: n.Title, Body: n.Body, Thread: n.Thread, EventType: n.Type})
	sent := strconv.FormatInt(d.Now.Unix(), 10)
	r.Header["webhook-id"], r.Header["webhook-timestamp"] = d.ID, sent
	var signatures []string
	for _, name := range []string{"secret", "previous_secret"} {
		secret, given := channel.Text[name]
		if !given {
			continue
		}
		key, err := settings.Key(secret)
		if err != nil {
			return notify.Request{}, err
		}
		signatures = append(signatures, sign(key, d.ID, sent, r.Body))
	}
	if len(signatures) > 0 {
		r.Header["webhook-signature"] = strings.Join(signatures, " ")
	}
	return r, nil
}

func sign(key []byte, id, sent string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + sent + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
