//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// toReceivers lets a server call the receivers of these tests, which all listen here.
const toReceivers = "NOTIFY_ALLOW_NETWORKS=127.0.0.0/8"

// members is a JSON object in the making.
type members = map[string]any

// profile registers an executor with more than its id.
func (c client) profile(tb testing.TB, id string, more members) client {
	tb.Helper()
	body := members{"executor_id": id}
	for name, value := range more {
		body[name] = value
	}
	return c.as(c.want(tb, http.StatusCreated, "POST", "/register", body).text("api_key"))
}

// toWebhook is a profile whose only channel is a webhook.
func toWebhook(url string) members {
	return members{"notifications": []members{{"type": "webhook", "url": url}}}
}

// delivery is an entry of one's own list.
type delivery struct {
	ID         string  `json:"id"`
	Ref        string  `json:"ref"`
	EventType  string  `json:"event_type"`
	Channel    string  `json:"channel"`
	Status     string  `json:"status"`
	Attempts   int     `json:"attempts"`
	HTTPStatus *int    `json:"http_status"`
	Reason     *string `json:"reason"`
	NextTry    *string `json:"next_try"`
	CreatedAt  string  `json:"created_at"`
	UpdatedAt  string  `json:"updated_at"`
}

func (d delivery) String() string {
	status := "none"
	if d.HTTPStatus != nil {
		status = fmt.Sprint(*d.HTTPStatus)
	}
	return fmt.Sprintf("%s of %s by %q: %s after %d attempts, status %s, reason %s, next %s",
		d.EventType, d.Ref, d.Channel, d.Status, d.Attempts, status, orNull(d.Reason), orNull(d.NextTry))
}

// deliveries lists what an executor was told, page by page, the newest first.
func (c client) deliveries(tb testing.TB, id string) (all []delivery) {
	tb.Helper()
	for query := "?limit=100"; ; {
		a := c.want(tb, http.StatusOK, "GET", "/executors/"+id+"/deliveries"+query, nil)
		page := decode[struct {
			Deliveries []delivery
			Next       string `json:"next_cursor"`
		}](tb, a)
		all = append(all, page.Deliveries...)
		if page.Next == "" {
			return all
		}
		query = "?limit=100&cursor=" + page.Next
	}
}

// waitUntil asks until what it asks for is so. What it waits for is the server's own doing, of which nobody tells.
func waitUntil(tb testing.TB, what string, so func() (bool, string)) {
	tb.Helper()
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		ok, is := so()
		if ok {
			return
		}
		if time.Since(begun) > arrivesWithin {
			tb.Fatalf("within %v there was not %s, but %s", arrivesWithin, what, is)
		}
	}
}

// become waits until the newest delivery of an executor is as wanted.
func (c client) become(tb testing.TB, id, status string) (newest delivery) {
	tb.Helper()
	waitUntil(tb, "a delivery to "+id+" that is "+status, func() (bool, string) {
		all := c.deliveries(tb, id)
		if len(all) == 0 {
			return false, "none"
		}
		newest = all[0]
		return newest.Status == status, newest.String()
	})
	return newest
}

// behaviour is what a receiver does, and what becomes of telling it of one request.
type behaviour struct {
	name     string
	does     manner
	status   string // of the delivery, in the end
	attempts int
	http     int // 0 for none
	reason   string
	after    time.Duration // how long the next attempt is away, at least
}

