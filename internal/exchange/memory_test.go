package exchange_test

import (
	"runtime"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// A cold thread with one message takes little memory. What the process needs for it is up to twice
// that, since the garbage collector lets the heap grow by as much as is live.
func TestColdThreadsTakeLittleMemory(t *testing.T) {
	const threads, most = 15_000, 260
	before := live()
	c := newCrowd(threads, 1)
	if each := (live() - before) / threads; each > most {
		t.Errorf("%d bytes per thread, more than %d", each, most)
	} else {
		t.Logf("%d bytes per thread", each)
	}
	runtime.KeepAlive(c)
}

// What a request asks for takes memory while its thread is open, and none worth the name afterwards.
func TestTermsTakeMemoryWhileOpen(t *testing.T) {
	const threads, mostOpen, mostEnded = 15_000, 500, 260
	before := live()
	c := newCrowd(0, 1)
	for i := range threads {
		c.apply(exchange.ThreadCreated, crowdRef(i), executor(i), `{"intent":"Look at door 0000001 and tell what is there"}`)
		c.apply(exchange.MessageAdded, crowdRef(i), executor(i), `{"mess":[{"request":{"requires":["see"],"needed_by":"2026-02-01T22:00:00Z"}}]}`)
	}
	open := (live() - before) / threads
	for i := range threads {
		c.finish(i)
	}
	ended := (live() - before) / threads
	if open > mostOpen || ended > mostEnded {
		t.Errorf("%d bytes per open thread and %d per ended one, more than %d and %d", open, ended, mostOpen, mostEnded)
	} else {
		t.Logf("%d bytes per open thread, %d per ended one", open, ended)
	}
	runtime.KeepAlive(c)
}
