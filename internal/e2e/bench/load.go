package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// action is one kind of request.
type action struct {
	send func(c *conn, t *target, n int) error
}

// measurement is an action on a number of connections, each sending its next request when the answer to
// the one before is in.
type measurement struct {
	name        string
	connections int
	action
}

const body = `{"intent":"Check if the garage door is closed","context":["Getting ready for bed"],"priority":"normal","response_hint":["image"]}`

var create = action{send: func(c *conn, t *target, _ int) error {
	data, err := c.do("POST", "/api/v1/exchanges/home/requests", body, http.StatusCreated)
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
	t.refs = append(t.refs, answer.Ref)
	t.mu.Unlock()
	return nil
}}

var get = action{send: func(c *conn, t *target, n int) error {
	t.mu.Lock()
	ref := t.refs[(n*7919)%len(t.refs)]
	t.mu.Unlock()
	_, err := c.do("GET", "/api/v1/exchanges/home/requests/"+ref, "", http.StatusOK)
	return err
}}

var list = action{send: func(c *conn, _ *target, _ int) error {
	_, err := c.do("GET", "/api/v1/exchanges/home/requests?limit=100", "", http.StatusOK)
	return err
}}

// measurements in an order that changes the number of threads last.
var measurements = []measurement{
	{"GET, 16 connections", 16, get},
	{"list of 100, 16 conn.", 16, list},
	{"create, 1 connection", 1, create},
	{"create, 16 connections", 16, create},
	{"create, 64 connections", 64, create},
}

type result struct {
	rate float64 // per second
	p99  time.Duration
	cpu  time.Duration // of the server, per request
}

func median(rs []result) result {
	slices.SortFunc(rs, func(a, b result) int { return cmp.Compare(a.rate, b.rate) })
	return rs[len(rs)/2]
}

// measure keeps the connections busy for that long.
func (t *target) measure(m measurement, span time.Duration) (result, error) {
	var wg sync.WaitGroup
	took := make([][]time.Duration, m.connections)
	errs := make(chan error, m.connections)
	cpu, began := t.cpu(), time.Now()
	for i := range m.connections {
		wg.Go(func() {
			c, err := t.dial()
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			for n := i; time.Since(began) < span; n += m.connections {
				start := time.Now()
				if err := m.send(c, t, n); err != nil {
					errs <- fmt.Errorf("%s: %w", m.name, err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	elapsed, used := time.Since(began), t.cpu()-cpu
	close(errs)
	if err := <-errs; err != nil {
		return result{}, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return result{
		rate: float64(len(all)) / elapsed.Seconds(),
		p99:  all[len(all)*99/100],
		cpu:  used / time.Duration(len(all)),
	}, nil
}

// conn is one connection with as little in the client as can be: it shares the machine with the server.
type conn struct {
	net.Conn
	in  *bufio.Reader
	key string
}

func (t *target) dial() (*conn, error) {
	c, err := net.Dial("tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 64<<10), key: t.key}, nil
}

func (c *conn) do(method, path, body string, want int) ([]byte, error) {
	extra := ""
	if body != "" {
		extra = fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n%s\r\n%s", method, path, c.key, extra, body)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, data)
	}
	return data, nil
}
