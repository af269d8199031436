// load writes to an exchange and reads from it, while the cluster of the tests loses a server or replaces all of
// them, until it is interrupted. Then it reads everything back: each write that was answered must be there, once.
// It prints what it did and, with exit status 1, what went wrong.
//
// A client may try again where nobody listened, for then nothing was sent. Any other trouble is a failure; with
// -abrupt, for servers that are killed, a write without an answer is sent again under its Idempotency-Key.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	writers = 4
	readers = 2
	waiters = 2
	// pace is how long a worker rests between two calls: the point is not to fill the server.
	pace = 10 * time.Millisecond
	// answerTime bounds one call, retryTime all tries of one: a server that was killed is back in seconds.
	answerTime = 20 * time.Second
	retryTime  = 30 * time.Second
	// underWay is how many writes make a load that is worth disturbing.
	underWay = 20
	// mostFailures are printed; one would do.
	mostFailures = 10
)

// load is what the workers share.
type load struct {
	url    string // of the exchange
	key    string
	abrupt bool

	mu       sync.Mutex
	intents  map[string]string // by ref: what was answered
	last     string            // the newest of these refs
	reads    int
	waits    int
	refused  int // tries that met nobody
	again    int // tries that broke off, with -abrupt
	failures []string
}

func main() {
	url := flag.String("url", "", "URL of a server, such as http://10.96.0.7")
	exchange := flag.String("exchange", "load", "name of the exchange, which must be a new one")
	abrupt := flag.Bool("abrupt", false, "servers are killed: calls that break off are made again")
	token := flag.String("token", "", "registration token")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l := &load{url: *url + "/api/v1/exchanges/" + *exchange, abrupt: *abrupt, intents: map[string]string{}}
	if err := l.register(*token); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l.run(ctx)
	l.readBack()
	fmt.Printf("%d written, %d read, %d waited for, %d times nobody listened, %d broken off\n",
		len(l.intents), l.reads, l.waits, l.refused, l.again)
	for i, failure := range l.failures {
		if i == mostFailures {
			fmt.Fprintf(os.Stderr, "and %d more\n", len(l.failures)-i)
			break
		}
		fmt.Fprintln(os.Stderr, failure)
	}
	if len(l.failures) > 0 {
		os.Exit(1)
	}
}

// run works until ctx ends, and then finishes what is under way. Every other worker opens a connection for each
// call; the rest keep theirs, as most clients and proxies do.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range writers {
		client := newClient(i%2 == 0)
		all.Go(func() { l.repeat(ctx, func(n int) { l.write(client, fmt.Sprintf("writer %d, turn %d", i, n)) }) })
	}
	for i := range readers {
		client := newClient(i%2 == 0)
		all.Go(func() { l.repeat(ctx, func(int) { l.read(client) }) })
	}
	for i := range waiters {
		client := newClient(i%2 == 0)
		all.Go(func() { l.repeat(ctx, func(int) { l.wait(client) }) })
	}
	all.Wait()
}

// repeat does something until ctx ends.
func (l *load) repeat(ctx context.Context, turn func(n int)) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			turn(n)
		}
	}
}

func newClient(keep bool) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: !keep}, Timeout: answerTime}
}

func (l *load) register(token string) error {
	body := `{"executor_id": "load"}`
	req, err := http.NewRequest(http.MethodPost, l.url+"/register", bytes.NewBufferString(body))
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Registration-Token", token)
	res, err := newClient(false).Do(req)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer res.Body.Close()
	var answer struct {
		Key string `json:"api_key"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Key == "" {
		return fmt.Errorf("register: status %d and no key", res.StatusCode)
	}
	l.key = answer.Key
	return nil
}

// write creates a request that no other has the intent of.
func (l *load) write(client *http.Client, intent string) {
	var answer struct{ Ref string }
	body, _ := json.Marshal(map[string]string{"intent": intent}) // strings always can
	if !l.call(client, http.MethodPost, "/requests", intent, body, http.StatusCreated, &answer) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, ok := l.intents[answer.Ref]; ok {
		l.failures = append(l.failures, fmt.Sprintf("%q and %q both are %s", other, intent, answer.Ref))
	}
	l.intents[answer.Ref], l.last = intent, answer.Ref
	if len(l.intents) == underWay {
		fmt.Println("under way")
	}
}

// read wants the thread that was written last.
func (l *load) read(client *http.Client) {
	if ref := l.newest(); ref != "" && l.readOne(client, ref, "") {
		l.mu.Lock()
		l.reads++
		l.mu.Unlock()
	}
}

// wait asks for a change that does not come: such a read is always under way somewhere when a server stops.
func (l *load) wait(client *http.Client) {
	if ref := l.newest(); ref != "" && l.readOne(client, ref, "?wait=2s") {
		l.mu.Lock()
		l.waits++
		l.mu.Unlock()
	}
}

func (l *load) newest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// readOne reports whether a thread was read. One with another intent is a failure too.
func (l *load) readOne(client *http.Client, ref, query string) bool {
	l.mu.Lock()
	want := l.intents[ref]
	l.mu.Unlock()
	var answer struct{ Thread struct{ Intent string } }
	if !l.call(client, http.MethodGet, "/requests/"+ref+query, "", nil, http.StatusOK, &answer) {
		return false
	}
	if answer.Thread.Intent != want {
		l.fail("%s has the intent %q, not %q", ref, answer.Thread.Intent, want)
		return false
	}
	return true
}

// readBack wants each write to be there, and nothing else: a write that was done twice has two refs.
func (l *load) readBack() {
	client := newClient(false)
	listed := 0
	for query := "?limit=200"; ; {
		var page struct {
			Threads []struct{ Ref, Intent string }
			Next    string `json:"next_cursor"`
		}
		if !l.call(client, http.MethodGet, "/requests"+query, "", nil, http.StatusOK, &page) {
			return
		}
		for _, thread := range page.Threads {
			listed++
			if want, ok := l.intents[thread.Ref]; !ok {
				l.fail("%s with the intent %q is there, and nobody was told of it", thread.Ref, thread.Intent)
			} else if want != thread.Intent {
				l.fail("%s has the intent %q, not %q", thread.Ref, thread.Intent, want)
			}
		}
		if page.Next == "" {
			break
		}
		query = "?limit=200&cursor=" + page.Next
	}
	if listed != len(l.intents) {
		l.fail("%d threads are listed, of %d that were written", listed, len(l.intents))
	}
}

// call makes a call, again where that is allowed, and reports whether it had the answer it should have.
func (l *load) call(client *http.Client, method, path, key string, body []byte, want int, answer any) bool {
	limit := time.Now().Add(retryTime)
	for {
		status, got, err := l.once(client, method, path, key, body)
		if err == nil {
			if status != want {
				l.fail("%s %s: status %d: %.200s", method, path, status, got)
				return false
			}
			if err := json.Unmarshal(got, answer); err != nil {
				l.fail("%s %s: %v: %.200s", method, path, err, got)
				return false
			}
			return true
		}
		refused := errors.Is(err, syscall.ECONNREFUSED)
		if !refused && !l.abrupt || time.Now().After(limit) {
			l.fail("%s %s: %v", method, path, err)
			return false
		}
		l.mu.Lock()
		if refused {
			l.refused++
		} else {
			l.again++
		}
		l.mu.Unlock()
		time.Sleep(pace) // nobody says when somebody listens
	}
}

// once makes one try.
func (l *load) once(client *http.Client, method, path, key string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, l.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+l.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("send it: %w", err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	return res.StatusCode, got, nil
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}
