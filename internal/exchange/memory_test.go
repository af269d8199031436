package exchange_test

import (
	"runtime"
	"testing"
)

// A cold thread with one message takes little memory. What the process needs for it is up to twice
// that, since the garbage collector lets the heap grow by as much as is live.
func TestColdThreadsTakeLittleMemory(t *testing.T) {
	const threads, most = 15_000, 200
	before := live()
	c := newCrowd(threads, 1)
	if each := (live() - before) / threads; each > most {
		t.Errorf("%d bytes per thread, more than %d", each, most)
	} else {
		t.Logf("%d bytes per thread", each)
	}
	runtime.KeepAlive(c)
}
