package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// distance is a way to a server on which each byte is under way for a time, in both directions, as between
// machines. It lets through as much as comes.
type distance struct {
	listener net.Listener
	target   string // host:port
	each     time.Duration
	ended    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn // nil once closed
}

// chunk is bytes under way.
type chunk struct {
	data    []byte
	arrives time.Time
}

// underWay is how many chunks a connection holds before its sender has to wait.
const underWay = 1024

// newDistance opens a way to target on which an answer comes roundTrip later. Close ends it.
func newDistance(target string, roundTrip time.Duration) (*distance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a way to %s: %w", target, err)
	}
	d := &distance{listener: l, target: target, each: roundTrip / 2, conns: []net.Conn{}}
	d.ended.Go(d.accept)
	return d, nil
}

func (d *distance) address() string { return d.listener.Addr().String() }

// accept takes connections until Close.
func (d *distance) accept() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", d.target)
		if err != nil || !d.keep(near, far) {
			_ = near.Close()
			continue
		}
		d.ended.Go(func() { d.carry(far, near) })
		d.ended.Go(func() { d.carry(near, far) })
	}
}

// keep reports false, and closes far, where the way was closed meanwhile.
func (d *distance) keep(near, far net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns == nil {
		_ = far.Close()
		return false
	}
	d.conns = append(d.conns, near, far)
	return true
}

// carry takes what from says to its other end, in time. When from has ended, both are closed.
func (d *distance) carry(to, from net.Conn) {
	chunks := make(chan chunk, underWay)
	d.ended.Go(func() {
		defer to.Close()
		for c := range chunks {
			time.Sleep(time.Until(c.arrives))
			if _, err := to.Write(c.data); err != nil {
				_ = from.Close() // so that the reader ends
			}
		}
	})
	defer close(chunks)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			chunks <- chunk{buffer[:n], time.Now().Add(d.each)}
		}
		if err != nil {
			return
		}
	}
}

// Close cuts all connections and waits for what carries them.
func (d *distance) Close() error {
	err := d.listener.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		if cerr := c.Close(); !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	d.conns = nil
	d.mu.Unlock()
	d.ended.Wait()
	if err != nil {
		return fmt.Errorf("close the way to %s: %w", d.target, err)
	}
	return nil
}
