//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// arrivesWithin is how long a test waits for what must arrive: on three replicas, until another has taken over from
// one that died, and then some, for the machine may be busy with other tests.
const arrivesWithin = 60 * time.Second

// arrival is a request as it came over the wire.
type arrival struct {
	at     time.Time
	from   string // the other end of its connection
	raw    string // byte by byte
	method string
	path   string
	header http.Header
	body   []byte
}

// manner is how a receiver treats a request, on whose connection it may write what it likes. False: the
// connection is closed.
type manner func(c net.Conn, a arrival) bool

// receiver is a server that records what it is sent. It speaks HTTP by hand, because a real server neither keeps the
// bytes of a request nor misbehaves.
type receiver struct {
	url, addr string
	listener  net.Listener

	mu       sync.Mutex
	arrivals []arrival
	manners  map[string]manner // by the first element of the path, with its slash; who has none answers at once
	more     chan struct{}     // closed at the next arrival
	conns    map[net.Conn]bool
	closed   bool
}

// listen starts a receiver on a free port of an address, until the end of the test.
func listen(tb testing.TB, host string) *receiver {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{addr: l.Addr().String(), listener: l, manners: map[string]manner{}, more: make(chan struct{}), conns: map[net.Conn]bool{}}
	r.url = "http://" + r.addr
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r.hold(c) {
				serving.Go(func() { r.serve(c) })
			}
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		r.closed = true
		for c := range r.conns {
			_ = c.Close()
		}
		r.mu.Unlock()
		serving.Wait()
	})
	return r
}

// hold remembers a connection, to be closed at the end.
func (r *receiver) hold(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = c.Close()
		return false
	}
	r.conns[c] = true
	return true
}

func (r *receiver) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	var raw bytes.Buffer
	in := bufio.NewReader(io.TeeReader(c, &raw))
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		a := arrival{at: time.Now(), from: c.RemoteAddr().String(), method: req.Method, path: req.URL.Path, header: req.Header}
		if a.body, err = io.ReadAll(req.Body); err != nil {
			return
		}
		a.raw = raw.String() // a client waits for the answer, so there is nothing of the next in it
		raw.Reset()
		if !r.record(a)(c, a) {
			return
		}
	}
}

func (r *receiver) record(a arrival) manner {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals = append(r.arrivals, a)
	close(r.more)
	r.more = make(chan struct{})
	first, _, _ := strings.Cut(strings.TrimPrefix(a.path, "/"), "/")
	if m := r.manners["/"+first]; m != nil {
		return m
	}
	return answers(http.StatusOK, "{}")
}

// treat sets how requests are treated whose path begins with an element.
func (r *receiver) treat(element string, m manner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manners[element] = m
}

// got returns what has arrived and is chosen.
func (r *receiver) got(choose func(arrival) bool) []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.arrivals), func(a arrival) bool { return !choose(a) })
}

// wait returns what has arrived and is chosen when there are n of it; it fails the test where they don't come.
func (r *receiver) wait(tb testing.TB, n int, choose func(arrival) bool) []arrival {
	tb.Helper()
	late := time.NewTimer(arrivesWithin)
	defer late.Stop()
	for {
		r.mu.Lock()
		more := r.more
		r.mu.Unlock()
		found := r.got(choose)
		if len(found) >= n {
			return found
		}
		select {
		case <-more:
		case <-late.C:
			tb.Fatalf("within %v only %d of %d requests arrived: %v", arrivesWithin, len(found), n, found)
		}
	}
}

// on chooses what arrives at a path.
func on(path string) func(arrival) bool { return func(a arrival) bool { return a.path == path } }

func anything(arrival) bool { return true }

func (a arrival) String() string { return fmt.Sprintf("%s %s %.200s", a.method, a.path, a.body) }

// answers answers, with more headers where they are given.
func answers(status int, body string, headers ...string) manner {
	return func(c net.Conn, _ arrival) bool {
		var b strings.Builder
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), len(body))
		for i := 0; i+1 < len(headers); i += 2 {
			fmt.Fprintf(&b, "%s: %s\r\n", headers[i], headers[i+1])
		}
		_, err := io.WriteString(c, b.String()+"\r\n"+body)
		return err == nil
	}
}

// redirects sends a client elsewhere.
func redirects(to string) manner { return answers(http.StatusFound, "", "Location", to) }

// hangs never answers, until the client loses its patience.
func hangs(c net.Conn, _ arrival) bool {
	_, _ = io.Copy(io.Discard, c)
	return false
}

// breaks closes the connection in the place of an answer.
func breaks(net.Conn, arrival) bool { return false }

// afterwards treats the first n requests one way, and what comes after them another.
func afterwards(n int, first, then manner) manner {
	var mu sync.Mutex
	return func(c net.Conn, a arrival) bool {
		mu.Lock()
		m := then
		if n > 0 {
			n, m = n-1, first
		}
		mu.Unlock()
		return m(c, a)
	}
}

// floods answers with 10 GB, or as much as the client takes, which it reports.
func floods(taken func(int64)) manner {
	return func(c net.Conn, _ arrival) bool {
		const all = 10 << 30
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", int64(all)); err != nil {
			return false
		}
		filler, sent := bytes.Repeat([]byte(" "), 1<<16), int64(0)
		for sent < all {
			n, err := c.Write(filler)
			sent += int64(n)
			if err != nil {
				break
			}
		}
		taken(sent)
		return false
	}
}
