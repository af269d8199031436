//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// line is the way from one server to its S3 server: a proxy on which things go wrong. It is one of our
// own because the faults that matter are faults of single requests: a write that is carried out and its
// answer lost, one that arrives seconds after its sender gave up, an answer whose Date is hours off.
// A proxy of TCP streams, such as Shopify/toxiproxy, can't see where a request begins.
//
// It signs each request again. An SDK that reads a Date signs with it, and a store whose clock is off
// would accept that; the real one behind this line would not.
type line struct {
	endpoint string
	target   string // http://host:port
	secrets  aws.Credentials
	front    *http.Server
	back     *http.Transport
	late     sync.WaitGroup // writes that are still under way without their sender

	mu      sync.Mutex
	rng     *rand.Rand
	weather weather
	hold    *hold         // nil for none
	skew    time.Duration // of the Date in answers
	open    map[net.Conn]struct{}
	counts  map[weather]int // requests that it hit
}

// weather is what goes wrong at a time.
type weather string

const (
	fair      weather = ""
	cut       weather = "cut"       // all connections end; new ones do so at once
	lossy     weather = "lossy"     // of the requests one in six is lost, of the answers one in three
	lateness  weather = "late"      // half of the writes seem lost, and arrive after their sender is told so
	slow      weather = "slow"      // requests and answers take up to 300 ms more
	deaf      weather = "deaf"      // requests are carried out, and all answers are lost
	half      weather = "half-open" // requests are taken and nothing is ever said
	truncated weather = "truncated" // half of the answers end in the middle of their body
)

// newLine opens a line to an S3 server.
func newLine(t *testing.T, store *s3test.Server, rng *rand.Rand) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{
		endpoint: "http://" + listener.Addr().String(), target: store.Endpoint,
		secrets: aws.Credentials{AccessKeyID: store.AccessKey, SecretAccessKey: store.SecretKey},
		back:    &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ResponseHeaderTimeout: 30 * time.Second},
		rng:     rng, open: map[net.Conn]struct{}{}, counts: map[weather]int{},
	}
	l.front = &http.Server{Handler: l, ConnState: l.connection, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = l.front.Serve(listener) }() // until Close
	t.Cleanup(func() {
		l.release()
		_ = l.front.Close()
		l.late.Wait()
		l.back.CloseIdleConnections()
	})
	return l
}

// connection keeps the open connections, so that they can be cut.
func (l *line) connection(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch state {
	case http.StateNew:
		l.open[c] = struct{}{}
		if l.weather == cut {
			l.counts[cut]++
			_ = c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		delete(l.open, c)
	}
}

// set changes the weather.
func (l *line) set(w weather) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w == cut || l.weather == half { // a half-open connection is never of use again
		for c := range l.open {
			l.counts[cut]++
			_ = c.Close()
		}
	}
	l.weather = w
}

// shift sets how far off the store's clock seems to be.
func (l *line) shift(skew time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skew = skew
}

// hits is how many requests and connections each weather has hit.
func (l *line) hits() map[weather]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[weather]int{}
	for w, n := range l.counts {
		all[w] = n
	}
	return all
}

// plan is what will happen to one request.
type plan struct {
	before, after            time.Duration
	lost, answerLost, silent bool
	arrives                  time.Duration // after it seems lost; 0 for never
	truncates                bool
}

