package engine

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// atHome is an exchange with an agent who posts and a phone with settings.
func atHome(t *testing.T, s *recorder, phone string) (b *faultblob.Bucket, e *Engine, agent, other Caller) {
	t.Helper()
	b = faultblob.New()
	e = notifying(t, b.Store(false), s)
	_, agent = join(t, e, "agent", `{}`)
	_, other = join(t, e, "phone", phone)
	time.Sleep(time.Second)
	return b, e, agent, other
}

// postAs creates a request with that priority, which may expire.
func postAs(t *testing.T, e *Engine, c Caller, priority string, neededBy time.Time) string {
	t.Helper()
	members := map[string]string{"intent": "look", "priority": priority}
	if !neededBy.IsZero() {
		members["needed_by"] = neededBy.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	body, _ := json.Marshal(members)
	cmd := &exchange.Create{Intent: "look", Priority: priority, Request: body}
	if err := e.Create(t.Context(), c, cmd); err != nil {
		t.Fatal(err)
	}
	return cmd.Result.Ref
}

func wantOutcome(t *testing.T, b *faultblob.Bucket, piece string) {
	t.Helper()
	all := strings.Join(payloads(t, b, exchange.NoteDelivery), "\n")
	if !strings.Contains(all, piece) {
		t.Errorf("%s is not among\n%s", piece, all)
	}
}

func wantNothingLeft(t *testing.T, e *Engine) {
	t.Helper()
	if left := outboxOf(t, e); left.Events+left.Tries != 0 {
		t.Errorf("%+v is left", left)
	}
}

// quietAtNight is a phone in UTC; the bubble's time begins at midnight.
const quietAtNight = `{"notifications":[{"type":"webhook","url":"https://phone.example/in"}],
	"hooks":{"on_request_created":[{"type":"webhook","url":"https://hook.example/in"}]},
	"preferences":{"min_priority":"normal","quiet_hours":{"enabled":true,"start":"22:00","end":"07:00"}}}`

// Ensure that what comes in quiet hours is told when they end if it still is of use then, that hooks don't wait, that
// what is urgent goes through, and that what is below the lowest priority is never told.
func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{}
		b, e, agent, phone := atHome(t, s, quietAtNight)
		kept := postAs(t, e, agent, "normal", time.Time{})
		taken := postAs(t, e, agent, "normal", time.Time{})
		low := postAs(t, e, agent, "background", time.Time{})
		time.Sleep(time.Minute)
		if len(s.to("phone.example")) != 0 || len(s.to("hook.example")) != 3 {
			t.Fatalf("%d notifications at night, %d hooks", len(s.to("phone.example")), len(s.to("hook.example")))
		}
		now := postAs(t, e, agent, "urgent", time.Time{})
		if err := e.Update(t.Context(), phone, &exchange.Update{Ref: taken, Status: "claimed"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := s.to("phone.example"); len(got) != 1 || len(s.to(now)) == 0 {
			t.Fatalf("%d urgent ones", len(got))
		}
		morning := time.Now().Truncate(24 * time.Hour).Add(7 * time.Hour)
		time.Sleep(24 * time.Hour)
		var when time.Time
		for _, g := range s.to("phone.example") {
			switch body := string(g.r.Body); {
			case strings.Contains(body, kept):
				when = g.at
			case strings.Contains(body, taken), strings.Contains(body, low):
				t.Error("told", body)
			}
		}
		if when.Before(morning) || when.Sub(morning) > time.Second {
			t.Errorf("told at %v, want %v", when, morning)
		}
		wantOutcome(t, b, `"outcome":"deferred","reason":"quiet_hours","next":"2000-01-01T07:00:00Z"`)
		wantOutcome(t, b, `"outcome":"dropped","reason":"the request no longer waits"`)
		wantNothingLeft(t, e)
	})
}

