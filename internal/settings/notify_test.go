package settings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/notify/hook"
)

// Ensure what becomes of the settings of notifications, and that none of them makes a sender by itself.
func TestNotify(t *testing.T) {
	got, err := Notify{
		PublicURL: "https://mess.example.org:8443/mess/", IFTTT: "http://a:1/x", Todoist: "http://b:2/", Linear: "http://[::1]:3",
		GoogleTasks: "HTTP://d:4", GoogleOAuth: "https://e",
	}.Read()
	services := hook.Services{IFTTT: "http://a:1/x", Todoist: "http://b:2", Linear: "http://[::1]:3", GoogleTasks: "HTTP://d:4", GoogleOAuth: "https://e"}
	if err != nil || got.PublicURL != "https://mess.example.org:8443/mess" || got.Services != services || got.Sender != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := (Notify{}).Read(); err != nil || got.PublicURL != "" || got.Services != (hook.Services{}) {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
}

// Ensure that the sender comes with what was set, and not where that is a mistake.
func TestNotifyWithSender(t *testing.T) {
	got, sender, err := Notify{PublicURL: "https://mess.example.org", AllowNetworks: "127.0.0.0/8"}.WithSender()
	if err != nil || sender == nil || got.Sender != sender || got.PublicURL == "" {
		t.Fatalf("got %+v, %v", got, err)
	}
	sender.Close()
	for _, mistake := range []Notify{{PublicURL: "mess.example.org"}, {AllowNetworks: "lan"}} {
		if got, sender, err := mistake.WithSender(); err == nil || sender != nil || got.Sender != nil {
			t.Errorf("%+v: %+v, %v", mistake, got, err)
		}
	}
}

// Ensure which networks can be allowed, and that a mistake is a sentence that names the variable.
func TestNotifyNetworks(t *testing.T) {
	for list, want := range map[string]string{
		"": "[]", "10.0.0.0/8": "[10.0.0.0/8]", " 10.0.0.0/8,,fd00::/8 ": "[10.0.0.0/8 fd00::/8]", "192.168.1.5 ::1": "[192.168.1.5/32 ::1/128]",
		"0.0.0.0/0": "[0.0.0.0/0]", "::ffff:10.0.0.1": "[10.0.0.1/32]",
	} {
		if got, err := (Notify{AllowNetworks: list}).networks(); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v, want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"10.0.0.0/33", "10.0.0.1/8", "home", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/8;fd00::/8"} {
		if got, err := (Notify{AllowNetworks: list}).networks(); err == nil || !strings.HasPrefix(err.Error(), "NOTIFY_ALLOW_NETWORKS: ") {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
}
