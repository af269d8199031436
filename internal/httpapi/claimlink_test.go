package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const claimToken = "AQRob21lBXBob25l-_0"

// linked is an exchange with one thread that a link leads to. It notes what is asked of it.
type linked struct {
	willing
	thread exchange.Thread
	asked  []string
	err    error
}

func (l *linked) ReadLink(_ context.Context, token string) (*engine.LinkedThread, error) {
	l.asked = append(l.asked, "read "+token)
	return &engine.LinkedThread{Executor: "phone", Thread: l.thread}, l.err
}

func (l *linked) ClaimByLink(_ context.Context, token string) (*engine.LinkedThread, error) {
	l.asked = append(l.asked, "claim "+token)
	if l.err == nil {
		l.thread.Status, l.thread.Executor = exchange.StatusClaimed, "phone"
	}
	return &engine.LinkedThread{Executor: "phone", Thread: l.thread}, l.err
}

var browser = []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}

// Ensure that a GET shows the request and a form that posts to the same address, claims nothing, and that a POST
// claims; to browsers as a page and to others as JSON, with HEAD as GET.
func TestClaimLink(t *testing.T) {
	e := &linked{thread: someThread("2026-02-01-XY1Z").Thread}
	c := client{site: siteOf(t, e)}
	page := string(c.want(200, "GET", claimPath+claimToken, "", browser...).body)
	for _, part := range []string{"Check &lt;b&gt;the door&lt;/b&gt;", "2026-02-01-XY1Z", "from agent", `<form method="post"><button type="submit">Claim as phone</button></form>`} {
		if !strings.Contains(page, part) {
			t.Errorf("%q is missing in %s", part, page)
		}
	}
	if got := string(c.want(200, "GET", claimPath+claimToken, "").body); got != `{"ref":"2026-02-01-XY1Z","status":"pending"}`+"\n" {
		t.Errorf("as JSON: %s", got)
	}
	c.want(200, "HEAD", claimPath+claimToken, "", browser...)
	c.want(204, "OPTIONS", claimPath+claimToken, "")
	if got := strings.Join(e.asked, ", "); strings.Contains(got, "claim") || strings.Count(got, "read "+claimToken) != 3 {
		t.Errorf("asked %s", got)
	}
	if got := string(c.want(200, "POST", claimPath+claimToken, "").body); got != `{"ref":"2026-02-01-XY1Z","status":"claimed"}`+"\n" {
		t.Errorf("claimed: %s", got)
	}
	page = string(c.want(200, "POST", claimPath+claimToken+"/", "", browser...).body)
	if !strings.Contains(page, "This request is yours") || strings.Contains(page, "<form") {
		t.Errorf("claimed twice: %s", page)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		if got := c.want(405, method, claimPath+claimToken, ""); got.header.Get("Allow") != "GET, POST, HEAD, OPTIONS" {
			t.Errorf("%s: %v", method, got.header)
		}
	}
	c.want(404, "GET", claimPath, "")
	c.want(404, "GET", claimPath+claimToken+"/claim", "")
}

// Ensure what the page says of a request that can't be claimed, and that it shows no button then.
func TestClaimPage(t *testing.T) {
	for _, c := range []struct{ status, executor, title string }{
		{"pending", "", "Claim this request?"}, {"claimed", "phone", "This request is yours"}, {"completed", "phone", "This request is yours"},
		{"in_progress", "other", "This request is taken"}, {"expired", "", "This request is over"}, {"cancelled", "", "This request is over"},
	} {
		e := &linked{thread: someThread("2026-02-01-XY1Z").Thread}
		e.thread.Status, e.thread.Executor, e.thread.Intent = c.status, c.executor, strings.Repeat("é", mostIntent)+"<script>\xff"
		got := client{site: siteOf(t, e)}.want(200, "GET", claimPath+claimToken, "", browser...)
		text := string(got.body)
		if !strings.Contains(text, "<h1>"+c.title+"</h1>") || strings.Contains(text, "<form") != (c.title == "Claim this request?") || strings.Contains(text, "<script>") || len(text) > 3*mostIntent {
			t.Errorf("%s, %s: %d bytes, %.3000s", c.status, c.executor, len(text), text)
		}
	}
}