// Ensure that nothing is tried again of a request that was closed, or once its deadline would have come.
func TestNoRetryInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{answer: again}
		b, e, agent, _ := atHome(t, s, webhookOf("phone"))
		closed := postAs(t, e, agent, "normal", time.Time{})
		expiring := postAs(t, e, agent, "normal", time.Now().Add(4*time.Minute))
		time.Sleep(time.Minute)
		if err := e.Update(t.Context(), agent, &exchange.Update{Ref: closed, Status: "cancelled"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		for _, ref := range []string{closed, expiring} {
			if n := len(s.to(ref)); n != 2 {
				t.Errorf("%d attempts, want those at once and after 5 seconds", n)
			}
		}
		wantOutcome(t, b, `"outcome":"dropped","reason":"the request was closed"`)
		wantOutcome(t, b, `"outcome":"dropped","status":503,"reason":"the request ends before the next attempt"`)
		wantNothingLeft(t, e)
	})
}

// Ensure that a receiver's Retry-After counts, and that urgent notifications are tried more often at first.
func TestRetryAfterAndUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{answer: func(r notify.Request) send.Outcome {
			o := again(r)
			if strings.Contains(string(r.Body), `"normal"`) {
				o.RetryAfter = 2 * time.Hour
			}
			return o
		}}
		_, e, agent, _ := atHome(t, s, webhookOf("phone"))
		slow, fast := postAs(t, e, agent, "normal", time.Time{}), postAs(t, e, agent, "urgent", time.Time{})
		time.Sleep(2*time.Hour - time.Second)
		if n := len(s.to(slow)); n != 1 {
			t.Errorf("%d attempts before the time that the receiver named", n)
		}
		time.Sleep(time.Minute)
		if n := len(s.to(slow)); n != 2 {
			t.Errorf("%d attempts after it", n)
		}
		got := s.to(fast)
		if len(got) < 5 || got[3].at.Sub(got[0].at) > 2*time.Minute {
			t.Errorf("%d urgent attempts", len(got))
		}
	})
}

// Ensure that a channel or hook whose receiver wants no more is turned off by itself, so that its owner can see it,
// and on when the profile is set again.
func TestGoneIsTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{answer: func(r notify.Request) send.Outcome {
			if strings.Contains(r.URL, "gone") {
				return send.Outcome{Verdict: send.Gone, Status: 410, Reason: "the receiver wants no more"}
			}
			return send.Outcome{Status: 200}
		}}
		const channels = `[{"type":"webhook","url":"https://gone.example/a?b=<c>&d","label":"x"},{"type":"ntfy","topic":"t"}]`
		b, e, agent, phone := atHome(t, s, `{"notifications":`+channels+`,"hooks":{"on_request_created":[{"type":"zapier","webhook_url":"https://gone-too.example/"}]}}`)
		for range 3 {
			post(t, e, agent, "look")
			time.Sleep(time.Minute)
		}
		if a, h, n := len(s.to("gone.example")), len(s.to("gone-too.example")), len(s.to("ntfy.sh")); a != 1 || h != 1 || n != 3 {
			t.Errorf("%d to the channel that is gone, %d to the hook, %d to the other", a, h, n)
		}
		p, err := e.Profile(t.Context(), phone, "phone")
		if err != nil {
			t.Fatal(err)
		}
		shown, _ := json.Marshal(p.Settings)
		if n := strings.Count(string(shown), `"disabled":{"at":"2000-01-01T00:00:0`); n != 2 || strings.Count(string(shown), `"reason":"the receiver wants no more"`) != 2 {
			t.Errorf("%s", shown)
		}
		if data, _ := b.Get(profileKey("home", "phone")); !strings.Contains(string(data), `"https://gone.example/a?b=<c>&d"`) {
			t.Errorf("%s", data)
		}
		wantOutcome(t, b, `"outcome":"failed","status":410,"reason":"the receiver wants no more"`)
		kept := strings.Replace(channels, `"label":"x"`, `"disabled":{"at":"2000-01-01T00:00:00.000Z","reason":"x"}`, 1)
		if err := e.UpdateProfile(t.Context(), phone, "phone", ProfileUpdate{Settings: map[string]json.RawMessage{"notifications": []byte(kept)}}); err != nil {
			t.Fatal(err)
		}
		post(t, e, agent, "look")
		time.Sleep(time.Minute)
		if a, h := len(s.to("gone.example")), len(s.to("gone-too.example")); a != 2 || h != 1 {
			t.Errorf("%d to the channel that was turned on, %d to the hook that was not", a, h)
		}
		wantNothingLeft(t, e)
	})
}

