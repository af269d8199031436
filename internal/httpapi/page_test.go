package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listed returns the refs of an answer and the cursor of the next page.
func listed(t *testing.T, a response) (refs []string, cursor string) {
	t.Helper()
	var v struct {
		Threads []struct{ Ref string }
		Next    *string `json:"next_cursor"`
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	for _, thread := range v.Threads {
		refs = append(refs, thread.Ref)
	}
	if v.Next != nil {
		cursor = *v.Next
	}
	if (cursor == "") != (a.header.Get("Link") == "") {
		t.Errorf("the cursor is %q, the link %s", cursor, a.header.Get("Link"))
	}
	return refs, cursor
}

var nextLink = regexp.MustCompile(`^<(\?[^>]*)>; rel="next"$`)

// Ensure that pages lead from one to the next, by cursor and by link, to all threads once, whatever the filter.
func TestPages(t *testing.T) {
	home := newSite(t).at("home")
	agent, phone := home.register("agent"), home.register("phone")
	for i := range 23 {
		ref := agent.create(fmt.Sprintf(`{"intent":"%d","priority":%q}`, i, []string{"normal", "urgent"}[i%2]))
		if i%5 == 0 {
			phone.want(200, "PATCH", "/requests/"+ref, `{"status":"claimed"}`)
		}
	}
	for query, want := range map[string]int{
		"": 23, "status=claimed": 5, "status=pending,claimed": 23, "eligible=true": 18, "priority=urgent": 11, "executor=phone": 5, "requestor=agent&priority=normal": 12,
		"requestor=phone": 0, "since=2026-02-01T22:00:00.123456%2B01:00": 23, "since=9999-01-01T00:00:00Z": 0, "executor=phone&priority=urgent,normal&status=claimed": 5,
	} {
		whole, cursor := listed(t, phone.want(200, "GET", "/requests?"+query, ""))
		if len(whole) != want || cursor != "" {
			t.Errorf("%s: %d threads, want %d, and then %q", query, len(whole), want, cursor)
		}
		var byCursor, byLink []string
		for at := ""; ; {
			refs, next := listed(t, phone.want(200, "GET", "/requests?"+query+"&limit=4"+at, ""))
			byCursor = append(byCursor, refs...)
			if at = "&cursor=" + next; next == "" {
				break
			}
		}
		for at := "?" + query + "&limit=4"; at != ""; {
			got := phone.want(200, "GET", "/requests"+at, "")
			refs, _ := listed(t, got)
			byLink = append(byLink, refs...)
			if at = ""; got.header.Get("Link") != "" {
				at = nextLink.FindStringSubmatch(got.header.Get("Link"))[1]
			}
		}
		if !slices.Equal(byCursor, whole) || !slices.Equal(byLink, whole) {
			t.Errorf("%s: got %v by cursor and %v by link, want %v", query, byCursor, byLink, whole)
		}
	}
}

// Ensure that a list without a limit has a page too.
func TestPageWithoutLimit(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	for range mostListed + 1 {
		agent.create(`{"intent":"x"}`)
	}
	first, cursor := listed(t, agent.want(200, "GET", "/requests", ""))
	rest, last := listed(t, agent.want(200, "GET", "/requests?cursor="+cursor, ""))
	if len(first) != mostListed || len(rest) != 1 || last != "" || slices.Contains(first, rest[0]) {
		t.Errorf("%d threads, then %v and %q", len(first), rest, last)
	}
}

// Ensure that a cursor is taken for the list that it came from and no other, and nothing else for one.
func TestCursorOfAnotherList(t *testing.T) {
	s := newSite(t)
	home, office := s.at("home"), s.at("office")
	agent, phone, other := home.register("agent"), home.register("phone"), office.register("agent")
	for range 5 {
		agent.create(`{"intent":"x"}`)
		other.create(`{"intent":"x"}`)
	}
	cursorOf := func(query string) string {
		_, cursor := listed(t, agent.want(200, "GET", "/requests?limit=2"+query, ""))
		if cursor == "" {
			t.Fatalf("%s: no cursor", query)
		}
		return cursor
	}
	plain, eligible := cursorOf(""), cursorOf("&eligible=true")
	for _, c := range []struct {
		by            client
		query, cursor string
		status        int
	}{
		{agent, "limit=2", plain, 200}, {agent, "limit=3", plain, 200}, {agent, "", plain, 200}, {phone, "", plain, 200}, {agent, "eligible=false", plain, 200},
		{agent, "eligible=true", eligible, 200}, {agent, "eligible=true&status=pending&limit=2", cursorOf("&status=pending&eligible=true"), 200},
		{agent, "status=claimed,in-progress", cursorOf("&status=pending"), 400},
		{agent, "status=pending", plain, 400}, {agent, "eligible=true", plain, 400}, {agent, "", eligible, 400}, {phone, "eligible=true", eligible, 400},
		{agent, "requestor=agent", plain, 400}, {agent, "executor=agent", plain, 400}, {agent, "priority=normal", plain, 400},
		{agent, "executor=agent", cursorOf("&requestor=agent"), 400}, {agent, "since=2026-02-01T22:00:00Z", plain, 400}, {other, "", plain, 400},
		{agent, "", plain + "A", 400}, {agent, "", plain[1:], 400}, {agent, "", plain[:len(plain)-1], 400}, {agent, "", plain + "=", 400}, {agent, "", " " + plain, 400},
		{agent, "", plain + "\n", 400}, {agent, "", "AA", 400}, {agent, "", "é", 400},
	} {
		got := c.by.want(c.status, "GET", "/requests?"+c.query+"&cursor="+url.QueryEscape(c.cursor), "")
		if c.status == 400 && (got.text(t, "error") != "cursor: must be the next_cursor of a page of the same list" || got.text(t, "code") != "invalid") {
			t.Errorf("%s with %s: got %s", c.query, c.cursor, got.body)
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range plain {
		for _, changed := range alphabet {
			if other := plain[:i] + string(changed) + plain[i+1:]; other != plain {
				agent.want(400, "GET", "/requests?cursor="+other, "")
			}
		}
	}
	agent.as("mess_home_0123456789abcdef0123456789abcdef").want(401, "GET", "/requests?cursor=x", "")
}

// Ensure that threads that change while pages are read are shown as they are, at most once.
func TestPagesOfWhatChanges(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	var refs []string
	for range 9 {
		refs = append(refs, agent.create(`{"intent":"x"}`))
	}
	shown := map[string]int{}
	at := ""
	for i := range 3 {
		page, cursor := listed(t, agent.want(200, "GET", "/requests?limit=3"+at, ""))
		for _, ref := range page {
			shown[ref]++
		}
		at = "&cursor=" + cursor
		agent.want(200, "PATCH", "/requests/"+page[len(page)-1], `{"mess":[{"ack":{}}]}`) // the place where the page ended
		agent.want(200, "PATCH", "/requests/"+refs[i], `{"mess":[{"ack":{}}]}`)
		if cursor == "" {
			break
		}
	}
	for i, ref := range refs {
		if n := shown[ref]; n > 1 || n == 0 && i > 2 {
			t.Errorf("thread %d is shown %d times", i, n)
		}
	}
}

// Ensure that what one could claim is answered to each by what that one can do, and as the time goes on, also
// where the same was asked before.
func TestEligible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		home := s.at("home")
		agent := home.register("agent")
		able := home.as(home.want(http.StatusCreated, "POST", "/register", `{"executor_id":"able","capabilities":["see"]}`).text(t, "api_key"))
		later := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
		free := agent.create(`{"intent":"free"}`)
		see := agent.create(`{"intent":"see","requires":["see"]}`)
		soon := agent.create(`{"intent":"soon","constraints":{"timing":{"not_before":"` + later + `"}}}`)
		ask := func(c client, want ...string) (tag string) {
			t.Helper()
			for range 4 {
				got := c.want(200, "GET", "/requests?eligible=true", "")
				if refs, _ := listed(t, got); !slices.Equal(refs, want) {
					t.Fatalf("got %v, want %v", refs, want)
				}
				tag = got.header.Get("ETag")
				c.want(304, "GET", "/requests?eligible=true", "", "If-None-Match", tag)
			}
			return tag
		}
		before := ask(agent, free)
		if ask(able, see, free) == before {
			t.Error("two executors have the same tag")
		}
		able.want(200, "GET", "/requests?eligible=true", "", "If-None-Match", before)
		time.Sleep(time.Minute)
		agent.want(200, "GET", "/requests?eligible=true", "", "If-None-Match", before)
		ask(agent, soon, free)
		ask(able, soon, see, free)
		able.want(200, "PATCH", "/executors/able", `{"capabilities":[]}`)
		ask(able, soon, free)
		able.want(200, "PATCH", "/requests/"+free, `{"status":"claimed"}`)
		ask(able, soon)
		ask(agent, soon)
	})
}

