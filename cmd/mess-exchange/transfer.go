package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/mess-exchange/mess-exchange/internal/auth"
)

const (
	// transferTime is what one thread may take on its way: ten megabytes over a slow line.
	transferTime = 5 * time.Minute
	// maxTransferred is the longest answer that is read: a thread with 64 MiB of files, as JSON.
	maxTransferred = 128 << 20
	// transferTries is how often a thread is tried while the server says that it can't now, or does not answer.
	transferTries = 6
	// longestPause bounds how long a server may ask to wait before the next try.
	longestPause = 30 * time.Second
	// mostReasons is how many of the threads that failed are named.
	mostReasons = 10
)

// transfer are the flags of the commands that carry threads to and from a running server.
type transfer struct {
	URL string `name:"url" var:"MESS_URL" help:"Where the server is; none is the one that runs on this machine."`
	Key string `var:"MESS_API_KEY" help:"The API key of an executor of the exchange; better not as a flag, which others can see."`
	Dir string `arg:"" help:"The folder."`
}

// exporting are the flags of the export command.
type exporting struct {
	transfer `embed:""`
	Format   string `enum:",v1,v2" default:"" help:"Version of the files; none is v1, and v2 for threads with attachments."`
}

// remote is an exchange at a server.
type remote struct {
	base   string // …/api/v1/exchanges/{id}
	key    string
	client http.Client
	pause  func(ctx context.Context, d time.Duration) error
}

// remote is the exchange of the key.
func (t *transfer) remote(c *config) (*remote, error) {
	base, err := c.serverURL(t.URL)
	if err != nil {
		return nil, err
	}
	exchange, _, ok := auth.Parse(t.Key)
	if !ok {
		return nil, errors.New("MESS_API_KEY: must be an API key of the exchange, such as mess_home_abc123")
	}
	return &remote{
		base: base + "/api/v1/exchanges/" + url.PathEscape(exchange), key: t.Key, pause: sleep,
		// A redirect would take the key elsewhere, and make a GET of an import.
		client: http.Client{Timeout: transferTime, CheckRedirect: noRedirect},
	}, nil
}

// serverURL is where a server is, without a slash at its end; "" is the one that these settings describe.
func (c *config) serverURL(given string) (string, error) {
	base := given
	if base == "" {
		base = c.url(c.Port, "127.0.0.1")
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("--url: must be like http://localhost:3000, not %q", given)
	}
	return strings.TrimSuffix(base, "/"), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refusal is what a server has answered instead of doing what it was asked.
type refusal struct {
	status  int
	code    string
	message string
}

func (r *refusal) Error() string {
	if r.message == "" {
		return fmt.Sprintf("is not answered by a mess-exchange (status %d)", r.status)
	}
	return fmt.Sprintf("refused with %d: %s", r.status, r.message)
}

// everywhere reports whether the same is to be expected for each further thread.
func (r *refusal) everywhere() bool {
	switch r.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return true
	}
	return r.code == "not_found" || r.code == "read_only" || r.message == "" && r.status < http.StatusInternalServerError
}

// ask sends a request until it is answered for good, and returns the answer. Everything that is asked can be
// asked again: an import that was stored is a 409 the second time.
func (r *remote) ask(ctx context.Context, method, path, media string, body []byte) ([]byte, error) {
	for try := 1; ; try++ {
		answer, after, err := r.once(ctx, method, path, media, body)
		if err == nil || after < 0 || try == transferTries || ctx.Err() != nil {
			return answer, err
		}
		if r.pause(ctx, min(after, longestPause)) != nil {
			return nil, err
		}
	}
}

// once sends a request. after is how long to wait before it is sent again; negative where that is of no use.
func (r *remote) once(ctx context.Context, method, path, media string, body []byte) (answer []byte, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, -1, fmt.Errorf("--url: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, time.Second, fmt.Errorf("no answer: %w", unwrapped(err))
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxTransferred+1))
	switch {
	case err != nil:
		return nil, time.Second, fmt.Errorf("the answer broke off: %w", err)
	case len(answer) > maxTransferred:
		return nil, -1, errors.New("the answer is too long")
	case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusCreated:
		return answer, 0, nil
	}
	refused := &refusal{status: res.StatusCode}
	var said struct{ Error, Code string }
	if json.Unmarshal(answer, &said) == nil { // else another service answers
		refused.message, refused.code = printable(said.Error), said.Code
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && !refused.everywhere() {
		return nil, time.Duration(max(seconds, 0)) * time.Second, refused
	}
	return nil, -1, refused
}

// tally counts what became of threads, and shows it on the way where somebody watches.
type tally struct {
	what    string // has been done to those that were not skipped: imported, exported
	skipped string // what those are that were
	stdout  io.Writer
	bar     *progressbar.ProgressBar // nil where stderr is no terminal

	done, skips, failed int
}

// newTally begins to count. A bar is for people: in a log of a cron job it would be a thousand lines.
func newTally(what, skipped string, total int, stdout, stderr io.Writer) *tally {
	t := &tally{what: what, skipped: skipped, stdout: stdout}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(stderr), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return t
}

func (t *tally) step() {
	if t.bar != nil {
		_ = t.bar.Add(1) // a terminal that is gone is no reason to stop
	}
}

func (t *tally) count(n *int) {
	*n++
	t.step()
}

// fail notes that a thread could not be carried over, and names the first ones.
func (t *tally) fail(name string, err error) {
	t.clear()
	if t.failed < mostReasons {
		fmt.Fprintf(t.stdout, "failed: %s: %v\n", printable(name), err)
	}
	t.count(&t.failed)
}

func (t *tally) clear() {
	if t.bar != nil {
		_ = t.bar.Clear()
	}
}

// finish prints the sum, and returns the error that the command ends with. stopped is why it ends before all
// threads were looked at.
func (t *tally) finish(ctx context.Context, stopped error) error {
	t.clear()
	fmt.Fprintf(t.stdout, "%s %d, %s %d, failed %d\n", t.what, t.done, t.skipped, t.skips, t.failed)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; the same command goes on from here")
	case stopped != nil:
		return stopped
	case t.failed > 0:
		return fmt.Errorf("%d threads failed", t.failed)
	}
	return nil
}
