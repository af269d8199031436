package main

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/notify/hook"
)

// Ensure that mistakes in what notifications need name their variable, and don't repeat a password.
func TestMistakenNotifySettings(t *testing.T) {
	nowhere := t.TempDir() + "/data"
	for _, c := range []mistake{
		{nil, []string{"PUBLIC_URL=mess.example.org"}, "PUBLIC_URL: must be a whole http or https URL"},
		{nil, []string{"PUBLIC_URL=//mess.example.org"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=ftp://mess.example.org"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=https://"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=https://:443"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=https://mess.example.org/?a=b"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=https://mess.example.org/#a"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=https://mess.example.org/a b"}, "PUBLIC_URL: must be"},
		{nil, []string{"PUBLIC_URL=https://me:s3cret@mess.example.org"}, "PUBLIC_URL: must be"},
		{[]string{"serve", "--public-url", "https://mess.example.org\u202e"}, nil, "PUBLIC_URL: must be"},
		{nil, []string{"NOTIFY_ALLOW_NETWORKS=lan"}, `NOTIFY_ALLOW_NETWORKS: "lan" is no network such as 10.0.0.0/8`},
		{nil, []string{"NOTIFY_ALLOW_NETWORKS=10.0.0.1/8"}, "NOTIFY_ALLOW_NETWORKS: "},
		{nil, []string{"NOTIFY_ALLOW_NETWORKS=10.0.0.0/33"}, "NOTIFY_ALLOW_NETWORKS: "},
		{nil, []string{"NOTIFY_IFTTT_URL=maker"}, "NOTIFY_IFTTT_URL: must be"},
		{nil, []string{"NOTIFY_TODOIST_URL=x:y"}, "NOTIFY_TODOIST_URL: must be"},
		{nil, []string{"NOTIFY_LINEAR_URL=/graphql"}, "NOTIFY_LINEAR_URL: must be"},
		{nil, []string{"NOTIFY_GOOGLE_TASKS_URL=http://a?b"}, "NOTIFY_GOOGLE_TASKS_URL: must be"},
		{nil, []string{"NOTIFY_GOOGLE_OAUTH_URL=http://a@b"}, "NOTIFY_GOOGLE_OAUTH_URL: must be"},
	} {
		c.isRefused(t, nowhere)
	}
	_, _, err := parse(nil, env("PUBLIC_URL=https://me:s3cret@mess.example.org"), &bytes.Buffer{})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	// Other commands have no use for them.
	if _, _, err := parse([]string{"check"}, env("PUBLIC_URL=x", "NOTIFY_ALLOW_NETWORKS=x"), &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

// Ensure what becomes of the settings of notifications.
func TestNotifySettings(t *testing.T) {
	for _, c := range []struct {
		environment []string
		want        engine.Notify
		networks    []string
	}{
		{nil, engine.Notify{}, nil},
		{
			[]string{
				"PUBLIC_URL=https://mess.example.org:8443/mess/", "NOTIFY_ALLOW_NETWORKS=192.168.0.0/16,fd00::/8 127.0.0.1",
				"NOTIFY_IFTTT_URL=http://a:1/x", "NOTIFY_TODOIST_URL=http://b:2/", "NOTIFY_LINEAR_URL=http://[::1]:3",
				"NOTIFY_GOOGLE_TASKS_URL=HTTP://d:4", "NOTIFY_GOOGLE_OAUTH_URL=https://e",
			},
			engine.Notify{PublicURL: "https://mess.example.org:8443/mess", Services: hook.Services{
				IFTTT: "http://a:1/x", Todoist: "http://b:2", Linear: "http://[::1]:3", GoogleTasks: "HTTP://d:4", GoogleOAuth: "https://e",
			}},
			[]string{"192.168.0.0/16", "fd00::/8", "127.0.0.1/32"},
		},
	} {
		parsed, _, err := parse(nil, env(c.environment...), &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := parsed.notify()
		if err != nil || got.PublicURL != c.want.PublicURL || got.Services != c.want.Services {
			t.Errorf("%v: got %+v, %v", c.environment, got, err)
		}
		networks, err := parsed.allowedNetworks()
		texts := []string{}
		for _, network := range networks {
			texts = append(texts, netip.Prefix.String(network))
		}
		if err != nil || !slices.Equal(texts, c.networks) {
			t.Errorf("%v: got %v, %v", c.environment, texts, err)
		}
	}
}
