package send

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// caller makes attempts. It has two pools of connections: one that was opened for the operator may lead where an
// executor may not call, so no request of an executor may come upon it. How they are made depends on where the
// program runs: transport.go, transport_js.go.
type caller struct {
	guarded, open transport
}

// transport follows no redirect, keeps no cookie and adds no header with the URL before.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// hangUp ends the connections that nothing uses.
func (c *caller) hangUp() {
	c.guarded.CloseIdleConnections()
	c.open.CloseIdleConnections()
}

// attempt sends a request once.
func (c *caller) attempt(ctx context.Context, r notify.Request) Outcome {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	if _, err := hostOf(r.URL); err != nil {
		return Outcome{Verdict: Failed, Reason: noURL}
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Outcome{Verdict: Failed, Reason: noURL}
	}
	for name, value := range r.Header {
		request.Header[name] = []string{value} // as it is spelled; whoever signs names has a reason
	}
	transport := c.guarded
	if r.Operated {
		transport = c.open
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return outcomeWithout(err)
	}
	defer answer.Body.Close()
	o := outcomeOf(answer.StatusCode, answer.Header, time.Now())
	// The status is the answer, whatever becomes of the rest. It is read also where nobody wants it, because the
	// connection can be used again only then.
	read, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if o.Verdict == Delivered {
		o.Answer = read
	}
	return o
}

var errURL = errors.New("not an http or https URL with a host and without a user name")

// hostOf returns what connections are shared by: the scheme, the host and the port of a URL.
func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", errURL // what url.Parse says holds the URL
	}
	return u.Scheme + "://" + u.Host, nil
}