// TestReceivers: whatever a receiver does, it is told once if it takes what it is told, again if that can help, and no
// more if not; and its executor can see which.
func TestReceivers(t *testing.T) {
	t.Parallel()
	s := start(t, append(folder(t).settings, toReceivers)...)
	for _, b := range []behaviour{
		{name: "answers", does: answers(204, ""), status: "delivered", attempts: 1, http: 204},
		{name: "recovers", does: afterwards(1, answers(500, "oh"), answers(200, "ok")), status: "delivered", attempts: 2, http: 200},
		{name: "breaks", does: afterwards(1, breaks, answers(200, "ok")), status: "delivered", attempts: 2, http: 200},
		{name: "waits", does: answers(429, "", "Retry-After", "3600"), status: "retry", attempts: 1, http: 429, reason: "the receiver is not able to now", after: 55 * time.Minute},
		{name: "refuses", does: answers(404, ""), status: "failed", attempts: 1, http: 404, reason: "the receiver refuses the request"},
		{name: "redirects", does: redirects("http://169.254.169.254/latest/meta-data/"), status: "failed", attempts: 1, http: 302, reason: "the receiver redirects, which is not followed"},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel() // some take their time
			b.tell(t, s)
		})
	}
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		hungUp := make(chan bool, 1)
		hanging := func(c net.Conn, a arrival) bool {
			hangs(c, a)
			select {
			case hungUp <- true:
			default: // by a later attempt
			}
			return false
		}
		behaviour{name: "hangs", does: hanging, status: "retry", attempts: 1, reason: "no answer in time"}.tell(t, s)
		select {
		case <-hungUp:
		case <-time.After(arrivesWithin):
			t.Errorf("the server gave up, and %v later its connection is still there", arrivesWithin)
		}
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		b := behaviour{name: "gone", does: answers(410, ""), status: "failed", attempts: 1, http: 410, reason: "the receiver wants no more"}
		r, agent, phone := b.tell(t, s)
		wantOff(t, agent, phone, r)
	})
	t.Run("floods", func(t *testing.T) {
		t.Parallel()
		flood := make(chan int64, 1)
		behaviour{name: "floods", does: floods(func(n int64) { flood <- n }), status: "delivered", attempts: 1, http: 200}.tell(t, s)
		if taken := <-flood; taken > 64<<20 { // what fits into the buffers of a connection
			t.Errorf("the server took %d bytes of an answer", taken)
		}
	})
}

// tell tells a receiver that behaves so of one request, on an exchange of its own, and holds to it what becomes of that.
func (b behaviour) tell(t *testing.T, s *server) (r *receiver, agent, phone client) {
	t.Helper()
	r = listen(t, "127.0.0.1")
	r.treat("/hook", b.does)
	agent = at(s, "to-"+b.name).register(t, "agent")
	phone = agent.profile(t, "phone", toWebhook(r.url+"/hook"))
	ref := agent.create(t, intent("x"))
	var got delivery
	waitUntil(t, "a delivery that is "+b.status, func() (bool, string) {
		all := phone.deliveries(t, "phone")
		if len(all) != 1 || all[0].Status != b.status || all[0].Attempts != b.attempts {
			return false, fmt.Sprint(all)
		}
		got = all[0]
		return true, ""
	})
	status, reason := 0, ""
	if got.HTTPStatus != nil {
		status = *got.HTTPStatus
	}
	if got.Reason != nil {
		reason = *got.Reason
	}
	if got.Ref != ref || got.EventType != "thread_created" || got.Channel != "channel 0 webhook" || status != b.http || reason != b.reason {
		t.Errorf("got %v", got)
	}
	if (got.NextTry != nil) != (b.status == "retry") {
		t.Errorf("the next attempt of %v", got)
	} else if got.NextTry != nil {
		next, err := time.Parse(time.RFC3339, *got.NextTry)
		if err != nil || time.Until(next) < b.after {
			t.Errorf("the next attempt is at %s, %v; want it in %v or later", *got.NextTry, err, b.after)
		}
	}
	all := r.got(anything)
	if len(all) != b.attempts {
		t.Errorf("%d requests arrived, want %d", len(all), b.attempts)
	}
	for _, a := range all {
		if a.header.Get("Webhook-Id") != got.ID {
			t.Errorf("a request with the id %q, want %q", a.header.Get("Webhook-Id"), got.ID)
		}
	}
	return r, agent, phone
}

