package hook

import (
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

var (
	errNoTask  = errors.New("there is no task_id to complete")
	errNoToken = errors.New("there is no access token")
)

// googleTasks opens a task, or completes the one that an earlier hook opened.
func googleTasks(b *builder) notify.Request {
	path := "/tasks/v1/lists/" + segment(b.hook.Or("tasklist", "@default")) + "/tasks"
	var r notify.Request
	if b.hook.Text["action"] == "complete" {
		id := b.text("task_id", "{{external_id}}")
		if id == "" {
			b.keep("", errNoTask)
		}
		done := struct {
			Status string `json:"status"`
		}{"completed"}
		r = post(b.services.GoogleTasks, defaults.GoogleTasks, path+"/"+segment(id), done)
		r.Method = "PATCH"
	} else {
		task := struct {
			Title string `json:"title"`
			Notes string `json:"notes"`
			Due   string `json:"due,omitempty"`
		}{b.text("title", "MESS: {{intent}}"), b.text("notes", "Ref: {{ref}}\nPriority: {{priority}}"), b.text("due", "")}
		r = post(b.services.GoogleTasks, defaults.GoogleTasks, path, task)
	}
	if b.firing.AccessToken == "" {
		b.keep("", errNoToken)
	}
	r.Header["Authorization"] = "Bearer " + b.firing.AccessToken
	return r
}

// NeedsToken reports whether the hook's request needs an access token, which another request gets (TokenRequest).
func NeedsToken(hook settings.Entry) bool { return hook.Type == "google_tasks" }

// TokenRequest asks for an access token, by the refresh token that the hook's owner was given (RFC 6749, 6).
func TokenRequest(hook settings.Entry, s Services) notify.Request {
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {hook.Text["refresh_token"]},
		"client_id": {hook.Text["client_id"]}, "client_secret": {hook.Text["client_secret"]},
	}
	r := post(s.GoogleOAuth, defaults.GoogleOAuth, "/token", nil)
	r.Header["Content-Type"] = "application/x-www-form-urlencoded"
	r.Body = []byte(form.Encode())
	return r
}

const (
	// early is how long before its end a token counts as expired, so that it doesn't on its way.
	early = time.Minute
	// maxToken is how many bytes it may have; Google's have up to 12 KiB.
	maxToken = 16 << 10
)

// ReadToken reads the answer to a TokenRequest: the token, and until when it may be used again.
func ReadToken(answer []byte, now time.Time) (token string, until time.Time, err error) {
	var a struct {
		Token   string  `json:"access_token"`
		Seconds float64 `json:"expires_in"`
	}
	if json.Unmarshal(answer, &a) != nil || a.Token == "" || len(a.Token) > maxToken || hasControl(a.Token) {
		return "", time.Time{}, errors.New("the answer holds no access token") // what it says instead may be a secret
	}
	// No token of theirs lives for a day, and what an answer says can be any number.
	lasts := time.Duration(min(max(a.Seconds, 0), 24*60*60)) * time.Second
	return a.Token, now.Add(max(0, lasts-early)), nil
}
