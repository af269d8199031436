//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

const notCalled = "the address is not one that may be called"

// TestNotificationsStayOutside: an executor can't make the server call what is around it, however it spells the
// address; it is told that this failed, and what is around the server hears nothing.
func TestNotificationsStayOutside(t *testing.T) {
	near := listen(t, "127.0.0.1")
	port := near.addr[strings.LastIndex(near.addr, ":")+1:]
	targets := []string{
		near.url, "http://localhost:" + port, "http://127.1.2.3:" + port, "http://2130706433:" + port, "http://0x7f.1:" + port,
		"http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port, "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/latest/",
		"http://10.0.0.1", "http://192.168.0.1", "http://100.64.0.1", "http://[64:ff9b::7f00:1]",
	}
	receivers := []*receiver{near}
	if hasIPv6() {
		r := listen(t, "::1")
		receivers, targets = append(receivers, r), append(targets, r.url)
	}
	s := start(t, folder(t).settings...)
	home := at(s, "home")
	agent := home.register(t, "agent")
	people := map[string]client{}
	for i, target := range targets {
		id := fmt.Sprintf("phone-%d", i)
		people[id] = home.profile(t, id, members{
			"notifications": []members{{"type": "webhook", "url": target}, {"type": "ntfy", "server": target, "topic": "t"}},
			"hooks":         members{"on_request_created": []members{{"type": "webhook", "url": target, "method": "GET"}}},
		})
	}
	ref := agent.create(t, intent("x"))
	for i, target := range targets {
		id := fmt.Sprintf("phone-%d", i)
		var all []delivery
		waitUntil(t, "three deliveries to "+target+" that have an end", func() (bool, string) {
			all = people[id].deliveries(t, id)
			ended := 0
			for _, d := range all {
				if d.Status == "failed" || d.Status == "retry" && isAName(target) && d.Attempts > 0 {
					ended++
				}
			}
			return ended == 3, fmt.Sprint(all)
		})
		for _, d := range all {
			if d.Ref != ref || d.HTTPStatus != nil || d.Attempts != 1 || orNull(d.Reason) != notCalled && !isAName(target) {
				t.Errorf("%s: got %v", target, d)
			}
		}
		a := people[id].want(t, http.StatusOK, "POST", "/executors/"+id+"/notifications/test", nil)
		if strings.Contains(string(a.body), `"delivered"`) {
			t.Errorf("a test to %s: got %v", target, a)
		}
	}
	for _, r := range receivers {
		if got := r.got(anything); len(got) > 0 {
			t.Errorf("what listens at %s got %v", r.addr, got)
		}
	}
	if log := s.log.tail(1 << 20); strings.Contains(log, near.addr) || strings.Contains(log, "meta-data") {
		t.Errorf("the log names where channels lead:\n%s", log)
	}
}

// isAName reports whether a host is one of the spellings that some resolvers take for an address and others for a name
// that nobody has.
func isAName(target string) bool {
	return strings.HasPrefix(target, "http://2130706433") || strings.HasPrefix(target, "http://0x7f.1")
}

// hasIPv6 reports whether this machine has a loopback address of it; many containers have none.
func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// TestNotificationsDontFollow: what may be called can't send the server on to what may not, nor anywhere else.
func TestNotificationsDontFollow(t *testing.T) {
	r, other := listen(t, "127.0.0.1"), listen(t, "127.0.0.1")
	s := start(t, append(folder(t).settings, "NOTIFY_ALLOW_NETWORKS=127.0.0.1/32")...)
	home := at(s, "home")
	agent := home.register(t, "agent")
	for i, to := range []string{"http://169.254.169.254/latest/meta-data/", other.url + "/x", "//" + other.addr + "/y", "/somewhere", "file:///etc/passwd"} {
		element, id := fmt.Sprintf("/redirect-%d", i), fmt.Sprintf("phone-%d", i)
		r.treat(element, redirects(to))
		phone := home.profile(t, id, toWebhook(r.url+element))
		agent.create(t, intent(to))
		got := phone.become(t, id, "failed")
		if got.HTTPStatus == nil || *got.HTTPStatus != http.StatusFound || orNull(got.Reason) != "the receiver redirects, which is not followed" {
			t.Errorf("to %s: got %v", to, got)
		}
	}
	if got := other.got(anything); len(got) > 0 {
		t.Errorf("the server followed: %v", got)
	}
	if got := r.got(on("/somewhere")); len(got) > 0 {
		t.Errorf("the server followed: %v", got)
	}
}