// wantOff: a receiver that wants no more gets no more, until its owner sets the channel again.
func wantOff(t *testing.T, agent, phone client, r *receiver) {
	t.Helper()
	// Another channel shows when the next request was told to all who hear of it.
	other := phone.profile(t, "other", toWebhook(r.url+"/other"))
	next := agent.create(t, intent("y"))
	r.wait(t, 1, on("/other"))
	if got := other.become(t, "other", "delivered"); got.Ref != next {
		t.Errorf("got %v, want it of %s", got, next)
	}
	if all := r.got(on("/hook")); len(all) != 1 {
		t.Errorf("a receiver that wants no more got %d requests", len(all))
	}
	r.treat("/hook", answers(200, ""))
	phone.want(t, http.StatusOK, "PATCH", "/executors/phone", toWebhook(r.url+"/hook"))
	ref := agent.create(t, intent("z"))
	if last := r.wait(t, 2, on("/hook"))[1]; !strings.Contains(string(last.body), ref) {
		t.Errorf("after it was turned on: got %v, want %s", last, ref)
	}
}

// TestWhoIsTold: the rule of who hears of what, through the whole life of a request.
func TestWhoIsTold(t *testing.T) {
	onEachNotifying(t, func(t *testing.T, s *server, r *receiver) {
		home := at(s, "home")
		join := func(id string, more members) client {
			p := toWebhook(r.url + "/" + id)
			p["hooks"] = members{}
			for _, moment := range []string{"created", "claimed", "started", "completed", "rejected", "cancelled"} {
				p["hooks"].(members)["on_request_"+moment] = []members{{"type": "webhook", "url": r.url + "/" + id + "/" + moment}}
			}
			for name, value := range more {
				p[name] = value
			}
			return home.profile(t, id, p)
		}
		agent := join("agent", nil)
		phone := join("phone", members{"capabilities": []string{"photo"}})
		join("watch", nil) // can't take photos
		join("tablet", members{"capabilities": []string{"photo"}, "preferences": members{"min_priority": "urgent"}})

		ref := agent.create(t, members{"intent": "Is the door closed?", "requires": []string{"photo"}})
		told(t, r, ref, "pending", "phone phone/created tablet/created")
		phone.set(t, ref, "claimed")
		told(t, r, ref, "claimed", "agent agent/claimed phone/claimed tablet/claimed watch/claimed")
		phone.set(t, ref, "in_progress")
		told(t, r, ref, "in_progress", "agent phone/started")
		phone.set(t, ref, "completed")
		told(t, r, ref, "completed", "agent phone/completed")

		ref = agent.create(t, intent("and this?"))
		told(t, r, ref, "pending", "agent/created phone phone/created tablet/created watch watch/created")
		agent.set(t, ref, "cancelled")
		told(t, r, ref, "cancelled", "agent/cancelled phone/cancelled tablet/cancelled watch/cancelled")
	})
}

// onEachNotifying runs a test against a server of each storage that may call a receiver.
func onEachNotifying(t *testing.T, test func(t *testing.T, s *server, r *receiver)) {
	inEachStorage(t, func(t *testing.T, place storage) {
		test(t, start(t, append(place.settings, toReceivers)...), listen(t, "127.0.0.1"))
	})
}

// told waits until a thread's change to a status has arrived at some paths, and fails where it does at others. The body
// of a hook is {}, so those are told by what came since the last time.
func told(t *testing.T, r *receiver, ref, status, paths string) {
	t.Helper()
	want := strings.Fields(paths)
	var got []string
	for _, a := range r.wait(t, len(want), anything) {
		got = append(got, strings.TrimPrefix(a.path, "/"))
		if b := string(a.body); b != "{}" && (!strings.Contains(b, `"ref":"`+ref+`"`) || !strings.Contains(b, `"status":"`+status+`"`)) {
			t.Errorf("%s was told %s", a.path, b)
		}
	}
	slices.Sort(got)
	if strings.Join(got, " ") != paths {
		t.Errorf("%s: told were\n%s\nwant\n%s", status, strings.Join(got, " "), paths)
	}
	r.mu.Lock()
	r.arrivals = nil
	r.mu.Unlock()
}
