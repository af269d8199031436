//go:build !js

package send

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// loopback is a caller that may call receivers on this machine.
func loopback(*testing.T) *caller { return newCaller(networks("127.0.0.0/8")) }

// Ensure that what arrives is the request, byte by byte.
func TestRequestAsItIs(t *testing.T) {
	var got string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %q %q %q %q", r.Method, r.URL, r.Header["User-Agent"], r.Header["Webhook-Id"], r.Header["Accept-Encoding"], body)
		fmt.Fprint(w, `{"id":"7"}`)
	}))
	defer receiver.Close()
	r := post(receiver.URL + "/a%2Fb?c=d%20e#f")
	r.Method, r.Header["webhook-id"] = "PUT", "msg_1"
	o := loopback(t).attempt(t.Context(), r)
	if o.Verdict != Delivered || o.Status != 200 || string(o.Answer) != `{"id":"7"}` || o.Reason != "" {
		t.Errorf("%+v", o)
	}
	if want := `PUT /a%2Fb?c=d%20e ["mess-exchange"] ["msg_1"] [] "{\"k\":\"v\"}"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Ensure what each answer means.
func TestAnswers(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/"), &status)
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
		if status != 204 && status != 304 {
			fmt.Fprint(w, "SECRET")
		}
	}))
	defer receiver.Close()
	c := loopback(t)
	for status, want := range map[int]Verdict{
		200: Delivered, 201: Delivered, 202: Delivered, 204: Delivered, 299: Delivered,
		300: Failed, 301: Failed, 302: Failed, 304: Failed, 307: Failed, 308: Failed,
		400: Failed, 401: Failed, 403: Failed, 404: Failed, 405: Failed, 409: Failed, 413: Failed, 422: Failed, 499: Failed,
		408: TryAgain, 425: TryAgain, 429: TryAgain, 500: TryAgain, 501: TryAgain, 502: TryAgain, 503: TryAgain, 504: TryAgain, 599: TryAgain,
		410: Gone,
	} {
		o := c.attempt(t.Context(), post(fmt.Sprintf("%s/%d", receiver.URL, status)))
		if o.Verdict != want || o.Status != status || (o.Reason == "") != (want == Delivered) {
			t.Errorf("%d: %+v, want %v", status, o, want)
		}
		if (o.RetryAfter == 7*time.Second) != (want == TryAgain) || o.RetryAfter != 0 && want != TryAgain {
			t.Errorf("%d: retry after %v", status, o.RetryAfter)
		}
		if strings.Contains(o.Reason, "SECRET") || len(o.Answer) > 0 && want != Delivered {
			t.Errorf("%d: %+v", status, o)
		}
	}
}

// Ensure that of an answer without end no more is read than the beginning, and the receiver is hung up on.
func TestEndlessAnswer(t *testing.T) {
	hungUp := make(chan int, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece, sent := make([]byte, 1<<20), 0
		for {
			n, err := w.Write(piece)
			if sent += n; err != nil {
				hungUp <- sent
				return
			}
		}
	}))
	defer receiver.Close()
	o := loopback(t).attempt(t.Context(), post(receiver.URL))
	if o.Verdict != Delivered || len(o.Answer) != maxAnswer {
		t.Errorf("%v, %d bytes", o.Verdict, len(o.Answer))
	}
	if sent := <-hungUp; sent > 100<<20 {
		t.Errorf("%d bytes were sent", sent)
	}
}

// Ensure that a header without end is an answer that can't be read.
func TestEndlessHeader(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 10*maxAnswerHeader))
	}))
	defer receiver.Close()
	if o := loopback(t).attempt(t.Context(), post(receiver.URL)); o.Verdict != TryAgain || o.Status != 0 || o.Reason != broken {
		t.Errorf("%+v", o)
	}
}

// piped is a caller whose connections end at receiver, without a network.
func piped(receiver func(net.Conn)) *caller {
	transport := newTransport(&net.Dialer{})
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go receiver(theirs)
		return ours, nil
	}
	return &caller{guarded: transport}
}

// Ensure that a receiver that hangs costs the time of an attempt and no more, wherever it hangs.
func TestHangingReceivers(t *testing.T) {
	hang := func(says string) func(net.Conn) {
		return func(c net.Conn) {
			read := make([]byte, 4096)
			_, _ = c.Read(read)
			_, _ = io.WriteString(c, says)
			_, _ = io.Copy(io.Discard, c) // until we hang up
		}
	}
	for name, c := range map[string]struct {
		says    string
		verdict Verdict
		reason  string
	}{
		"says nothing":             {"", TryAgain, noAnswer},
		"stops in the status":      {"HTTP/1.1 2", TryAgain, noAnswer},
		"stops in the header":      {"HTTP/1.1 200 OK\r\nX-A: b", TryAgain, noAnswer},
		"stops in the answer":      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", Delivered, ""}, // it has said that it took it
		"stops in the refusal":     {"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{", Failed, "the receiver refuses the request"},
		"says what is no HTTP":     {"220 mail.example ESMTP\r\n", TryAgain, broken},
		"only says to wait for it": {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3), TryAgain, noAnswer},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			o := piped(hang(c.says)).attempt(t.Context(), post("http://receiver.example/"))
			if took := time.Since(began); o.Verdict != c.verdict || o.Reason != c.reason || took > attemptTime || c.reason == noAnswer && took != attemptTime {
				t.Errorf("%s: %+v after %v", name, o, took)
			}
		})
	}
}

// Ensure that what can't be called says so in words that give nothing away.
func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	untrusted := httptest.NewTLSServer(nil)
	untrusted.Config.ErrorLog = nil
	defer untrusted.Close()
	hangsUp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangsUp.Close()
	go func() {
		for {
			c, err := hangsUp.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	const secret = "/SECRET?key=SECRET"
	for address, want := range map[string]Outcome{
		closed.URL + secret:                          {Verdict: TryAgain, Reason: noConnect},
		untrusted.URL + secret:                       {Verdict: TryAgain, Reason: noTrust},
		"http://" + hangsUp.Addr().String() + secret: {Verdict: TryAgain, Reason: broken},
		"http://169.254.169.254" + secret:            {Verdict: Failed, Reason: notAllowed},
		"http://10.0.0.1:80" + secret:                {Verdict: Failed, Reason: notAllowed},
		"http://[::1]:80" + secret:                   {Verdict: Failed, Reason: notAllowed},
		"http://93.184.216.34:22" + secret:           {Verdict: Failed, Reason: notAllowed},
		"http://SECRET:SECRET@127.0.0.1/":            {Verdict: Failed, Reason: noURL},
		"ftp://127.0.0.1" + secret:                   {Verdict: Failed, Reason: noURL},
		"file:///etc/passwd?SECRET":                  {Verdict: Failed, Reason: noURL},
		"http:///SECRET":                             {Verdict: Failed, Reason: noURL},
		"SECRET":                                     {Verdict: Failed, Reason: noURL},
		"http://127.0.0.1:SECRET/":                   {Verdict: Failed, Reason: noURL},
	} {
		o := loopback(t).attempt(t.Context(), post(address))
		if o.Verdict != want.Verdict || o.Reason != want.Reason || o.Status != 0 || strings.Contains(fmt.Sprintf("%+v", o), "SECRET") {
			t.Errorf("%s: %+v", address, o)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if o := loopback(t).attempt(ended, post(closed.URL)); o.Verdict != TryAgain || o.Reason != interrupted {
		t.Errorf("%+v", o)
	}
}

// recorder is a receiver that counts what reaches it.
func recorder(t *testing.T, address string) (url string, hits *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	hits = new(atomic.Int64)
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits.Add(1) }))
	_ = receiver.Listener.Close()
	receiver.Listener = l
	receiver.Start()
	t.Cleanup(receiver.Close)
	return receiver.URL, hits
}

// Ensure that this machine can't be reached in any spelling unless the operator allows it.
func TestSpellingsOfThisMachine(t *testing.T) {
	address, hits := recorder(t, "127.0.0.1:0")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c := newCaller(nil)
	for _, host := range []string{"127.0.0.1", "localhost", "LOCALHOST", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "017700000001"} {
		if o := c.attempt(t.Context(), post("http://"+host+":"+u.Port()+"/")); o.Status != 0 {
			t.Errorf("%s: %+v", host, o)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("it was reached %d times", hits.Load())
	}
	if o := loopback(t).attempt(t.Context(), post(address)); o.Verdict != Delivered || hits.Load() != 1 {
		t.Errorf("allowed: %+v", o)
	}
}

// Ensure that a redirect is not followed, to wherever it leads.
func TestRedirect(t *testing.T) {
	inside, hits := recorder(t, "127.0.0.1:0")
	for _, to := range []string{inside, "http://169.254.169.254/latest/meta-data/", "//127.0.0.1/"} {
		receiver := httptest.NewServer(http.RedirectHandler(to, http.StatusTemporaryRedirect))
		if o := loopback(t).attempt(t.Context(), post(receiver.URL)); o.Verdict != Failed || o.Status != 307 {
			t.Errorf("%s: %+v", to, o)
		}
		receiver.Close()
	}
	if hits.Load() != 0 {
		t.Error("it was followed")
	}
}

// Ensure that a connection which was made for the operator is not there for an executor.
func TestOperatorsConnection(t *testing.T) {
	address, hits := recorder(t, "127.0.0.1:0")
	c := newCaller(nil)
	operators := post(address)
	operators.Operated = true
	if o := c.attempt(t.Context(), operators); o.Verdict != Delivered {
		t.Fatalf("%+v", o)
	}
	if o := c.attempt(t.Context(), post(address)); o.Verdict != Failed || o.Reason != notAllowed || hits.Load() != 1 {
		t.Errorf("%+v, %d requests", o, hits.Load())
	}
}