// Ensure that the page runs nothing, loads nothing, can't be framed, tells nobody its address, is kept by nobody, and
// leads nowhere else: neither by a redirect nor by a link.
func TestClaimPageIsClosed(t *testing.T) {
	e := &linked{thread: someThread("2026-02-01-XY1Z").Thread}
	c := client{site: siteOf(t, e)}
	for _, status := range []int{200, 404} {
		if status == 404 {
			e.err = &exchange.Error{Code: exchange.CodeNotFound, Message: "This link leads nowhere"}
		}
		for _, path := range []string{claimToken, claimToken + "?next=https://evil.example&to=//evil.example", "%2F%2Fevil.example", "https:%2F%2Fevil.example"} {
			for _, method := range []string{"GET", "POST"} {
				got := c.want(status, method, claimPath+path, "", browser...)
				style := got.body[bytes.Index(got.body, []byte("<style>"))+len("<style>") : bytes.Index(got.body, []byte("</style>"))]
				sum := sha256.Sum256(style)
				for name, want := range map[string]string{
					"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
					"Referrer-Policy":         "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Vary": "Accept",
					"Content-Type": "text/html; charset=utf-8", "Location": "", "Refresh": "",
				} {
					if got.header.Get(name) != want {
						t.Errorf("%s %s: %s: got %q, want %q", method, path, name, got.header.Get(name), want)
					}
				}
				if open := regexp.MustCompile(`evil|href|src=|action=|<script|<meta http|style="`).Find(got.body); open != nil {
					t.Errorf("%s %s: %q in %s", method, path, open, got.body)
				}
			}
		}
	}
}

// Ensure that refusals are pages to browsers and JSON to others, with the same status, and that nothing internal is
// in either.
func TestClaimLinkIsRefused(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{&exchange.Error{Code: exchange.CodeNotFound, Message: "This link leads nowhere"}, 404, "This link leads nowhere"},
		{&exchange.Error{Code: exchange.CodeForbidden, Message: "This link has expired"}, 403, "This link has expired"},
		{&exchange.Error{Code: exchange.CodeAlreadyClaimed, Message: "<b>other</b> has claimed this thread"}, 409, "has claimed this thread"},
		{&exchange.Error{Code: exchange.CodeUnavailable, Message: "The storage is not available", Err: errors.New("open /secret")}, 503, "The storage is not available"},
		{errors.New("open /secret"), 500, internalMessage},
	} {
		s := siteOf(t, &linked{err: c.err})
		for _, method := range []string{"GET", "POST"} {
			page := client{site: s}.want(c.status, method, claimPath+claimToken, "", browser...)
			if !strings.Contains(string(page.body), c.says) || strings.Contains(string(page.body), "secret") || strings.Contains(string(page.body), "<b>") || strings.Contains(string(page.body), "<form") {
				t.Errorf("%v: %s", c.err, page.body)
			}
			plain := client{site: s}.want(c.status, method, claimPath+claimToken, "")
			if !strings.Contains(plain.text(t, "error"), c.says) || strings.Contains(string(plain.body), "secret") || (c.status == 503) != (page.header.Get("Retry-After") != "") {
				t.Errorf("%v: %s, %v", c.err, plain.body, page.header)
			}
		}
	}
}

// Ensure that an address that sends wrong tokens is refused before anything is looked up for it, that others and good
// ones go on, and that bodies are not read.
func TestWrongLinksAreLimited(t *testing.T) {
	e := &linked{err: &exchange.Error{Code: exchange.CodeNotFound, Message: "no"}}
	c := client{site: siteOf(t, e)}
	for i := range maxAttempts {
		if got := c.from("192.0.2.9", []string{"GET", "POST"}[i%2], claimPath+claimToken, ""); got.status != 404 {
			t.Fatalf("%d: %d", i, got.status)
		}
	}
	asked := len(e.asked)
	e.err = nil
	wantTooMany(t, "a good one from there", c.from("192.0.2.9", "POST", claimPath+claimToken, ""))
	wantTooMany(t, "a look from there", c.from("192.0.2.9", "GET", claimPath+claimToken, ""))
	if len(e.asked) != asked {
		t.Error("something was looked up")
	}
	for range maxAttempts + 1 {
		if got := c.from("192.0.2.8", "GET", claimPath+claimToken, ""); got.status != 200 {
			t.Fatalf("a good one from elsewhere: %d", got.status)
		}
	}
	r := httptest.NewRequest("POST", claimPath+claimToken, untouchable{t})
	r.ContentLength = 1 << 30
	if got := c.serve(r); got.status != 200 || got.header.Get("Connection") != "close" {
		t.Errorf("with a body: %d, %v", got.status, got.header)
	}
}

// Ensure that no line of the log holds a token, however the address is written and whatever comes of it.
func TestTokensAreNotLogged(t *testing.T) {
	e := &linked{}
	s := siteOf(t, e)
	for _, err := range []error{nil, errors.New("broken"), &exchange.Error{Code: exchange.CodeUnavailable, Message: "no"}, &exchange.Error{Code: exchange.CodeNotFound, Message: "no"}} {
		e.err = err
		for _, path := range []string{claimPath + claimToken, claimPath + claimToken + "/x", "/" + claimPath + claimToken, "/%61/" + claimToken} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
				client{site: s}.send(method, path, "")
			}
		}
	}
	e.err = nil
	panicking := siteOf(t, willing{called: func(context.Context) error { panic("at the disco") }})
	client{site: panicking}.want(500, "GET", claimPath+claimToken, "")
	for _, log := range []*logBuffer{s.log, panicking.log} {
		if text := log.String(); strings.Contains(text, claimToken) || !strings.Contains(text, claimPath+"***") {
			t.Errorf("the log:\n%.3000s", text)
		}
	}
}
