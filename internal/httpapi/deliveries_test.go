package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// told is an exchange in which the caller was told of so many things.
type told struct {
	willing
	total int64
	tests int
}

func (e *told) Deliveries(_ context.Context, c engine.Caller, executorID string, before int64, limit int) (page engine.DeliveryPage, err error) {
	if executorID != c.Executor {
		return page, &exchange.Error{Code: exchange.CodeNotYourProfile, Message: "Can only list your own deliveries"}
	}
	if before == 0 {
		before = e.total + 1
	}
	for place := before - 1; place > 0 && len(page.Deliveries) < limit; place-- {
		page.Deliveries = append(page.Deliveries, engine.Delivery{
			ID: fmt.Sprint("msg_", place), Ref: "2026-02-01-XY1Z", EventType: "thread_created", Channel: "channel 0 ntfy", Status: "delivered", Created: someTime, Updated: someTime,
		})
		page.Next = place
	}
	if page.Next == 1 {
		page.Next = 0
	}
	return page, nil
}

func (e *told) TestNotifications(_ context.Context, c engine.Caller, executorID string) ([]engine.TestResult, error) {
	if executorID != c.Executor {
		return nil, &exchange.Error{Code: exchange.CodeNotYourProfile, Message: "Can only test your own notifications"}
	}
	e.tests++
	return nil, nil
}

// Ensure the form of a delivery, with what may be missing and without.
func TestDeliveriesAreShown(t *testing.T) {
	got := siteOf(t, willing{}).at("home").as(goodKey).want(200, "GET", "/executors/phone/deliveries?limit=2", "")
	const moment = `"2026-02-01T22:00:00.005Z"`
	want := `{"deliveries":[` +
		`{"id":"msg_A","ref":"2026-02-01-XY1Z","event_type":"thread_created","channel":"channel 0 ntfy","status":"delivered","attempts":1,"http_status":200,` +
		`"reason":null,"next_try":null,"created_at":` + moment + `,"updated_at":` + moment + `},` +
		`{"id":"msg_B","ref":"2026-02-01-XY1Z","event_type":"status_changed","channel":"on_request_claimed 1 linear","status":"retry","attempts":0,"http_status":null,` +
		`"reason":"no answer in time","next_try":` + moment + `,"created_at":` + moment + `,"updated_at":` + moment + `}],"next_cursor":"`
	if text := string(got.body); !strings.HasPrefix(text, want) || !json.Valid(got.body) {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// Ensure that the pages together show each delivery once, in order, whatever their size; that the Link leads to the
// next one; and that a cursor is one of that executor's list in that exchange or nothing.
func TestDeliveryPages(t *testing.T) {
	phone := siteOf(t, &told{total: 2345}).at("home").as(goodKey)
	for _, limit := range []int{0, 1000, 999, 117} {
		next, want := int64(0), int64(2345)
		for path := "/executors/phone/deliveries" + map[bool]string{true: fmt.Sprintf("?limit=%d", limit)}[limit > 0]; path != ""; {
			got := phone.want(200, "GET", path, "")
			var page struct {
				Deliveries []struct{ ID string }
				Next       string `json:"next_cursor"`
			}
			if err := json.Unmarshal(got.body, &page); err != nil {
				t.Fatal(err)
			}
			for _, d := range page.Deliveries {
				if d.ID != fmt.Sprint("msg_", want) {
					t.Fatalf("got %s, want %d", d.ID, want)
				}
				want--
			}
			path = ""
			if link := got.header.Get("Link"); link != "" {
				path = "/executors/phone/deliveries" + strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
			}
			if (path == "") != (page.Next == "") || !strings.Contains(path, page.Next) {
				t.Fatalf("next_cursor %q, Link %q", page.Next, path)
			}
			if next++; next > 30 {
				t.Fatal("no end")
			}
		}
		if want != 0 {
			t.Errorf("limit %d: %d were not shown", limit, want)
		}
	}
	cursor := phone.want(200, "GET", "/executors/phone/deliveries?limit=1", "").text(t, "next_cursor")
	threads := siteOf(t, &counting{next: 5}).at("home").as(goodKey).want(200, "GET", "/requests?limit=1", "").text(t, "next_cursor")
	for _, wrong := range []string{"x", cursor + "A", cursor[1:], strings.ToUpper(cursor), threads, deliveriesName{"home", "phones"}.cursor(5), deliveriesName{"homes", "phone"}.cursor(5), deliveriesName{"home", "phone"}.cursor(0)} {
		if got := phone.want(400, "GET", "/executors/phone/deliveries?cursor="+wrong, ""); got.text(t, "error") != "cursor: must be the next_cursor of a page of the same list" {
			t.Errorf("%s: %s", wrong, got.body)
		}
	}
}

// Ensure that another's deliveries and tests are refused as such, whatever comes with them, and cost the caller none
// of its own tests.
func TestNotificationsAreOnesOwn(t *testing.T) {
	e := &told{total: 5}
	phone := siteOf(t, e).at("home").as(goodKey)
	for range 2 * mostTests {
		for _, path := range []string{"/executors/agent/deliveries", "/executors/nobody/deliveries?cursor=x"} {
			if got := phone.want(403, "GET", path, ""); got.text(t, "code") != "not_your_profile" {
				t.Errorf("%s: %s", path, got.body)
			}
		}
		if got := phone.want(403, "POST", "/executors/agent/notifications/test", "{"); got.text(t, "code") != "not_your_profile" {
			t.Errorf("%s", got.body)
		}
	}
	phone.want(200, "POST", "/executors/phone/notifications/test", "")
	if e.tests != 1 {
		t.Errorf("%d tests", e.tests)
	}
}

// Ensure the form of a test's answer.
func TestTestIsShown(t *testing.T) {
	got := siteOf(t, willing{}).at("home").as(goodKey).want(200, "POST", "/executors/phone/notifications/test", "")
	want := `{"results":[{"channel":"channel 0 ntfy","outcome":"delivered","status":200,"reason":null},{"channel":"channel 1 webhook","outcome":"retry","status":null,"reason":"no answer in time"}]}` + "\n"
	if string(got.body) != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
	none := siteOf(t, &told{}).at("home").as(goodKey).want(200, "POST", "/executors/phone/notifications/test", "")
	if string(none.body) != `{"results":[]}`+"\n" {
		t.Errorf("got %s", none.body)
	}
}

// Ensure that an executor may send so many tests in a minute and no more, wherever it calls from, and that others are
// not held back by it.
func TestTestsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &told{}
		s := siteOf(t, e)
		phone, office := s.at("home").as(goodKey), s.at("office").as(foreignKey)
		const path = "/executors/phone/notifications/test"
		for range 2 {
			for range mostTests {
				phone.want(200, "POST", path, "")
			}
			before := e.tests
			for range 3 {
				wantTooMany(t, "one more", phone.send("POST", path, ""))
			}
			if e.tests != before {
				t.Error("a test was sent")
			}
			time.Sleep(attemptsTime)
		}
		for range mostTests {
			phone.want(200, "POST", path, "")
		}
		office.want(200, "POST", path, "") // the same name in another exchange
		phone.want(200, "GET", "/requests", "")
	})
}
