package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestDistance wants what is said to come whole, an answer after the round trip, and an end of everything.
func TestDistance(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the way
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	const roundTrip = 20 * time.Millisecond
	d, err := newDistance(l.Addr().String(), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", d.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said, heard := []byte("is the garage door closed?"), make([]byte, 26)
	began := time.Now()
	if _, err := c.Write(said); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, heard); err != nil || string(heard) != string(said) {
		t.Fatalf("heard %q, %v", heard, err)
	}
	if took := time.Since(began); took < roundTrip {
		t.Errorf("the answer came after %v, before the round trip of %v", took, roundTrip)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(heard); err == nil {
		t.Errorf("heard %q on a closed way", heard[:n])
	}
	if _, err := net.Dial("tcp", d.address()); err == nil {
		t.Error("a closed way takes connections")
	}
}
