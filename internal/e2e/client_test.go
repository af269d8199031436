//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answer is what the server said to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body[:min(len(a.body), 400)]))
}

// client speaks to one server as one executor. Several goroutines may use it.
type client struct {
	base string // of the exchange: http://host:port/api/v1/exchanges/home
	key  string
	http *http.Client
}

// at returns a client for an exchange without a key.
func at(s *server, exchange string) client {
	return client{
		base: s.url + "/api/v1/exchanges/" + exchange,
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
}

// as returns the client with another key.
func (c client) as(key string) client { c.key = key; return c }

// try sends a request; the error says that there was no answer. body may be nil, bytes, a reader or
// anything that encodes to JSON.
func (c client) try(method, path string, body any, headers ...string) (answer, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		in = b
	case []byte:
		in = bytes.NewReader(b)
	case string:
		in = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(encoded)
	}
	req, err := http.NewRequest(method, c.base+path, in)
	if err != nil {
		return answer{}, err
	}
	// Otherwise net/http sends a request with an Idempotency-Key again by itself when its connection ends, and tells
	// only what became of it the last time.
	req.GetBody = nil
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{res.StatusCode, res.Header, got}, nil
}

// send is try where there must be an answer.
func (c client) send(tb testing.TB, method, path string, body any, headers ...string) answer {
	tb.Helper()
	a, err := c.try(method, path, body, headers...)
	if err != nil {
		tb.Fatalf("%s %s: no answer: %v", method, path, err)
	}
	return a
}

// want is send where the answer must have that status.
func (c client) want(tb testing.TB, status int, method, path string, body any) answer {
	tb.Helper()
	a := c.send(tb, method, path, body)
	if a.status != status {
		tb.Fatalf("%s %s: got %v, want %d", method, path, a, status)
	}
	return a
}

// decode reads a JSON answer into v, in which numbers stay as they were spelled.
func decode[T any](tb testing.TB, a answer) T {
	tb.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("the answer is no JSON: %v: %v", err, a)
	}
	return v
}

// text returns a member of an answer, "" where there is none. Unlike decode it may be used outside
// the test's own goroutine.
func (a answer) text(member string) string {
	var members map[string]any
	if json.Unmarshal(a.body, &members) != nil {
		return ""
	}
	text, _ := members[member].(string)
	return text
}

// happened is the answer as the model of the histories sees it. It may be used anywhere, as text.
func (a answer) happened(kind string) happened {
	out := happened{status: a.status, code: a.text("code")}
	if kind != "read" {
		out.now.status = a.text("status")
		return out
	}
	var read struct{ Thread thread }
	if a.status == http.StatusOK && json.Unmarshal(a.body, &read) == nil {
		out.there, out.now = true, read.Thread.state()
	}
	return out
}

// The shapes of the contract.
type (
	thread struct {
		Ref         string    `json:"ref"`
		Status      string    `json:"status"`
		Intent      string    `json:"intent"`
		RequestorID string    `json:"requestor_id"`
		ExecutorID  *string   `json:"executor_id"`
		Priority    string    `json:"priority"`
		CreatedAt   string    `json:"created_at"`
		UpdatedAt   string    `json:"updated_at"`
		Messages    []message `json:"messages"`
	}
	message struct {
		From string          `json:"from"`
		TS   string          `json:"ts"`
		Mess json.RawMessage `json:"mess"`
	}
	executor struct {
		ID           string   `json:"id"`
		DisplayName  string   `json:"display_name"`
		Capabilities []string `json:"capabilities"`
		LastSeen     string   `json:"last_seen"`
		CreatedAt    string   `json:"created_at"`
	}
)

// holder is who claimed the thread, or "".
func (t thread) holder() string {
	if t.ExecutorID == nil {
		return ""
	}
	return *t.ExecutorID
}

// state is the thread as the model of the histories has it.
func (t thread) state() threadState {
	s := threadState{there: true, requestor: t.RequestorID, status: t.Status, holder: t.holder()}
	for _, m := range t.Messages[min(1, len(t.Messages)):] { // the first is the request itself
		var blocks []struct {
			Status   struct{ Code string }
			Response struct{ Content []string }
		}
		_ = json.Unmarshal(m.Mess, &blocks) // what is not understood is a mark that nobody sent
		code, mark := "", string(m.Mess)
		for _, b := range blocks {
			if b.Status.Code != "" {
				code = b.Status.Code
			}
			if len(b.Response.Content) == 1 {
				mark = b.Response.Content[0]
			}
		}
		s.messages += fmt.Sprintf("%s:%s:%s;", m.From, mark, code)
	}
	return s
}

// register adds an executor and returns a client with its key.
func (c client) register(tb testing.TB, id string) client {
	tb.Helper()
	return c.as(c.want(tb, http.StatusCreated, "POST", "/register", map[string]any{"executor_id": id}).text("api_key"))
}

// create posts a request and returns its ref.
func (c client) create(tb testing.TB, body any) string {
	tb.Helper()
	return c.want(tb, http.StatusCreated, "POST", "/requests", body).text("ref")
}

// intent is the smallest body of a request.
func intent(text string) map[string]any { return map[string]any{"intent": text} }

// set changes a thread's status.
func (c client) set(tb testing.TB, ref, status string) {
	tb.Helper()
	c.want(tb, http.StatusOK, "PATCH", "/requests/"+ref, map[string]any{"status": status})
}

func (c client) thread(tb testing.TB, ref string) thread {
	tb.Helper()
	a := c.want(tb, http.StatusOK, "GET", "/requests/"+ref, nil)
	return decode[struct{ Thread thread }](tb, a).Thread
}

// threads lists all there are, page by page, with a query such as "?status=pending".
func (c client) threads(tb testing.TB, query string) (all []thread) {
	tb.Helper()
	for {
		a := c.want(tb, http.StatusOK, "GET", "/requests"+query, nil)
		all = append(all, decode[struct{ Threads []thread }](tb, a).Threads...)
		link := a.header.Get("Link")
		if link == "" {
			return all
		}
		var ok bool
		if query, ok = strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`); !ok || !strings.HasPrefix(query, "?") {
			tb.Fatalf("the next page is at %q", link)
		}
	}
}

func (c client) executors(tb testing.TB) []executor {
	tb.Helper()
	a := c.want(tb, http.StatusOK, "GET", "/executors", nil)
	return decode[struct{ Executors []executor }](tb, a).Executors
}
