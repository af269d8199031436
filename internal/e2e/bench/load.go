package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// action sends the n-th request of its kind and takes the answer.
type action func(c *conn, t *target, n int) error

// measurement is an action on a number of connections, each sending its next request when the answer to
// the one before is in.
type measurement struct {
	name        string
	connections int
	action      action
	prepare     func(t *target) error // before each round; nil for nothing
}

const (
	body  = `{"intent":"Check if the garage door is closed","context":["Getting ready for bed"],"priority":"normal","response_hint":["image"]}`
	claim = `{"status":"claimed"}`

	listPath = api + "/requests?limit=100"
	// recentThreads is how many of the newest threads are those that people look at.
	recentThreads = 100
	// claimable is how many threads there are to claim in a round. A round ends when all are.
	claimable = 10000
)

// errNone ends a round before its time: nothing is left to do.
var errNone = errors.New("nothing is left to do")

func create(c *conn, t *target, _ int) error {
	data, err := c.do("POST", api+"/requests", body, http.StatusCreated)
	if err != nil {
		return err
	}
	var answer struct {
		Ref string `json:"ref"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent, t.unclaimed = append(t.recent, answer.Ref), append(t.unclaimed, answer.Ref)
	return nil
}

func claimOne(c *conn, t *target, _ int) error {
	t.mu.Lock()
	left := len(t.unclaimed)
	if left == 0 {
		t.mu.Unlock()
		return errNone
	}
	ref := t.unclaimed[left-1]
	t.unclaimed = t.unclaimed[:left-1]
	t.mu.Unlock()
	_, err := c.do("PATCH", api+"/requests/"+ref, claim, http.StatusOK)
	return err
}

// getRecent asks for one of the newest threads.
func getRecent(c *conn, t *target, n int) error {
	t.mu.Lock()
	ref := t.newest(n % recentThreads)
	t.mu.Unlock()
	_, err := c.do("GET", api+"/requests/"+ref, "", http.StatusOK)
	return err
}

// getOld asks for any thread of the history.
func getOld(c *conn, t *target, n int) error {
	ref := t.old[n*104729%len(t.old)]
	_, err := c.do("GET", api+"/requests/"+ref, "", http.StatusOK)
	return err
}

func list(c *conn, _ *target, _ int) error {
	_, err := c.do("GET", listPath, "", http.StatusOK)
	return err
}

// listSome returns an action that asks for a list of mixedShown threads, each time another one, which no
// earlier answer can be given again for.
func listSome(query string) action {
	return func(c *conn, _ *target, n int) error {
		data, err := c.do("GET", fmt.Sprintf("%s/requests?%s&limit=%d&since=2000-01-01T00:00:00.%09dZ", api, query, mixedShown, n), "", http.StatusOK)
		if found := bytes.Count(data, []byte(`"ref":`)); err == nil && found != mixedShown {
			err = fmt.Errorf("a list of %s has %d threads, not %d", query, found, mixedShown)
		}
		return err
	}
}

// newest returns the ref of the n-th newest thread, from 0. t.mu must be held.
func (t *target) newest(n int) string {
	if n < len(t.recent) {
		return t.recent[len(t.recent)-1-n]
	}
	n -= len(t.recent)
	return t.old[len(t.old)-1-n%len(t.old)]
}

// fillClaimable creates threads until there are enough to claim.
func fillClaimable(t *target) error {
	_, err := t.run(measurement{name: "create threads to claim", connections: 64, action: func(c *conn, t *target, n int) error {
		t.mu.Lock()
		enough := len(t.unclaimed) >= claimable
		t.mu.Unlock()
		if enough {
			return errNone
		}
		return create(c, t, n)
	}}, time.Minute)
	return err
}

var (
	measureGet      = measurement{"GET, 16 connections", 16, getRecent, nil}
	measureGetOld   = measurement{"GET any, 16 connections", 16, getOld, nil}
	measureList     = measurement{"list of 100, 16 conn.", 16, list, nil}
	measureEligible = measurement{"list eligible, 16 conn.", 16, listSome("eligible=true"), nil}
	measureHeld     = measurement{"list held, 16 conn.", 16, listSome("executor=" + executorID + "&status=claimed"), nil}
	measureCreate1  = measurement{"create, 1 connection", 1, create, nil}
	measureCreate16 = measurement{"create, 16 connections", 16, create, nil}
	measureCreate64 = measurement{"create, 64 connections", 64, create, nil}
	measureClaim    = measurement{"claim, 64 connections", 64, claimOne, fillClaimable}
)

type result struct {
	rate float64 // per second
	p99  time.Duration
	cpu  time.Duration // of the server, per request
}

// median returns the middle of each figure by itself.
func median(rs []result) result {
	return result{
		rate: middle(rs, func(r result) float64 { return r.rate }),
		p99:  middle(rs, func(r result) time.Duration { return r.p99 }),
		cpu:  middle(rs, func(r result) time.Duration { return r.cpu }),
	}
}

func middle[T any, F cmp.Ordered](all []T, figure func(T) F) F {
	figures := make([]F, len(all))
	for i, r := range all {
		figures[i] = figure(r)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// inTurns measures the targets one after the other in each round, and returns the median of each.
func (m measurement) inTurns(targets []*target, rounds int, span time.Duration) ([]result, error) {
	all := make([][]result, len(targets))
	for range rounds {
		for i, t := range targets {
			if m.prepare != nil {
				if err := m.prepare(t); err != nil {
					return nil, err
				}
			}
			r, err := t.run(m, span)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], r)
		}
	}
	medians := make([]result, len(targets))
	for i := range targets {
		medians[i] = median(all[i])
	}
	return medians, nil
}

// run keeps the connections busy for that long, or until nothing is left to do.
func (t *target) run(m measurement, span time.Duration) (result, error) {
	var wg sync.WaitGroup
	took := make([][]time.Duration, m.connections)
	errs := make(chan error, m.connections)
	cpu, err := t.cpu()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	for i := range m.connections {
		wg.Go(func() {
			if err := t.keepBusy(m, i, began.Add(span), &took[i]); err != nil {
				errs <- fmt.Errorf("%s: %w", m.name, err)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	used, err := t.cpu()
	if err != nil {
		return result{}, err
	}
	close(errs)
	if err := <-errs; err != nil {
		return result{}, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return result{}, nil
	}
	slices.Sort(all)
	return result{
		rate: float64(len(all)) / elapsed.Seconds(),
		p99:  all[len(all)*99/100],
		cpu:  (used - cpu) / time.Duration(len(all)),
	}, nil
}

// keepBusy is one of the connections.
func (t *target) keepBusy(m measurement, i int, until time.Time, took *[]time.Duration) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	for n := i; ; n += m.connections {
		start := time.Now()
		if start.After(until) {
			return nil
		}
		switch err := m.action(c, t, n); {
		case errors.Is(err, errNone):
			return nil
		case err != nil:
			return err
		}
		*took = append(*took, time.Since(start))
	}
}

// conn is one connection with as little in the client as can be: it shares the machine with the server.
type conn struct {
	net.Conn
	in   *bufio.Reader
	key  string
	text []byte // of the request
}

func (t *target) dial() (*conn, error) {
	c, err := net.Dial("tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 64<<10), key: t.key}, nil
}

// do asks and insists on a status.
func (c *conn) do(method, path, body string, want int) ([]byte, error) {
	status, data, err := c.ask(method, path, body)
	if err == nil && status != want {
		err = fmt.Errorf("%s %s: status %d: %s", method, path, status, data)
	}
	return data, err
}

func (c *conn) ask(method, path, body string) (status int, answer []byte, err error) {
	c.text = fmt.Appendf(c.text[:0], "%s %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n", method, path, c.key)
	if body != "" {
		c.text = fmt.Appendf(c.text, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	c.text = append(append(c.text, "\r\n"...), body...)
	if _, err := c.Write(c.text); err != nil {
		return 0, nil, fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}