// tagged are answers that have a tag, each another one.
func tagged(ref string) []string {
	return []string{"/requests", "/requests?status=pending", "/requests?limit=1", "/requests?eligible=true", "/requests/" + ref, "/requests/" + ref + "?media=link", "/requests?since=2026-02-01T22:00:00Z"}
}

// Ensure that who has an answer is told so without it, whatever else is said to be there; and that nobody is
// told without a key.
func TestETags(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	tags := map[string]string{}
	for _, path := range tagged(agent.create(`{"intent":"x"}`)) {
		tag := agent.want(200, "GET", path, "").header.Get("ETag")
		strong := strings.TrimPrefix(tag, weak)
		if strong == tag || !strings.HasPrefix(strong, `"`) || !strings.HasSuffix(strong, `"`) || tags[tag] != "" {
			t.Errorf("%s: ETag %s, which is that of %q", path, tag, tags[tag])
		}
		tags[tag] = path
		for _, header := range []string{tag, strong, `"a", W/"b,c" ,` + tag, tag + `,"z"`, "*", `"x",*`} {
			for _, method := range []string{"GET", "HEAD"} {
				got := agent.want(304, method, path, "", "If-None-Match", header)
				if len(got.body) > 0 || got.header.Get("ETag") != tag || got.header.Get("Content-Type") != "" {
					t.Errorf("%s %s with %s: got %q, %v", method, path, header, got.body, got.header)
				}
			}
		}
		for _, header := range []string{`"a"`, "", `W/""`, tag[:len(tag)-1], "x" + tag, `w/` + strong, `W/"0.0.0"`, `"` + tag + `"`, `W/"..."`, strings.Repeat(`"a",`, 1000)} {
			if got := agent.want(200, "GET", path, "", "If-None-Match", header); got.header.Get("ETag") != tag {
				t.Errorf("%s with %q: the tag is %s", path, header, got.header.Get("ETag"))
			}
		}
		for _, key := range []string{"", "mess_home_0123456789abcdef0123456789abcdef"} {
			agent.as(key).want(401, "GET", path, "", "If-None-Match", tag)
		}
		for other, of := range tags {
			if of != path {
				agent.want(200, "GET", path, "", "If-None-Match", other)
			}
		}
	}
	agent.want(404, "GET", "/requests/none", "", "If-None-Match", "*")
	agent.want(400, "GET", "/requests?limit=x", "", "If-None-Match", "*")
}

