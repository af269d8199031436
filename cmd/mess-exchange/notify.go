package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// notify reads what notifications need: where they may lead, where the services are, and where this server is
// reached from outside. It opens nothing; the sender is made by withSender.
func (c *config) notify() (engine.Notify, error) {
	var n engine.Notify
	if _, err := c.allowedNetworks(); err != nil {
		return n, err
	}
	for _, setting := range []struct {
		name, value string
		to          *string
	}{
		{"PUBLIC_URL", c.PublicURL, &n.PublicURL},
		{"NOTIFY_IFTTT_URL", c.NotifyIFTTT, &n.Services.IFTTT},
		{"NOTIFY_TODOIST_URL", c.NotifyTodoist, &n.Services.Todoist},
		{"NOTIFY_LINEAR_URL", c.NotifyLinear, &n.Services.Linear},
		{"NOTIFY_GOOGLE_TASKS_URL", c.NotifyGoogleTasks, &n.Services.GoogleTasks},
		{"NOTIFY_GOOGLE_OAUTH_URL", c.NotifyGoogleOAuth, &n.Services.GoogleOAuth},
	} {
		if setting.value == "" {
			continue
		}
		if !isBaseURL(setting.value) {
			return n, fmt.Errorf("%s: must be a whole http or https URL such as https://mess.example.org, without a user name, a query or a fragment", setting.name)
		}
		*setting.to = strings.TrimRight(setting.value, "/")
	}
	return n, nil
}

// withSender is notify, with the sender that the server closes at its end.
func (c *config) withSender() (engine.Notify, *send.Sender) {
	n, _ := c.notify() // checked when it was parsed
	allowed, _ := c.allowedNetworks()
	sender := send.New(allowed)
	n.Sender = sender
	return n, sender
}

// isBaseURL reports whether paths can be put behind a URL. What url.Parse complains of is not shown: such a URL may
// hold a password.
func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return false
	}
	return !strings.ContainsAny(text, "?#") && u.EscapedPath() == u.Path && text == printable(text)
}

// allowedNetworks is NOTIFY_ALLOW_NETWORKS.
func (c *config) allowedNetworks() (allowed []netip.Prefix, err error) {
	allowed, err = send.ParseNetworks(c.NotifyAllowNetworks)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_ALLOW_NETWORKS: %w", err)
	}
	return allowed, nil
}
