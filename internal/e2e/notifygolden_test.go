//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestNotificationsGolden holds every byte that the program sends to each kind of channel and hook, as it comes over
// the wire. A case of testdata/notifications/*.txt is the profile of phone, or with "of=agent" of the one who asks, and
// the steps of a request's life, all of them phone's, with how many requests each makes: "created=1 completed=2".
//
// RECEIVER, REF, TIME, UNIX, ID, TOKEN, SIGNATURE and LENGTH stand for what is another each time. A signature is
// verified by the library of Standard Webhooks, with each secret of the channel.
func TestNotificationsGolden(t *testing.T) {
	r := listen(t, "127.0.0.1")
	for element, answer := range map[string]string{
		"/oauth":   `{"access_token":"ya29.of-this-test","expires_in":3600,"token_type":"Bearer"}`,
		"/google":  `{"kind":"tasks#task","id":"MTIzNDU2","status":"needsAction"}`,
		"/todoist": `{"id":"987654","content":"x"}`,
		"/linear":  `{"data":{"issueCreate":{"success":true,"issue":{"id":"0a1b","identifier":"HOME-7","url":"https://linear.app/HOME-7"}}}}`,
		"/mine":    `{"task_id":4711}`,
	} {
		r.treat(element, answers(200, answer))
	}
	s := start(t, append(folder(t).settings, toReceivers, "PUBLIC_URL=https://mess.example.org",
		"NOTIFY_GOOGLE_OAUTH_URL="+r.url+"/oauth", "NOTIFY_GOOGLE_TASKS_URL="+r.url+"/google", "NOTIFY_TODOIST_URL="+r.url+"/todoist",
		"NOTIFY_LINEAR_URL="+r.url+"/linear", "NOTIFY_IFTTT_URL="+r.url+"/ifttt")...)
	cases := 0
	datadriven.Walk(t, "testdata/notifications", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			cases++
			return golden(t, at(s, fmt.Sprintf("golden-%d", cases)), r, d)
		})
	})
}

// golden lives the life of a request and prints what arrives.
func golden(t *testing.T, home client, r *receiver, d *datadriven.TestData) string {
	t.Helper()
	var profile members
	in := json.NewDecoder(strings.NewReader(strings.ReplaceAll(d.Input, "RECEIVER", r.addr)))
	in.UseNumber() // so that they are sent as they are spelled
	if err := in.Decode(&profile); err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	of := "phone"
	if d.HasArg("of") {
		d.ScanArgs(t, "of", &of)
	}
	people := map[string]client{}
	for _, id := range []string{"agent", "phone"} {
		if id == of {
			people[id] = home.profile(t, id, profile)
		} else {
			people[id] = home.register(t, id)
		}
	}
	var out strings.Builder
	ref, told := "", 0
	for _, step := range d.CmdArgs {
		if step.Key == "of" {
			continue
		}
		before := len(r.got(anything))
		if step.Key == "created" {
			ref = people["agent"].create(t, members{"intent": "Is the <garage> door closed? <!channel> & \"é\"\n😀 {{ref}}", "priority": "elevated"})
		} else {
			people["phone"].set(t, ref, step.Key)
		}
		n, err := strconv.Atoi(step.Vals[0])
		if err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		all := r.wait(t, before+n, anything)[before:]
		if len(all) != n {
			t.Errorf("%s: %s made %d requests, want %d", d.Pos, step.Key, len(all), n)
		}
		for _, a := range all {
			verifySignatures(t, profile, a)
			fmt.Fprintf(&out, "%s:\n%s\n", step.Key, placeholders(a, r, ref))
			if !strings.HasPrefix(a.path, "/oauth") {
				told++
			}
		}
		// What a hook has opened is known to the next one when its outcome is in the log.
		waitUntil(t, fmt.Sprintf("%d deliveries that have come", told), func() (bool, string) {
			list := people[of].deliveries(t, of)
			delivered := slices.DeleteFunc(slices.Clone(list), func(d delivery) bool { return d.Status != "delivered" })
			return len(delivered) == told, fmt.Sprint(list)
		})
	}
	// A carriage return would not survive in a text file.
	return strings.ReplaceAll(out.String(), "\r\n", "\n")
}

