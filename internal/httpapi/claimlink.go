package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// claimPath is where the links in notifications lead. What follows it is a secret.
const claimPath = "/a/"

// mostIntent is how many bytes of an intent the page shows. It may be some megabytes long.
const mostIntent = 4 << 10

// claimLinks answers GET and POST /a/{token}, which need no key: the token says whose name a claim is made in. A
// GET changes nothing, because mail programs and chats look at what links lead to. The page has nothing from
// elsewhere in it and leads nowhere, runs no script, and can't be put into another's page, so that nobody is made to
// press its button without seeing it.
type claimLinks struct {
	exchange Exchange
	proxies  []netip.Prefix
	wrong    attempts[netip.Addr] // tokens that lead nowhere, by where they come from
}

func mountClaimLinks(router *chi.Mux, e Exchange, access Access) {
	l := &claimLinks{exchange: e, proxies: access.TrustedProxies, wrong: attempts[netip.Addr]{most: maxAttempts}}
	router.Get(claimPath+"{token}", l.show)
	router.Post(claimPath+"{token}", l.claim)
}

// show answers a GET.
func (l *claimLinks) show(w http.ResponseWriter, r *http.Request) {
	l.answer(w, r, func() (*engine.LinkedThread, error) {
		return l.exchange.ReadLink(r.Context(), pathValue(r, "token"))
	})
}

// claim answers a POST. What it may have as a body is not looked at.
func (l *claimLinks) claim(w http.ResponseWriter, r *http.Request) {
	l.answer(w, r, func() (*engine.LinkedThread, error) {
		return l.exchange.ClaimByLink(r.Context(), pathValue(r, "token"))
	})
}

// answer answers a page to whoever names one in Accept, which browsers do, and JSON to others.
func (l *claimLinks) answer(w http.ResponseWriter, r *http.Request, follow func() (*engine.LinkedThread, error)) {
	w.Header().Set("Vary", "Accept")
	page := strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
	linked, err := l.follow(r, follow)
	switch {
	case err != nil && page:
		refuseWith(w, r, err, writeClaimRefusal)
	case err != nil:
		refuse(w, r, err)
	case page:
		_ = writeClaimPage(w, http.StatusOK, pageOf(linked)) // fails where nobody is left to tell
	default:
		_ = threadState{linked.Thread.Ref, linked.Thread.Status}.send(w, http.StatusOK)
	}
}

// follow counts the tokens that lead nowhere. An address that has sent too many is refused before anything is looked
// up for it, a good one included: it can be sent again in a minute.
func (l *claimLinks) follow(r *http.Request, follow func() (*engine.LinkedThread, error)) (*engine.LinkedThread, error) {
	at := clientAddress(r, l.proxies)
	if wait := l.wrong.spent(at); wait > 0 {
		return nil, tooMany("links that lead nowhere", wait)
	}
	linked, err := follow()
	if refusal, ok := errors.AsType[*exchange.Error](err); ok && refusal.Code == exchange.CodeNotFound {
		// As with wrong keys, so with links that are looked up at the same moment.
		if wait := l.wrong.add(at); wait > 0 {
			return nil, tooMany("links that lead nowhere", wait)
		}
	}
	return linked, err
}

// claimPage is what is shown in ui/claim.html.
type claimPage struct {
	Title, Sentence, Executor string
	Thread                    *exchange.Thread // nil for none
	Open                      bool             // there is something to claim
}

func pageOf(linked *engine.LinkedThread) claimPage {
	t := linked.Thread
	t.Intent = clip(t.Intent, mostIntent)
	p := claimPage{Executor: linked.Executor, Thread: &t}
	switch {
	case t.Executor == linked.Executor:
		p.Title, p.Sentence = "This request is yours", "You have it as "+linked.Executor+"."
	case t.Executor != "":
		p.Title, p.Sentence = "This request is taken", t.Executor+" has it."
	case exchange.Terminal(t.Status):
		p.Title, p.Sentence = "This request is over", "There is nothing to do any more."
	default:
		p.Title, p.Open = "Claim this request?", true
	}
	return p
}

func writeClaimRefusal(w http.ResponseWriter, status int, message string, _ exchange.Code) error {
	return writeClaimPage(w, status, claimPage{Title: "This did not work", Sentence: message + "."})
}

func writeClaimPage(w http.ResponseWriter, status int, p claimPage) error {
	page := claimDocument()
	text := page.before + html.EscapeString(p.Title) + page.between + p.content() + page.after
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Content-Security-Policy", page.policy)
	h.Set("Referrer-Policy", "no-referrer") // the address is a secret
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, err := io.WriteString(w, text)
	return err
}

// content is what stands in the body. No text of others gets into it but through html.EscapeString. It is put together
// here because the packages for templates call methods by name, for which the linker keeps every method of the
// program: 10 MB in a Worker.
func (p claimPage) content() string {
	var b strings.Builder
	put := func(before string, texts ...string) {
		b.WriteString(before)
		for i, text := range texts {
			if i > 0 {
				b.WriteString(" · ")
			}
			b.WriteString(html.EscapeString(text))
		}
	}
	put("<h1>", p.Title)
	put("</h1>\n")
	if t := p.Thread; t != nil {
		put("<blockquote>", t.Intent)
		put("</blockquote>\n<p class=\"facts\">", t.Ref, t.Priority, t.Status, "from "+t.Requestor)
		put("</p>\n")
	}
	if p.Sentence != "" {
		put("<p>", p.Sentence)
		put("</p>\n")
	}
	if p.Open {
		put("<form method=\"post\"><button type=\"submit\">", "Claim as "+p.Executor)
		put("</button></form>\n")
	}
	return b.String()
}

// pageAround is the page around title and content, and the policy that allows it its style and its form.
type pageAround struct{ before, between, after, policy string }

// claimDocument reads the page, which is part of the program.
var claimDocument = sync.OnceValue(func() pageAround {
	text := string(embedded(ui, "ui/claim.html"))
	_, style, _ := strings.Cut(text, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	d := pageAround{policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}
	d.before, text, _ = strings.Cut(text, "{title}")
	d.between, d.after, _ = strings.Cut(text, "{content}")
	return d
})

// loggedPath is the path of a request as it may stand in a log: without what a link holds.
func loggedPath(r *http.Request) string {
	if strings.HasPrefix("/"+strings.TrimLeft(r.URL.Path, "/"), claimPath) {
		return claimPath + "***"
	}
	return withoutKeys(r.URL.Path)
}
