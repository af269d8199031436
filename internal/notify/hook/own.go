package hook

import (
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// The hooks to URLs of the executor's own: webhook, zapier, home_assistant.

// webhook calls any URL with any method, headers and JSON.
func webhook(b *builder) notify.Request {
	r := b.toURL(b.keep(b.texts.URL(b.hook.Text["url"])), nil)
	r.Method = b.hook.Or("method", "POST")
	if r.Method == "GET" {
		delete(r.Header, "Content-Type") // and no body: many servers refuse one there
	} else {
		r.Body = b.body(`{}`)
	}
	for _, h := range b.hook.Headers {
		for name := range r.Header {
			if strings.EqualFold(name, h.Name) {
				delete(r.Header, name)
			}
		}
		r.Header[h.Name] = b.keep(b.texts.Header(h.Value))
	}
	return r
}

func zapier(b *builder) notify.Request {
	return b.toURL(b.hook.Text["webhook_url"], b.body(
		`{"intent":"{{intent}}","ref":"{{ref}}","priority":"{{priority}}","status":"{{status}}","event":"{{event}}"}`))
}

// homeAssistant calls a webhook of an automation, or with a token any address of the API.
func homeAssistant(b *builder) notify.Request {
	target, given := b.hook.Text["url"]
	if !given {
		target = strings.TrimRight(b.hook.Text["base_url"], "/") + "/api/webhook/" + segment(b.hook.Text["webhook_id"])
	}
	r := b.toURL(target, b.body(`{"action":"mess_{{event}}","intent":"{{intent}}","ref":"{{ref}}","priority":"{{priority}}"}`))
	if token, given := b.hook.Text["token"]; given {
		r.Header["Authorization"] = "Bearer " + token
	}
	return r
}
