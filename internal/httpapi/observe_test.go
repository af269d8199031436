package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// tellings is what an Observe was asked for, and what was told it.
type tellings struct {
	mu         sync.Mutex
	operations []string
	answers    []string
}

func (l *tellings) observe(operation string) Answered {
	l.operations = append(l.operations, operation)
	return func(status int, took time.Duration, waited bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		answer := fmt.Sprint(operation, " ", status)
		if waited {
			answer += " waited"
		}
		l.answers = append(l.answers, answer)
	}
}

func (l *tellings) want(t *testing.T, what string, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.answers, want) {
		t.Errorf("%s: told %q, want %q", what, l.answers, want)
	}
	l.answers = nil
}

// Ensure that each answer is told once, under the name that the contract has for what was asked, and everything
// else under one name.
func TestObserve(t *testing.T) {
	var l tellings
	s := siteWith(t, engineOn(t, faultblob.New().Store(false)), &logBuffer{}, Options{Observe: l.observe, Metrics: http.NotFoundHandler()})
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{Unmatched}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			want = append(want, op.OperationID)
		}
	}
	slices.Sort(want)
	slices.Sort(l.operations)
	if !slices.Equal(l.operations, want) {
		t.Errorf("asked for %q, want %q", l.operations, want)
	}
	home := s.at("home")
	phone := home.register("phone")
	ref := phone.create(`{"intent":"x"}`)
	phone.want(200, "GET", "/requests/"+ref, "")
	phone.want(200, "HEAD", "/requests/"+ref, "")
	phone.want(200, "GET", "/requests/"+ref+"?wait=0", "")
	phone.want(404, "GET", "/requests/2026-02-01-XY1Z", "")
	phone.want(400, "PATCH", "/requests/"+ref, `{"status":"?"}`)
	home.want(401, "GET", "/requests", "")
	phone.want(200, "GET", "/events", "", "Accept", "application/json")
	l.want(t, "operations", "registerExecutor 201", "createRequest 201", "getRequest 200", "getRequest 200", "getRequest 200",
		"getRequest 404", "updateRequest 400", "listRequests 401", "listEvents 200")
	phone.want(405, "DELETE", "/requests", "")
	phone.want(404, "GET", "/nothing", "")
	phone.want(204, "OPTIONS", "/requests", "")
	client{site: s}.want(200, "GET", "/openapi.json", "")
	l.want(t, "what is none of them", "unmatched 405", "unmatched 404", "unmatched 204", "unmatched 200")
}

// Ensure that who asked to wait is told apart: the time that took says nothing about the server.
func TestObserveWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l tellings
		e := engine.New(faultblob.New().Store(false), engine.Options{})
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer e.Close(context.Background())
		s := siteWith(t, e, &logBuffer{}, Options{Observe: l.observe})
		phone := s.at("home").register("phone")
		ref := phone.create(`{"intent":"x"}`)
		l.want(t, "before", "registerExecutor 201", "createRequest 201")
		phone.want(200, "GET", "/requests/"+ref+"?wait=30s", "")
		l.want(t, "a read that waits", "getRequest 200 waited")

		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/exchanges/home/events", nil)
		r.Header.Set("Authorization", "Bearer "+phone.key)
		go s.handler.ServeHTTP(httptest.NewRecorder(), r)
		synctest.Wait()
		l.want(t, "a stream that goes on")
		cancel()
		synctest.Wait()
		l.want(t, "a stream", "listEvents 200 waited")
		phone.as("mess_home_x").want(401, "GET", "/events", "")
		l.want(t, "a stream that was refused", "listEvents 401")
	})
}

// Ensure that what answers for metrics is asked where there is one, and that nothing is there where not.
func TestMetricsPath(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) })
	with := client{site: siteWith(t, willing{}, &logBuffer{}, Options{Metrics: answer})}
	if got := with.want(200, "GET", "/metrics", ""); string(got.body) != "here" {
		t.Errorf("got %s", got.body)
	}
	with.want(405, "POST", "/metrics", "{}")
	client{site: siteOf(t, willing{})}.want(404, "GET", "/metrics", "")
}

func TestWithoutKeys(t *testing.T) {
	for text, want := range map[string]string{
		"/health": "/health", "/mess_home/x": "/mess_home/x", "mess_home_abc": "[key]", "/a/mess_home_abc/b": "/a/[key]/b",
		"/a/xmess_home_abc": "/a/x[key]", "/mess_a/mess_b_c": "/mess_a/[key]", "mess_a_" + strings.Repeat("x", 600): "[key]",
	} {
		if got := withoutKeys(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
