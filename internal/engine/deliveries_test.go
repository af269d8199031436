package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// listed are all deliveries of an executor, in pages of that size.
func listed(t *testing.T, e *Engine, c Caller, limit int) (all []Delivery) {
	t.Helper()
	for before := int64(0); ; {
		page, err := e.Deliveries(t.Context(), c, c.Executor, before, limit)
		if err != nil || len(page.Deliveries) > limit {
			t.Fatal(len(page.Deliveries), err)
		}
		all = append(all, page.Deliveries...)
		if before = page.Next; before == 0 {
			return all
		}
	}
}

// Ensure that an executor finds what it was told of and nobody else's, the newest first, once each whatever the pages'
// size, with what became of it and the id that the receiver got; before a restart and after it.
func TestDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		s := &recorder{answer: func(r notify.Request) send.Outcome {
			if strings.Contains(r.URL, "broken") {
				return again(r)
			}
			return send.Outcome{Status: 200}
		}}
		e := notifying(t, bucket.Store(false), s)
		_, agent := join(t, e, "agent", `{}`)
		key, phone := join(t, e, "my-phone", `{"notifications":[{"type":"webhook","url":"https://good.example/SECRET"},{"type":"webhook","url":"https://broken.example/SECRET"}]}`)
		_, robot := join(t, e, "robot", webhookOf("robot"))
		var refs []string
		for i := range 5 {
			refs = append([]string{post(t, e, agent, fmt.Sprint("task ", i))}, refs...)
			time.Sleep(4 * time.Second) // the second attempt of none is made in that time
		}
		want := listed(t, e, phone, 1000)
		if len(want) != 10 {
			t.Fatalf("%d deliveries: %+v", len(want), want)
		}
		for i, d := range want {
			good := d.Channel == "channel 0 webhook"
			if d.Ref != refs[i/2] || d.EventType != "thread_created" || good != (d.Status == "delivered") || good != d.Next.IsZero() || good != (d.HTTPStatus == 200) || d.Attempts < 1 || d.Created.IsZero() || d.Updated.Before(d.Created) {
				t.Errorf("%d: %+v", i, d)
			}
			if !good && (d.Status != "retry" || d.HTTPStatus != 503 || d.Reason == "" || !d.Next.After(d.Updated)) {
				t.Errorf("%d: %+v", i, d)
			}
			host := map[bool]string{true: "good", false: "broken"}[good]
			if !slices.ContainsFunc(s.to(host), func(g receipt) bool { return g.r.Header["webhook-id"] == d.ID }) {
				t.Errorf("%d: %s was not sent to %s", i, d.ID, host)
			}
		}
		if text, _ := json.Marshal(want); strings.Contains(string(text), "SECRET") || strings.Contains(string(text), "example") {
			t.Errorf("a secret is shown: %s", text)
		}
		for _, limit := range []int{1, 3, 9, 10, 11} {
			if got := listed(t, e, phone, limit); !slices.Equal(got, want) {
				t.Errorf("in pages of %d: %+v", limit, got)
			}
		}
		if got := listed(t, e, robot, 2); len(got) != 5 || slices.ContainsFunc(got, func(d Delivery) bool { return d.Channel != "channel 0 webhook" || d.Status != "delivered" }) {
			t.Errorf("another's: %+v", got)
		}
		if got := listed(t, e, agent, 10); len(got) != 0 {
			t.Errorf("the requestor's: %+v", got)
		}
		if page, err := e.Deliveries(t.Context(), phone, "my-phone", 1<<40, 5); err != nil || len(page.Deliveries) > 5 {
			t.Error("from nowhere:", page, err)
		}
		shut(t, e)
		e = notifying(t, bucket.Store(false), s)
		if got := listed(t, e, letIn(t, e, "home", key), 4); len(got) != len(want) {
			t.Errorf("after a restart: %+v", got)
		}
	})
}

// Ensure that the button of a message claims: its link is the one that works, and each executor gets its own.
func TestMessagesHaveClaimLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{}
		e := launchWith(t, faultblob.New().Store(false), Options{Notify: Notify{Sender: s, PublicURL: publicURL}})
		_, agent := join(t, e, "agent", `{}`)
		for _, id := range []string{"phone", "tablet"} {
			join(t, e, id, `{"notifications":[{"type":"ntfy","server":"https://`+id+`.example","topic":"t"}]}`)
		}
		ref := post(t, e, agent, "Check the door")
		time.Sleep(2 * time.Second)
		tokens := map[string]string{}
		for _, id := range []string{"phone", "tablet"} {
			sent := s.to(id + ".example")
			if len(sent) != 1 {
				t.Fatalf("%s got %d", id, len(sent))
			}
			var message struct {
				Actions []struct{ Action, URL, Method string }
			}
			if err := json.Unmarshal(sent[0].r.Body, &message); err != nil || len(message.Actions) != 1 || message.Actions[0].Method != "POST" {
				t.Fatalf("%s, %v", sent[0].r.Body, err)
			}
			tokens[id] = strings.TrimPrefix(message.Actions[0].URL, publicURL+claimPath)
		}
		for id, token := range tokens {
			if got, err := e.ReadLink(t.Context(), token); err != nil || got.Executor != id || got.Thread.Ref != ref {
				t.Error(id, got, err)
			}
		}
		if got, err := e.ClaimByLink(t.Context(), tokens["tablet"]); err != nil || got.Thread.Executor != "tablet" {
			t.Error(got, err)
		}
	})
}
