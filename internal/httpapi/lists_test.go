package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that whoever asks for a list gets the one of the moment, however often it was asked for before:
// changes show at once, to each filter and in no other exchange.
func TestListIsNeverOld(t *testing.T) {
	s := newSite(t)
	phone, agent, office := s.at("home").register("phone"), s.at("home").register("agent"), s.at("office").register("phone")
	want := map[string]int{"": 0, "?limit=2": 0, "?status=pending": 0, "?status=claimed": 0}
	look := func() {
		t.Helper()
		for query, threads := range want {
			for range 4 {
				for _, who := range []client{phone, agent} {
					body := string(who.want(200, "GET", "/requests"+query, "").body)
					if n := strings.Count(body, `"ref":`); n != threads {
						t.Fatalf("%q shows %d threads, want %d: %s", query, n, threads, body)
					}
				}
			}
			if body := string(office.want(200, "GET", "/requests"+query, "").body); strings.Contains(body, `"ref":`) {
				t.Fatalf("the office sees %s", body)
			}
		}
	}
	look()
	for i := 1; i <= 3; i++ {
		ref := agent.create(fmt.Sprintf(`{"intent":"task %d"}`, i))
		want[""], want["?limit=2"], want["?status=pending"] = i, min(i, 2), 1
		look()
		if body := string(phone.want(200, "GET", "/requests?limit=1", "").body); !strings.Contains(body, fmt.Sprintf("task %d", i)) {
			t.Errorf("the newest is not task %d: %s", i, body)
		}
		phone.want(200, "PATCH", "/requests/"+ref, `{"status":"claimed"}`)
		want["?status=pending"], want["?status=claimed"] = 0, i
		look()
	}
	phone.as("mess_home_0123456789abcdef0123456789abcdef").want(401, "GET", "/requests", "")
}

// Ensure that two exchanges at the same head don't get each other's lists.
func TestListOfOneExchange(t *testing.T) {
	s := newSite(t)
	one, two := s.at("one").register("phone"), s.at("two").register("phone")
	one.create(`{"intent":"for one"}`)
	two.create(`{"intent":"for two"}`)
	for range 4 {
		for phone, intent := range map[client]string{one: "for one", two: "for two"} {
			if body := string(phone.want(200, "GET", "/requests", "").body); !strings.Contains(body, intent) {
				t.Errorf("who asks for the list %s gets %s", intent, body)
			}
		}
	}
}

// counting is an exchange that notes what is known to who lists.
type counting struct {
	willing
	head  int64
	known []int64
}

func (c *counting) ThreadsSince(ctx context.Context, caller engine.Caller, f exchange.Filter, known int64) ([]exchange.Thread, int64, error) {
	c.known = append(c.known, known)
	if known == c.head {
		return nil, c.head, nil
	}
	threads, _, err := c.willing.ThreadsSince(ctx, caller, f, known)
	return threads, c.head, err
}

// Ensure that an answer is kept from the second time on that it was given at the same head, and that what is
// kept is what was answered.
func TestListIsKept(t *testing.T) {
	e := &counting{head: 5}
	phone := siteOf(t, e).at("home").as(goodKey)
	var first string
	for i, step := range []struct{ head, known int64 }{{5, -1}, {5, -1}, {5, 5}, {5, 5}, {6, 5}, {6, -1}, {6, 6}, {7, 6}, {8, -1}, {9, -1}} {
		e.head = step.head
		body := string(phone.want(200, "GET", "/requests?limit=9", "").body)
		if first == "" {
			first = body
		}
		if body != first {
			t.Errorf("step %d: got %s, want %s", i, body, first)
		}
		if got := e.known[len(e.known)-1]; got != step.known {
			t.Errorf("step %d: head %d is known, want %d", i, got, step.known)
		}
	}
}

// Ensure that neither the number of lists nor their length is the clients' to choose.
func TestListsAreBounded(t *testing.T) {
	var l lists
	ask := func(name listName, text []byte) {
		for range 2 {
			l.put(name, l.get(name), 1, text)
		}
	}
	long := listName{exchange: "home", filter: exchange.Filter{Limit: 1}}
	ask(long, make([]byte, longestList+1))
	if l.get(long).known() != engine.NoHead {
		t.Error("a long list is kept")
	}
	for i := range 3 * mostLists {
		name := listName{exchange: "home", filter: exchange.Filter{Limit: i}}
		ask(name, make([]byte, longestList))
		if l.get(name).known() != 1 {
			t.Fatalf("list %d is not kept", i)
		}
		if len(l.kept) > mostLists {
			t.Fatalf("%d lists are kept", len(l.kept))
		}
	}
}