// verifySignatures fails the test where a request has no valid signature for each secret of the channel, or one that
// nothing accounts for.
func verifySignatures(t *testing.T, profile members, a arrival) {
	t.Helper()
	channels, _ := profile["notifications"].([]any)
	var secrets []string
	for _, channel := range channels {
		for _, name := range []string{"secret", "previous_secret"} {
			if secret, ok := channel.(members)[name].(string); ok {
				secrets = append(secrets, secret)
			}
		}
	}
	for _, secret := range secrets {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Verify(a.body, a.header); err != nil {
			t.Errorf("the signature by one of %d secrets: %v", len(secrets), err)
		}
		if err := w.Verify(append(slices.Clone(a.body), ' '), a.header); err == nil {
			t.Error("another body has the same signature")
		}
	}
	if got := len(strings.Fields(a.header.Get("Webhook-Signature"))); got != len(secrets) {
		t.Errorf("%d signatures, want %d", got, len(secrets))
	}
}

var (
	wireTime      = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
	wireUnix      = regexp.MustCompile(`(?m)^(webhook-timestamp: )\d{10}\r$`)
	wireID        = regexp.MustCompile(`msg_[A-Z2-7]{32}`)
	wireToken     = regexp.MustCompile(`(https://mess\.example\.org/a/)[-_A-Za-z0-9]+`)
	wireSignature = regexp.MustCompile(`v1,[+/A-Za-z0-9]{43}=`)
	wireLength    = regexp.MustCompile(`(?m)^(Content-Length: )\d+\r$`)
)

// placeholders is a request without what is another each time. Its length can be told by: it was read by it, and
// nothing came behind it.
func placeholders(a arrival, r *receiver, ref string) string {
	raw := strings.ReplaceAll(strings.ReplaceAll(a.raw, r.addr, "RECEIVER"), ref, "REF")
	if *onWorker {
		raw = sentByGo(raw)
	}
	raw = wireTime.ReplaceAllString(raw, "TIME")
	raw = wireUnix.ReplaceAllString(raw, "${1}UNIX\r")
	raw = wireID.ReplaceAllString(raw, "ID")
	raw = wireToken.ReplaceAllString(raw, "${1}TOKEN")
	raw = wireSignature.ReplaceAllString(raw, "v1,SIGNATURE")
	return wireLength.ReplaceAllString(raw, "${1}LENGTH\r")
}

// sentByGo is a request of the Worker with its headers in the order in which the program sends them, and without the one
// that Cloudflare adds. Nothing else may differ.
func sentByGo(raw string) string {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	first := []string{"Host:", "User-Agent:", "Content-Length:"}
	slices.SortStableFunc(lines[1:], func(a, b string) int {
		place := func(line string) int {
			if i := slices.IndexFunc(first, func(name string) bool { return strings.HasPrefix(line, name) }); i >= 0 {
				return i
			}
			return len(first)
		}
		return cmp.Or(place(a)-place(b), strings.Compare(a, b))
	})
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "CF-Worker:") })
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// TestNotificationTest: whoever has channels can try them out, and is told what came of each.
func TestNotificationTest(t *testing.T) {
	r := listen(t, "127.0.0.1")
	r.treat("/bad", answers(404, ""))
	s := start(t, append(folder(t).settings, toReceivers)...)
	phone := at(s, "home").profile(t, "phone", members{"notifications": []members{
		{"type": "ntfy", "server": r.url + "/ntfy", "topic": "mess-home"}, {"type": "webhook", "url": r.url + "/bad"},
	}})
	a := phone.want(t, http.StatusOK, "POST", "/executors/phone/notifications/test", nil)
	want := `{"results":[{"channel":"channel 0 ntfy","outcome":"delivered","reason":null,"status":200},{"channel":"channel 1 webhook","outcome":"failed","reason":"the receiver refuses the request","status":404}]}`
	if got := compact(t, a.body); !sameJSON(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := r.got(anything); len(got) != 2 {
		t.Errorf("arrived: %v", got)
	}
	if got := phone.deliveries(t, "phone"); len(got) != 0 {
		t.Errorf("a test stands among the deliveries: %v", got)
	}
}
