package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/settings"
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

// Ensure that each variable of notifications arrives where it is read.
func TestNotifySettings(t *testing.T) {
	c, _, err := parse(nil, env("PUBLIC_URL=http://p", "NOTIFY_ALLOW_NETWORKS=127.0.0.0/8", "NOTIFY_IFTTT_URL=http://a", "NOTIFY_TODOIST_URL=http://b",
		"NOTIFY_LINEAR_URL=http://c", "NOTIFY_GOOGLE_TASKS_URL=http://d", "NOTIFY_GOOGLE_OAUTH_URL=http://e"), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Notify{
		PublicURL: "http://p", AllowNetworks: "127.0.0.0/8",
		IFTTT: "http://a", Todoist: "http://b", Linear: "http://c", GoogleTasks: "http://d", GoogleOAuth: "http://e",
	}
	if got := c.notify(); got != want {
		t.Errorf("got %+v", got)
	}
}