// Ensure that a tag changes with what it stands for: lists with any thread, a thread with itself.
func TestETagsChange(t *testing.T) {
	home := newSite(t).at("home")
	agent, phone := home.register("agent"), home.register("phone")
	ref := agent.create(`{"intent":"x"}`)
	tags := map[string]string{}
	for _, path := range tagged(ref) {
		tags[agent.want(200, "GET", path, "").header.Get("ETag")] = path
	}
	second := phone.create(`{"intent":"y"}`)
	for tag, path := range tags {
		want := 200
		if strings.HasPrefix(path, "/requests/") {
			want = 304
		}
		agent.want(want, "GET", path, "", "If-None-Match", tag)
	}
	phone.want(200, "PATCH", "/requests/"+ref, `{"mess":[{"ack":{}}]}`)
	for tag, path := range tags {
		if got := agent.want(200, "GET", path, "", "If-None-Match", tag); got.header.Get("ETag") == tag {
			t.Errorf("%s has the tag that it had before", path)
		}
	}
	if one, two := agent.want(200, "GET", "/requests/"+ref, ""), agent.want(200, "GET", "/requests/"+second, ""); one.header.Get("ETag") == two.header.Get("ETag") {
		t.Error("two threads have the same tag")
	}
}

// Ensure that a tag may come on any of several lines.
func TestETagOnTwoLines(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	for _, path := range []string{"/requests", "/requests/" + agent.create(`{"intent":"x"}`)} {
		tag := agent.want(200, "GET", path, "").header.Get("ETag")
		r := sample{method: "GET", target: agent.base + path, header: http.Header{"Authorization": {"Bearer " + agent.key}, "If-None-Match": {`"a"`, "x", tag}}}.request()
		if got := agent.serve(r); got.status != 304 {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
}
