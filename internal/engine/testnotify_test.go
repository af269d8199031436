package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
)

// receivers is one receiver for each way a request can go. It keeps what comes.
type receivers struct {
	*httptest.Server
	hangs chan struct{} // told each request that gets no answer

	mu       sync.Mutex
	received []string // path, event_type and webhook-id
}

func receive(t *testing.T) *receivers {
	t.Helper()
	r := &receivers{hangs: make(chan struct{}, 10)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var sent struct {
			Type string `json:"event_type"`
		}
		_ = json.Unmarshal(body, &sent)
		r.mu.Lock()
		r.received = append(r.received, strings.TrimSpace(req.URL.Path+" "+sent.Type+" "+req.Header.Get("webhook-id")))
		r.mu.Unlock()
		switch req.URL.Path {
		case "/hang":
			r.hangs <- struct{}{}
			<-req.Context().Done()
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/404":
			w.WriteHeader(http.StatusNotFound)
		case "/410":
			w.WriteHeader(http.StatusGone)
		case "/302":
			http.Redirect(w, req, "/200", http.StatusFound)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// counted is a sender that tells of each outcome when the engine has it, but of those that take long.
type counted struct {
	Sender
	came chan struct{}
}

func (c counted) Submit(r notify.Request, done func(send.Outcome)) error {
	return c.Sender.Submit(r, func(o send.Outcome) {
		done(o)
		if !strings.HasSuffix(r.URL, "/hang") {
			c.came <- struct{}{}
		}
	})
}

// Ensure what a test says of receivers of all kinds, in the order of the profile; that one which hangs holds up none
// of the others, nor the answer once the client is gone; that preferences hold nothing back, hooks are not called, and
// each test has an id of its own; and that nothing of it is kept, and a receiver which wants no more is not turned off.
func TestNotificationsAreTested(t *testing.T) {
	r := receive(t)
	sender := send.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	defer sender.Close()
	came := make(chan struct{}, 100)
	bucket := faultblob.New()
	e := launchWith(t, bucket.Store(false), Options{Notify: Notify{Sender: counted{sender, came}}})
	channels := []string{`{"type":"slack","webhook_url":"http://127.0.0.2/x"}`, `{"type":"ntfy","server":"` + r.URL + `","topic":"t"}`}
	for _, path := range []string{"hang", "200", "500", "404", "410", "302", "200"} {
		channels = append(channels, `{"type":"webhook","url":"`+r.URL+`/`+path+`"}`)
	}
	key, err := e.Register(t.Context(), "home", Registration{ExecutorID: "my-phone", Settings: settings(`{"notifications":[` + strings.Join(channels, ",") + `],
		"preferences":{"min_priority":"urgent","quiet_hours":{"enabled":true,"start":"00:00","end":"23:59"}},
		"hooks":{"on_request_created":[{"type":"webhook","url":"` + r.URL + `/hook"}]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	phone := letIn(t, e, "home", key)
	profile, _ := bucket.Get(phoneProfile)
	objects := len(bucket.Keys(""))
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan []TestResult)
		go func() {
			all, err := e.TestNotifications(ctx, phone, "my-phone")
			if err != nil {
				t.Error(err)
			}
			results <- all
		}()
		<-r.hangs
		for range len(channels) - 1 {
			<-came
		}
		cancel()
		var got []string
		for _, one := range <-results {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s %d %s", one.Channel, one.Outcome, one.Status, one.Reason)))
		}
		want := []string{
			"channel 0 slack: failed 0 the address is not one that may be called", "channel 1 ntfy: delivered 200", "channel 2 webhook: retry 0 no answer in time",
			"channel 3 webhook: delivered 200", "channel 4 webhook: retry 500 the receiver is not able to now", "channel 5 webhook: failed 404 the receiver refuses the request",
			"channel 6 webhook: failed 410 the receiver wants no more", "channel 7 webhook: failed 302 the receiver redirects, which is not followed", "channel 8 webhook: delivered 200",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if after, _ := bucket.Get(phoneProfile); string(after) != string(profile) || len(bucket.Keys("")) != objects {
		t.Error("something was stored")
	}
	r.wantTests(t, 2)
}

// wantTests checks what came in so many tests: every webhook, each with an id that no other has, and no hook.
func (r *receivers) wantTests(t *testing.T, tests int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, paths := map[string]bool{}, map[string]int{}
	for _, one := range r.received {
		fields := strings.Fields(one)
		paths[fields[0]]++
		if fields[0] == "/" {
			continue // ntfy, which gets no id
		}
		if len(fields) != 3 || fields[1] != "test" || len(fields[2]) != len(notify.DeliveryID("", 0, "", notify.Way{})) || ids[fields[2]] {
			t.Errorf("received %s", one)
		}
		ids[fields[2]] = true
	}
	want := map[string]int{"/": tests, "/hang": tests, "/200": 2 * tests, "/500": tests, "/404": tests, "/410": tests, "/302": tests}
	if !maps.Equal(paths, want) {
		t.Errorf("received %v, want %v", paths, want)
	}
}

// stubborn is a sender that says no, or takes requests and has no outcome for any.
type stubborn struct{ err error }

func (s stubborn) Submit(notify.Request, func(send.Outcome)) error { return s.err }

// Ensure that an answer comes though no outcome does: in time, and at once where the server stops; and what is said
// where nothing is sent at all.
func TestTestsEnd(t *testing.T) {
	const channels = `{"notifications":[{"type":"ntfy","topic":"t"},{"type":"future"},{"type":"webhook","url":"https://x.example"}]}`
	for _, c := range []struct {
		sender        Sender
		end           func(*Engine)
		after         time.Duration
		outcome, says string
	}{
		{stubborn{}, func(*Engine) {}, testTime, "retry", "no answer in time"},
		{stubborn{}, (*Engine).ReleaseWaiters, 0, "retry", "no answer in time"},
		{stubborn{send.ErrFull}, func(*Engine) {}, 0, "retry", "the server has too much to send now"},
		{stubborn{send.ErrClosed}, func(*Engine) {}, 0, "retry", "the server stops"},
		{nil, func(*Engine) {}, 0, "failed", "this server sends no notifications"},
	} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launchWith(t, bucket.Store(false), Options{Notify: Notify{Sender: c.sender}})
			_, phone := enroll(t, e, "home", "my-phone")
			data, _ := bucket.Get(phoneProfile) // an older version let such a channel in
			bucket.Put(phoneProfile, []byte(strings.TrimSuffix(strings.TrimSpace(string(data)), "}")+","+channels[1:]))
			began := time.Now()
			results := make(chan []TestResult)
			go func() {
				all, err := e.TestNotifications(t.Context(), phone, "my-phone")
				if err != nil {
					t.Error(err)
				}
				results <- all
			}()
			synctest.Wait()
			c.end(e)
			want := []TestResult{{Channel: "channel 0 ntfy", Outcome: c.outcome, Reason: c.says}, {Channel: "channel 2 webhook", Outcome: c.outcome, Reason: c.says}}
			if got := <-results; !slices.Equal(got, want) || time.Since(began) != c.after {
				t.Errorf("after %v: %v, want %v", time.Since(began), got, want)
			}
		})
	}
}

// Ensure who may test whom, and that who has nothing is told nothing.
func TestTestsAreOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, agent := enroll(t, e, "home", "agent")
		_, phone := enroll(t, e, "home", "phone")
		for _, other := range []string{"agent", "nobody", ""} {
			_, err := e.TestNotifications(t.Context(), phone, other)
			wantCode(t, err, exchange.CodeNotYourProfile)
			_, err = e.Deliveries(t.Context(), phone, other, 0, 10)
			wantCode(t, err, exchange.CodeNotYourProfile)
		}
		if got, err := e.TestNotifications(t.Context(), agent, "agent"); err != nil || len(got) != 0 {
			t.Error(got, err)
		}
		if err := e.Remove(t.Context(), phone, "phone"); err != nil {
			t.Fatal(err)
		}
		_, err := e.TestNotifications(t.Context(), phone, "phone")
		wantCode(t, err, exchange.CodeUnauthorized)
		_, err = e.Deliveries(t.Context(), phone, "phone", 0, 10)
		wantCode(t, err, exchange.CodeUnauthorized)
	})
}
