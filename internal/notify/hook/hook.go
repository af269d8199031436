package hook

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
	"github.com/mess-exchange/mess-exchange/internal/notify/template"
)

// Firing is one attempt to let a hook do its work.
type Firing struct {
	Occasion   notify.Occasion
	Name       string // the display name of the executor whose hook it is
	ExternalID string // what an earlier hook of this executor opened for the thread; "" for nothing
	ID         string // notify.DeliveryID, the same for every attempt

	// AccessToken is for hooks that need one (NeedsToken); it comes from TokenRequest and ReadToken.
	AccessToken string
}

// Services are where the fixed services are, each an absolute URL without a slash at its end. The operator may set
// others, for a proxy or a test; then their requests may lead anywhere (notify.Request.Operated).
type Services struct {
	IFTTT       string
	Todoist     string
	Linear      string
	GoogleTasks string
	GoogleOAuth string
}

// defaults are the services themselves.
var defaults = Services{
	IFTTT:       "https://maker.ifttt.com",
	Todoist:     "https://api.todoist.com",
	Linear:      "https://api.linear.app",
	GoogleTasks: "https://tasks.googleapis.com",
	GoogleOAuth: "https://oauth2.googleapis.com",
}

// post is a POST to a service, at the operator's address for it where there is one.
func post(override, service, path string, document any) notify.Request {
	r := notify.Post(service+path, document)
	if override != "" {
		r.URL, r.Operated = strings.TrimRight(override, "/")+path, true
	}
	return r
}

// Request is what a hook that was read by package settings does. An error is the hook's fault, and the same at
// every attempt; its text holds nothing of the hook but names of members.
func Request(hook settings.Entry, f Firing, s Services) (notify.Request, error) {
	b := builder{hook: hook, firing: f, services: s, texts: template.New(variables(f))}
	build, known := types[hook.Type]
	if !known {
		return notify.Request{}, fmt.Errorf("no such type of hook: %s", hook.Type)
	}
	r := build(&b)
	if b.err != nil {
		return notify.Request{}, fmt.Errorf("make the request of a %s hook: %w", hook.Type, b.err)
	}
	return r, nil
}

var types = map[string]func(*builder) notify.Request{
	"webhook":        webhook,
	"ifttt":          ifttt,
	"zapier":         zapier,
	"home_assistant": homeAssistant,
	"todoist":        todoist,
	"linear":         linear,
	"google_tasks":   googleTasks,
}

// variables are what templates may name.
func variables(f Firing) template.Variables {
	t := f.Occasion.Thread
	return template.Variables{
		"ref": t.Ref, "intent": t.Intent, "status": t.Status, "priority": t.Priority,
		"requestor_id": t.Requestor, "executor_id": t.HeldBy(), "created_at": t.CreatedAt.String(), "updated_at": t.UpdatedAt.String(),
		"event": string(f.Occasion.Moment), "executor_name": f.Name, "old_status": f.Occasion.OldStatus, "actor_id": f.Occasion.Actor,
		"external_id": f.ExternalID,
	}
}

// builder makes one request. After an error it goes on with empty texts, and the request is not used.
type builder struct {
	hook     settings.Entry
	firing   Firing
	services Services
	texts    *template.Expander
	err      error
}

func (b *builder) keep(s string, err error) string {
	if err != nil && b.err == nil {
		b.err = err
	}
	return s
}

// text expands a member of the hook, or another template where it has none.
func (b *builder) text(name, otherwise string) string {
	return b.keep(b.texts.Text(b.hook.Or(name, otherwise)))
}

// body expands the hook's body, or another one where it has none.
func (b *builder) body(otherwise string) []byte {
	document := b.hook.Body
	if document == nil {
		document = []byte(otherwise)
	}
	expanded, err := b.texts.JSON(document)
	b.keep("", err)
	return expanded
}

// toURL is a request to a URL that the executor has set. The receiver can tell a repetition by its id.
func (b *builder) toURL(target string, body []byte) notify.Request {
	r := notify.Post(target, nil)
	r.Body = body
	r.Header["webhook-id"] = b.firing.ID
	return r
}

// segment makes one part of a path of a text.
func segment(s string) string { return url.PathEscape(s) }
