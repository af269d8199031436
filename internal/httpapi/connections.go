package httpapi

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// refusals is how many connections beyond the limit are answered at once, refusalTime how long one of them
// may take; what comes above is closed without a word.
const (
	refusals    = 64
	refusalTime = time.Second
)

// fullAnswer is what a connection beyond the limit gets, whatever it asks.
const fullAnswer = "HTTP/1.1 503 Service Unavailable\r\n" +
	"Content-Type: application/json\r\nContent-Length: 81\r\nRetry-After: 1\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n" +
	`{"error":"Too many connections are open; try again shortly","code":"overloaded"}` + "\n"

// LimitConnections returns a listener that hands out at most limit connections at once, because each costs
// memory whether or not it asks anything. One more is answered 503 and closed.
func LimitConnections(l net.Listener, limit int) *Connections {
	return &Connections{Listener: l, limit: int64(limit), refusing: make(chan struct{}, refusals)}
}

// Connections are those that a listener has handed out.
type Connections struct {
	net.Listener
	limit    int64
	open     atomic.Int64
	refusing chan struct{} // one token per refusal under way
}

// Open is how many there are.
func (l *Connections) Open() int { return int(l.open.Load()) }

// Accept waits for a connection within the limit. It owns the goroutines of refusals; each ends after
// refusalTime.
func (l *Connections) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.limit {
			return &counted{Conn: c, done: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		select {
		case l.refusing <- struct{}{}:
			go func() {
				defer func() { <-l.refusing }()
				turnAway(c)
			}()
		default:
			_ = c.Close() // it was of no use to anyone
		}
	}
}

// turnAway answers and closes. What the client has sent is read first and to its end: closing over unread
// bytes would take the answer back.
func turnAway(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(refusalTime))
	var some [4 << 10]byte
	if _, err := c.Read(some[:]); err != nil {
		return
	}
	if _, err := io.WriteString(c, fullAnswer); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c) // ends one way or another
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	done func()
}

func (c *counted) Close() error {
	defer c.done()
	return c.Conn.Close()
}