func (l *line) plan(method string) plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	var p plan
	dice, wait := l.rng.IntN(6), func(n time.Duration) time.Duration { return time.Duration(l.rng.Int64N(int64(n))) }
	switch l.weather {
	case lossy:
		p.lost, p.answerLost = dice == 0, dice == 1 || dice == 2
	case lateness:
		if method == http.MethodPut && dice < 3 {
			p.lost, p.arrives = true, time.Millisecond+wait(4*time.Second)
		}
	case slow:
		p.before, p.after = wait(300*time.Millisecond), wait(300*time.Millisecond)
	case deaf:
		p.answerLost = true
	case half:
		p.silent = true
	case truncated:
		p.truncates = dice < 3
	}
	if p.lost || p.answerLost || p.silent || p.truncates || p.before > 0 {
		l.counts[l.weather]++
	}
	return p
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // which closes the connection
	}
	p := l.plan(r.Method)
	switch {
	case p.silent:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case p.arrives > 0:
		l.late.Go(func() {
			<-time.After(p.arrives)
			_, _, _ = l.pass(context.Background(), r, body) // nobody is there to be told
		})
		panic(http.ErrAbortHandler)
	case p.lost:
		panic(http.ErrAbortHandler)
	}
	<-time.After(p.before)
	h := l.holding(r.Method)
	h.pause(false)
	res, content, err := l.pass(context.WithoutCancel(r.Context()), r, body)
	date := l.date() // the store has answered, however late that is heard
	h.pause(true)
	<-time.After(p.after)
	if err != nil || p.answerLost {
		panic(http.ErrAbortHandler)
	}
	l.answer(w, r, res, content, date, p.truncates)
}

// date is what the store's clock shows, as seen from this line.
func (l *line) date() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Add(l.skew)
}

// hold keeps requests of a method, or the answers to them, until it is released. Nothing is lost by it.
type hold struct {
	method  string
	answers bool
	caught  chan struct{} // closed when the first one is kept
	passed  chan struct{} // closed when the store has answered the first one
	end     chan struct{} // closed by release

	first, answered sync.Once
}

// keep holds requests of a method from now on, or with answers what they are answered.
func (l *line) keep(method string, answers bool) *hold {
	h := &hold{method: method, answers: answers, caught: make(chan struct{}), passed: make(chan struct{}), end: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = h
	return h
}

// release lets everything pass that was kept, and whatever comes.
func (l *line) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold != nil {
		close(l.hold.end)
		l.hold = nil
	}
}

// holding returns the hold for a request, nil for none.
func (l *line) holding(method string) *hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold == nil || l.hold.method != method {
		return nil
	}
	return l.hold
}

// pause keeps a request before the store has seen it, or after the store has answered it.
func (h *hold) pause(answered bool) {
	if h == nil {
		return
	}
	if answered {
		h.answered.Do(func() { close(h.passed) })
	}
	if h.answers == answered {
		h.first.Do(func() { close(h.caught) })
		<-h.end
	}
}

// answer passes an answer on.
func (l *line) answer(w http.ResponseWriter, r *http.Request, res *http.Response, content []byte, date time.Time, truncate bool) {
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
	w.WriteHeader(res.StatusCode)
	if r.Method == http.MethodHead {
		return
	}
	if truncate {
		_, _ = w.Write(content[:len(content)/2])
		_ = http.NewResponseController(w).Flush() // or what was written is dropped with the connection
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(content) // fails where nobody listens any more
}

// pass sends a request to the store, signed for it, and reads the whole answer.
func (l *line) pass(ctx context.Context, r *http.Request, body []byte) (*http.Response, []byte, error) {
	var content io.Reader
	if len(body) > 0 {
		content = bytes.NewReader(body)
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, l.target+r.RequestURI, content)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range r.Header {
		switch name {
		case "Authorization", "Connection", "Content-Length", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request":
		default:
			out.Header[name] = values
		}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	out.Header.Set("X-Amz-Content-Sha256", hash)
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
		SignHTTP(ctx, l.secrets, out, hash, "s3", "auto", time.Now())
	if err != nil {
		return nil, nil, err
	}
	res, err := l.back.RoundTrip(out)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, answer, err
}

// TestLine: the line does what its weather says, or the torture would be mild without anyone noticing.
func TestLine(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var arrived []string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		arrived = append(arrived, r.Method+string(body))
		mu.Unlock()
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	}))
	defer store.Close()
	l := newLine(t, &s3test.Server{Endpoint: store.URL, AccessKey: "a", SecretKey: "s"}, rand.New(rand.NewPCG(1, 1)))
	put := func() (int, time.Time) { return putThrough(l) }
	const calls = 40
	for _, c := range []struct {
		weather  weather
		answers  func(whole, part, none int) bool
		arriving func(n int) bool
	}{
		{fair, func(whole, _, _ int) bool { return whole == calls }, func(n int) bool { return n == calls }},
		{cut, func(_, _, none int) bool { return none == calls }, func(n int) bool { return n == 0 }},
		{lossy, func(whole, _, none int) bool { return whole > 0 && none > calls/4 }, func(n int) bool { return n > calls/2 && n < calls }},
		{lateness, func(whole, _, none int) bool { return whole > 0 && none > calls/4 }, func(n int) bool { return n == calls }},
		{deaf, func(_, _, none int) bool { return none == calls }, func(n int) bool { return n == calls }},
		{truncated, func(whole, part, _ int) bool { return whole > 0 && part > calls/4 }, func(n int) bool { return n == calls }},
	} {
		l.set(c.weather)
		whole, part, none := 0, 0, 0
		for range calls {
			switch got, _ := put(); got {
			case 0:
				none++
			case 100:
				whole++
			default:
				part++
			}
		}
		l.late.Wait()
		mu.Lock()
		if !c.answers(whole, part, none) || !c.arriving(len(arrived)) {
			t.Errorf("%s: %d answers, %d cut ones, %d none; %d arrived of %d", c.weather, whole, part, none, len(arrived), calls)
		}
		arrived = nil
		mu.Unlock()
	}
	l.set(half)
	if got, _ := put(); got != 0 || len(arrived) != 0 {
		t.Errorf("half-open: got %d bytes, %d arrived", got, len(arrived))
	}
	l.set(fair)
	l.shift(-5 * time.Hour)
	if _, date := put(); time.Since(date).Round(time.Minute) != 5*time.Hour {
		t.Errorf("a clock five hours behind says %v", date)
	}
}