// Ensure that what the sender has no room for waits in the outbox.
func TestSenderFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := true
		s := &recorder{}
		s.refuse = func(notify.Request) error {
			if full {
				return send.ErrFull
			}
			return nil
		}
		b, e, agent, _ := atHome(t, s, webhookOf("phone"))
		post(t, e, agent, "look")
		time.Sleep(time.Minute)
		s.mu.Lock()
		full = false
		s.mu.Unlock()
		time.Sleep(fullPause + time.Second)
		if n := len(s.to("phone.example")); n != 1 {
			t.Errorf("%d attempts", n)
		}
		wantOutcome(t, b, `"attempt":0,"outcome":"deferred","reason":"too many requests wait to be sent"`)
		wantOutcome(t, b, `"attempt":1,"outcome":"delivered"`)
		wantNothingLeft(t, e)
	})
}

// Ensure that a retry comes in time though the exchange was put away meanwhile.
func TestWakesWhatWasPutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{answer: func(r notify.Request) send.Outcome {
			o := again(r)
			o.RetryAfter = 5 * time.Hour
			return o
		}}
		b, e, agent, _ := atHome(t, s, webhookOf("phone"))
		post(t, e, agent, "look")
		time.Sleep(2 * time.Hour)
		if open(e, "home") != "" {
			t.Fatal("the exchange is still open")
		}
		s.mu.Lock()
		s.answer = nil
		s.mu.Unlock()
		time.Sleep(3*time.Hour + time.Minute)
		if got := s.to("phone.example"); len(got) != 2 || got[1].at.Sub(got[0].at) > 5*time.Hour+time.Second {
			t.Errorf("%d attempts", len(got))
		}
		time.Sleep(time.Hour)
		if open(e, "home") != "" {
			t.Error("the exchange stays open with nothing to do")
		}
		wantOutcome(t, b, `"attempt":2,"outcome":"delivered"`)
	})
}

// Ensure that a hook of Google Tasks gets a token first, which is used until it expires, and that a refusal of the
// token is the hook's failure.
func TestAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &recorder{answer: func(r notify.Request) send.Outcome {
			if strings.HasSuffix(r.URL, "/token") {
				if strings.Contains(string(r.Body), "refresh_token=revoked") {
					return send.Outcome{Verdict: send.Failed, Status: 400, Reason: "the receiver refuses the request"}
				}
				return send.Outcome{Status: 200, Answer: []byte(`{"access_token":"tok","expires_in":3600}`)}
			}
			return send.Outcome{Status: 200, Answer: []byte(`{"id":"task-7"}`)}
		}}
		hookOf := func(refresh string) string {
			return `{"type":"google_tasks","client_id":"i","client_secret":"s","refresh_token":"` + refresh + `"}`
		}
		b, e, agent, _ := atHome(t, s, `{"hooks":{"on_request_created":[`+hookOf("good")+`,`+hookOf("revoked")+`]}}`)
		for range 3 {
			post(t, e, agent, "look")
			time.Sleep(20 * time.Minute)
		}
		time.Sleep(time.Hour)
		post(t, e, agent, "look")
		time.Sleep(time.Minute)
		if good, calls := len(s.to("refresh_token=good")), s.to("tasks.googleapis.com"); good != 2 || len(calls) != 4 || calls[3].r.Header["Authorization"] != "Bearer tok" {
			t.Errorf("%d tokens for %d tasks", good, len(calls))
		}
		wantOutcome(t, b, `"channel":"on_request_created 1 google_tasks","attempt":1,"outcome":"failed","status":400`)
		if all := strings.Join(payloads(t, b, exchange.NoteDelivery), ""); strings.Contains(all, "tok") && strings.Contains(all, "Bearer") {
			t.Error(all)
		}
		wantNothingLeft(t, e)
	})
}
