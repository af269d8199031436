package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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

// counting is an exchange with one thread, which notes how often a page was not known to who asked for it.
type counting struct {
	willing
	version engine.ListVersion
	until   time.Time
	next    int64
	pages   int
}

func (c *counting) ListUnless(_ context.Context, _ engine.Caller, _ exchange.Filter, known func(engine.ListVersion) bool) (engine.List, error) {
	list := engine.List{Version: c.version}
	if !known(c.version) {
		c.pages++
		list.Page = exchange.Page{Threads: []exchange.Thread{someThread("2026-02-01-XY1Z").Thread}, Until: c.until, Next: c.next}
	}
	return list, nil
}

// Ensure that an answer is kept from the second time on that it was given at the same head, for as long as it
// holds, and that what is kept is what was answered.
func TestListIsKept(t *testing.T) {
	e := &counting{next: 5}
	phone := siteOf(t, e).at("home").as(goodKey)
	var first response
	for i, step := range []struct {
		head  int64
		after time.Duration // what it is now
		until time.Duration // what the page holds for; 0 for ever
		pages int           // how many were made so far
	}{
		{5, 0, 0, 1}, {5, 0, 0, 2}, {5, 0, 0, 2}, {5, time.Hour, 0, 2}, {6, 0, 0, 3}, {6, 0, 0, 4}, {6, 0, 0, 4}, {7, 0, 0, 5}, {8, 0, 0, 6}, {9, 0, 0, 7},
		{10, 0, 10, 8}, {10, 0, 10, 9}, {10, 9, 10, 9}, {10, 10, 0, 10}, {10, 10, 0, 10}, {10, 0, 0, 10},
	} {
		e.version = engine.ListVersion{Head: step.head, Now: someTime.Add(step.after * time.Millisecond)}
		e.until = time.Time{}
		if step.until != 0 {
			e.until = someTime.Add(step.until * time.Millisecond)
		}
		got := phone.want(200, "GET", "/requests?limit=9", "")
		if first.body == nil {
			first = got
		}
		if string(got.body) != string(first.body) || got.header.Get("Link") != first.header.Get("Link") || got.header.Get("Link") == "" {
			t.Errorf("step %d: got %s, %s; want %s, %s", i, got.body, got.header.Get("Link"), first.body, first.header.Get("Link"))
		}
		if e.pages != step.pages {
			t.Errorf("step %d: %d pages were made, want %d", i, e.pages, step.pages)
		}
	}
}

// Ensure that neither the number of lists nor their length is the clients' to choose.
func TestListsAreBounded(t *testing.T) {
	var l lists
	one := engine.ListVersion{Head: 1}
	ask := func(name listName, text []byte) {
		for range 2 {
			l.put(name, l.get(name), engine.List{Version: one}, "", text)
		}
	}
	long := listName{exchange: "home", filter: exchange.Filter{Limit: 1}}
	ask(long, make([]byte, longestList+1))
	if l.get(long).holds(one) {
		t.Error("a long list is kept")
	}
	for i := range 3 * mostLists {
		name := listName{exchange: "home", filter: exchange.Filter{Limit: i}}
		ask(name, make([]byte, longestList))
		if !l.get(name).holds(one) {
			t.Fatalf("list %d is not kept", i)
		}
		if len(l.kept) > mostLists {
			t.Fatalf("%d lists are kept", len(l.kept))
		}
	}
}
