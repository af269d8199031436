package channel

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

var sent = time.Date(2026, 2, 1, 22, 0, 1, 0, time.UTC)

// delivery is one of a thread that differs from an ordinary one in the members given.
func delivery(typ notify.EventType, changed string) Delivery {
	t := exchange.Thread{
		Ref: "2026-02-01-XY1Z", Status: "pending", Intent: "Is the garage door closed?", Requestor: "claude-agent", Priority: "normal",
		CreatedAt: sent.Add(-time.Second), UpdatedAt: sent.Add(-time.Second),
	}
	if err := json.Unmarshal([]byte(changed), &t); err != nil {
		panic(err)
	}
	told := notify.Tell(notify.Change{Type: typ, Actor: "claude-agent", After: t}, exchange.New())
	return Delivery{Notification: told.Notification, ID: "msg_2SOBGTK5CDCAUTGO6KLW3ESABPNC3X7M", Now: sent}
}

// entry reads a channel the way a profile is read.
func entry(t testing.TB, channel string) settings.Entry {
	t.Helper()
	members := map[string]json.RawMessage{"notifications": json.RawMessage("[" + channel + "]")}
	if err := settings.Check(members); err != nil {
		t.Fatal(err)
	}
	s, _ := settings.Read(members)
	return s.Channels[0]
}

// TestGolden holds every byte of what is sent to a channel. A case of testdata/*.txt is "created" or "changed",
// "public" where the server has an address for people, the channel, and what the thread has that is not
// ordinary. A request with JSON in it that is not valid UTF-8 or not JSON fails.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			channel, changed, _ := strings.Cut(d.Input, "\n")
			if changed == "" {
				changed = "{}"
			}
			typ := map[string]notify.EventType{"created": notify.ThreadCreated, "changed": notify.StatusChanged}[d.Cmd]
			one := delivery(typ, changed)
			if d.HasArg("public") {
				one.Notification.OpenURL = "https://mess.example/app/#/t/2026-02-01-XY1Z"
				one.Notification.ClaimURL = "https://mess.example/a/TOKEN/claim"
			}
			r, err := Request(entry(t, channel), one)
			if err != nil {
				t.Fatal(err)
			}
			return printRequest(t, r)
		})
	})
}

func printRequest(t *testing.T, r notify.Request) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s\n", r.Method, r.URL)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&out, "%s: %s\n", name, r.Header[name])
	}
	if !json.Valid(r.Body) {
		t.Errorf("no JSON: %s", r.Body)
	}
	fmt.Fprintf(&out, "%s\n", r.Body)
	if r.Operated {
		t.Error("an executor's channel is sent as if the operator had chosen it")
	}
	return out.String()
}

// Ensure that receivers who use the library of Standard Webhooks accept what is signed: with the secret, with the one
// before it, and for no other body, id or time.
func TestSignature(t *testing.T) {
	const older, newer = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	const stranger = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
	verify := func(secret string, r notify.Request) error {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		for name, value := range r.Header {
			h.Set(name, value)
		}
		return w.VerifyIgnoringTimestamp(r.Body, h)
	}
	one := delivery(notify.ThreadCreated, `{"Intent":"<&>é\u2028\n"}`)
	make := func(channel string) notify.Request {
		r, err := Request(entry(t, channel), one)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	alone := make(`{"type":"webhook","url":"https://h","secret":"` + older + `"}`)
	both := make(`{"type":"webhook","url":"https://h","secret":"` + newer + `","previous_secret":"` + older + `"}`)
	for name, ok := range map[string]bool{
		"alone":               verify(older, alone) == nil,
		"another's":           verify(stranger, alone) != nil,
		"rotating, the old":   verify(older, both) == nil,
		"rotating, the new":   verify(newer, both) == nil,
		"rotating, another's": verify(stranger, both) != nil,
	} {
		if !ok {
			t.Error(name)
		}
	}
	for name, spoil := range map[string]func(*notify.Request){
		"body": func(r *notify.Request) { r.Body = append(slices.Clone(r.Body), ' ') },
		"id":   func(r *notify.Request) { r.Header["webhook-id"] += "x" },
		"time": func(r *notify.Request) { r.Header["webhook-timestamp"] = "1700000000" },
	} {
		r := alone
		r.Header = maps.Clone(alone.Header)
		if spoil(&r); verify(older, r) == nil {
			t.Errorf("another %s passes", name)
		}
	}
	if r := make(`{"type":"webhook","url":"https://h"}`); r.Header["webhook-signature"] != "" || r.Header["webhook-id"] != one.ID {
		t.Errorf("without a secret: %v", r.Header)
	}
}

// everyWord is a thread whose every text is the same.
func everyWord(s string) exchange.Thread {
	return exchange.Thread{Ref: s, Status: s, Intent: s, Requestor: s, Executor: s, Priority: s}
}

// FuzzLimits: whatever the words, each receiver gets JSON in UTF-8 within its limits, and nothing in it that it
// takes for a command.
func FuzzLimits(f *testing.F) {
	for _, seed := range []string{"", "a", "\"", "\x00", "\xff", "€", "<!channel>", "<users/all>", "&amp;", "\u2028", "🙂", " \n ", "\\"} {
		f.Add(seed, uint16(1))
		f.Add(seed, uint16(5000))
	}
	channels := map[string]settings.Entry{}
	for typ, channel := range map[string]string{
		"ntfy": `{"type":"ntfy","topic":"t"}`, "slack": `{"type":"slack","webhook_url":"https://h"}`,
		"google_chat": `{"type":"google_chat","webhook_url":"https://h"}`, "webhook": `{"type":"webhook","url":"https://h"}`,
	} {
		channels[typ] = entry(f, channel)
	}
	f.Fuzz(func(t *testing.T, word string, times uint16) {
		thread := everyWord(strings.Repeat(word, min(int(times), 5_000/max(1, len(word)))))
		n := notify.Tell(notify.Change{Type: notify.ThreadCreated, After: thread}, exchange.New()).Notification
		n.OpenURL, n.ClaimURL = "https://mess.example/app/#/t/2026-02-01-XY1Z", "https://mess.example/a/TOKEN/claim"
		for name, channel := range channels {
			r, err := Request(channel, Delivery{Notification: n, ID: "msg_X", Now: sent})
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.Valid(r.Body) {
				t.Fatalf("%s: no UTF-8: %q", name, r.Body)
			}
			if problem := limits[name](r.Body); problem != "" {
				t.Fatalf("%s: %s: %.300s", name, problem, r.Body)
			}
		}
	})
}