// putThrough writes through a line and returns how many bytes of an answer came, and its Date.
func putThrough(l *line) (got int, date time.Time) {
	impatient := &http.Client{Timeout: 500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest("PUT", l.endpoint+"/b/k", strings.NewReader("!"))
	if err != nil {
		return 0, date
	}
	res, err := impatient.Do(req)
	if err != nil {
		return 0, date
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body) // a cut answer has fewer bytes
	date, _ = http.ParseTime(res.Header.Get("Date"))
	return len(body), date
}

// TestLineHolds: a line keeps the requests or the answers that it was told to keep, and no others, until it is
// told to let them pass; and the Date of an answer is the time at which the store gave it.
func TestLineHolds(t *testing.T) {
	arrived := make(chan string, 1)
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Method }))
	defer store.Close()
	l := newLine(t, &s3test.Server{Endpoint: store.URL, AccessKey: "a", SecretKey: "s"}, rand.New(rand.NewPCG(1, 1)))
	for _, answers := range []bool{false, true} {
		h := l.keep(http.MethodPut, answers)
		if res, err := http.Get(l.endpoint + "/b/k"); err != nil || <-arrived != http.MethodGet {
			t.Fatalf("another method: %v, %v", res, err)
		}
		dates := make(chan string, 1)
		go func() {
			req, _ := http.NewRequest(http.MethodPut, l.endpoint+"/b/k", nil) // it is well-formed
			if res, err := http.DefaultClient.Do(req); err == nil {
				dates <- res.Header.Get("Date")
			}
			close(dates)
		}()
		<-h.caught
		given := l.date()
		if got := len(arrived); got != map[bool]int{false: 0, true: 1}[answers] {
			t.Errorf("answers %v: %d requests had reached the store when the line had caught one", answers, got)
		}
		l.shift(48 * time.Hour)
		if !answers {
			given = l.date()
		}
		if len(dates) > 0 {
			t.Errorf("answers %v: answered before it was let pass", answers)
		}
		l.release()
		date, err := http.ParseTime(<-dates)
		if off := date.Sub(given).Abs(); err != nil || off > time.Hour || <-arrived != http.MethodPut {
			t.Errorf("answers %v: the Date is %v, %v off (%v)", answers, date, off, err)
		}
		<-h.passed
		l.shift(0)
	}
}
