package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// Notify is what notifications need: where this server is reached from outside, where they may lead, and where the
// services of hooks are, as PUBLIC_URL, NOTIFY_ALLOW_NETWORKS and NOTIFY_…_URL say it.
type Notify struct {
	PublicURL, AllowNetworks                         string
	IFTTT, Todoist, Linear, GoogleTasks, GoogleOAuth string
}

// Read reads it. It opens nothing; what it returns has no sender yet (WithSender).
func (c Notify) Read() (engine.Notify, error) {
	n, _, err := c.read()
	return n, err
}

// WithSender is Read, with a sender that goes where the settings let it. Whoever asked for it closes it.
func (c Notify) WithSender() (engine.Notify, *send.Sender, error) {
	n, allowed, err := c.read()
	if err != nil {
		return n, nil, err
	}
	sender := send.New(allowed)
	n.Sender = sender
	return n, sender, nil
}

// read is Read, and the networks beside the public ones where notifications may lead.
func (c Notify) read() (engine.Notify, []netip.Prefix, error) {
	var n engine.Notify
	allowed, err := c.networks()
	if err != nil {
		return n, nil, err
	}
	for _, setting := range []struct {
		name, value string
		to          *string
	}{
		{"PUBLIC_URL", c.PublicURL, &n.PublicURL},
		{"NOTIFY_IFTTT_URL", c.IFTTT, &n.Services.IFTTT},
		{"NOTIFY_TODOIST_URL", c.Todoist, &n.Services.Todoist},
		{"NOTIFY_LINEAR_URL", c.Linear, &n.Services.Linear},
		{"NOTIFY_GOOGLE_TASKS_URL", c.GoogleTasks, &n.Services.GoogleTasks},
		{"NOTIFY_GOOGLE_OAUTH_URL", c.GoogleOAuth, &n.Services.GoogleOAuth},
	} {
		if setting.value == "" {
			continue
		}
		if !isBaseURL(setting.value) {
			return n, nil, fmt.Errorf("%s: must be a whole http or https URL such as https://mess.example.org, without a user name, a query or a fragment", setting.name)
		}
		*setting.to = strings.TrimRight(setting.value, "/")
	}
	return n, allowed, nil
}

// isBaseURL reports whether paths can be put behind a URL. What url.Parse complains of is not shown: such a URL may
// hold a password.
func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return false
	}
	return !strings.ContainsAny(text, "?#") && u.EscapedPath() == u.Path && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// networks reads NOTIFY_ALLOW_NETWORKS, with commas or blanks between the networks. What it opens should be what whoever
// wrote it sees, so a network is written by its first address, and an address without an interface.
func (c Notify) networks() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, field := range strings.FieldsFunc(c.AllowNetworks, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := network(field)
		switch {
		case err != nil || strings.Contains(field, "%"):
			return nil, fmt.Errorf("NOTIFY_ALLOW_NETWORKS: %q is no network such as 10.0.0.0/8", field)
		case p != p.Masked():
			return nil, fmt.Errorf("NOTIFY_ALLOW_NETWORKS: %q is an address in a network; the network is %v", field, p.Masked())
		}
		all = append(all, p)
	}
	return all, nil
}

// network reads a network, or an address, which is one of its own.
func network(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err == nil {
		if p.Addr().Is4In6() {
			return p, errors.New("an IPv4 network is written as such")
		}
		return p, nil
	}
	at, err := netip.ParseAddr(text)
	if err != nil {
		return p, fmt.Errorf("read a network: %w", err)
	}
	at = at.Unmap().WithZone("")
	return netip.PrefixFrom(at, at.BitLen()), nil
}
