//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	waitersCount = flag.Int("waiters.count", 500, "how many streams, and then how many waiting reads, TestWaiters opens")
	waitersIdle  = flag.Duration("waiters.idle", 2*time.Second, "for how long TestWaiters lets them wait for nothing")
)

// TestWaiters: thousands listen to one server, or wait for a thread of it to change. All of them hear of it, nobody
// hears of what is not theirs, and all are let go when the server stops. What they cost is printed.
func TestWaiters(t *testing.T) {
	raiseFiles(t, uint64(*waitersCount)+1000)
	for name, run := range map[string]func(t *testing.T, s *server, agent client){"streams": manyStreams, "reads": manyReads} {
		t.Run(name, func(t *testing.T) {
			s := start(t, folder(t).settings...)
			run(t, s, at(s, "home").register(t, "agent"))
		})
	}
}

// raiseFiles lets this process, and the server that it starts, have that many files open.
func raiseFiles(t *testing.T, want uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= want {
		return
	}
	limit.Cur, limit.Max = want, max(want, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("%d open files are needed: %v (ulimit -n)", want, err)
	}
}

func createMany(t *testing.T, agent client, n int) []string {
	t.Helper()
	refs := make([]string, n)
	var workers sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				a, err := agent.try("POST", "/requests", intent(fmt.Sprint("wait for it ", i)))
				if err != nil || a.status != http.StatusCreated {
					t.Errorf("create: %v %v", a, err)
					return
				}
				refs[i] = a.text("ref")
			}
		})
	}
	workers.Wait()
	agent.http.CloseIdleConnections()
	if slices.Contains(refs, "") {
		t.FailNow()
	}
	return refs
}

// waiter is a connection of its own, without what net/http's client keeps for one.
type waiter struct {
	net.Conn
	in *bufio.Reader
}

// ask opens connections and sends a GET over each.
func ask(t *testing.T, s *server, key string, paths []string) []*waiter {
	t.Helper()
	all := make([]*waiter, len(paths))
	var dialers sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		dialers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(paths)); i = next.Add(1) - 1 {
				conn, err := net.Dial("tcp", s.addr)
				if err == nil {
					_, err = io.WriteString(conn, "GET /api/v1/exchanges/home"+paths[i]+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n\r\n")
				}
				if err != nil {
					t.Error(err)
					return
				}
				all[i] = &waiter{conn, bufio.NewReaderSize(conn, 512)}
			}
		})
	}
	dialers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		for _, w := range all {
			w.Close()
		}
	})
	return all
}

// until reads up to the first line with that text in it.
func (w *waiter) until(text string) error {
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.Contains(line, text) {
			return nil
		}
	}
}

// usage is what a server has taken so far.
type usage struct {
	memory int64 // resident, in bytes
	cpu    time.Duration
}

func use(t *testing.T, s *server) (u usage) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			u.memory = kb << 10
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	u.cpu = time.Duration(user+system) * 10 * time.Millisecond // a hundred ticks a second, whatever the kernel's own
	return u
}

// all runs f for every waiter at once, and returns how long the last took.
func all(t *testing.T, waiters []*waiter, what string, f func(i int, w *waiter) error) time.Duration {
	t.Helper()
	begun := time.Now()
	var group sync.WaitGroup
	var failed atomic.Int64
	for i, w := range waiters {
		group.Go(func() {
			if err := f(i, w); err != nil && failed.Add(1) == 1 {
				t.Errorf("%s: waiter %d: %v", what, i, err)
			}
		})
	}
	group.Wait()
	if failed.Load() > 0 {
		t.Fatalf("%s: %d of %d failed", what, failed.Load(), len(waiters))
	}
	return time.Since(begun)
}

// idle prints what waiters cost while nothing happens.
func idle(t *testing.T, s *server, before usage, n int) {
	t.Helper()
	waiting := use(t, s)
	time.Sleep(*waitersIdle)
	after := use(t, s)
	t.Logf("%d waiting: %d MiB, %d more than before, %.1f KiB each; %v of processor time in %v of waiting",
		n, after.memory>>20, (after.memory-before.memory)>>20, float64(after.memory-before.memory)/float64(n)/1024, after.cpu-waiting.cpu, *waitersIdle)
}

func manyStreams(t *testing.T, s *server, agent client) {
	n, ref := *waitersCount, agent.create(t, intent("hear of it"))
	before := use(t, s)
	waiters := ask(t, s, agent.key, slices.Repeat([]string{"/events"}, n))
	all(t, waiters, "the beginning of a stream", func(_ int, w *waiter) error { return w.until("id: ") })
	idle(t, s, before, n)
	for round := range 3 {
		busy := use(t, s)
		mark := fmt.Sprint("for everybody ", round)
		heard := make(chan time.Duration, 1)
		begun := time.Now()
		go func() {
			all(t, waiters, "an event", func(_ int, w *waiter) error { return w.until(mark) })
			heard <- time.Since(begun)
		}()
		a, err := agent.try("PATCH", "/requests/"+ref, map[string]any{"mess": []any{map[string]any{"telemetry": mark}}})
		if err != nil || a.status != http.StatusOK {
			t.Fatal(a, err)
		}
		answered := time.Since(begun)
		last := <-heard
		t.Logf("an event: its change was answered after %v, the last of %d had it after %v; %v of processor time", answered.Round(time.Millisecond), n, last.Round(time.Millisecond), use(t, s).cpu-busy.cpu)
	}
	go func() { _ = s.process.Signal(syscall.SIGTERM) }()
	took := all(t, waiters, "the end of a stream", func(_ int, w *waiter) error {
		if err := w.until("\x00"); !errors.Is(err, io.EOF) { // which is never there
			return err
		}
		return nil
	})
	t.Logf("SIGTERM: the last stream ended after %v", took.Round(time.Millisecond))
	left(t, s)
}

// left makes sure that the program ends in order.
func left(t *testing.T, s *server) {
	t.Helper()
	<-s.exited
	if s.state.ExitCode() != 0 {
		t.Errorf("exit code %d", s.state.ExitCode())
	}
}

func manyReads(t *testing.T, s *server, agent client) {
	n, refs := *waitersCount, createMany(t, agent, *waitersCount)
	seqs := make([]int64, n)
	seqOf := func(ref string) int64 {
		a := agent.want(t, http.StatusOK, "GET", "/requests/"+ref, nil)
		return decode[struct{ Thread struct{ Seq int64 } }](t, a).Thread.Seq
	}
	for i := range refs {
		seqs[i] = seqOf(refs[i])
	}
	path := func(i int, seq int64) string { return fmt.Sprintf("/requests/%s?wait=60s&since=%d", refs[i], seq) }
	paths := make([]string, n)
	for i := range paths {
		paths[i] = path(i, seqs[i])
	}
	before := use(t, s)
	waiters := ask(t, s, agent.key, paths)
	idle(t, s, before, n)

	// One thread changes, and one answer comes.
	var told atomic.Int64
	got := make(chan error, n)
	for i, w := range waiters {
		go func() {
			seq, err := w.answer(agent.key, path(i, seqs[i]), seqs[i])
			if err == nil && seq <= seqs[i] {
				err = fmt.Errorf("seq %d after %d", seq, seqs[i])
			}
			told.Add(1)
			got <- err
		}()
	}
	busy, begun := use(t, s), time.Now()
	agent.set(t, refs[n/2], "claimed")
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	t.Logf("a change of one thread: its waiter had it after %v; %v of processor time", time.Since(begun).Round(time.Millisecond/10), use(t, s).cpu-busy.cpu)
	if told.Load() != 1 {
		t.Errorf("%d were told of a change of one thread", told.Load())
	}

	// The server stops, and all the others are answered.
	begun = time.Now()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range n - 1 {
		if err := <-got; !errors.Is(err, errUnchanged) {
			t.Fatalf("at the end: %v", err)
		}
	}
	t.Logf("SIGTERM: %d were answered after %v", n-1, time.Since(begun).Round(time.Millisecond))
	left(t, s)
}

// errUnchanged: the read was answered without a change, and the connection closed: the server stops.
var errUnchanged = errors.New("answered without a change")

// answer reads the answer to a waiting read, and asks again where its time was over.
func (w *waiter) answer(key, path string, since int64) (int64, error) {
	for {
		res, err := http.ReadResponse(w.in, nil)
		if err != nil {
			return 0, err
		}
		var read struct{ Thread struct{ Seq int64 } }
		err = json.NewDecoder(res.Body).Decode(&read)
		_, _ = io.Copy(io.Discard, res.Body)
		switch {
		case err != nil || res.StatusCode != http.StatusOK:
			return 0, fmt.Errorf("status %d: %w", res.StatusCode, err)
		case read.Thread.Seq > since:
			return read.Thread.Seq, nil
		case res.Close:
			return 0, errUnchanged
		}
		if _, err := io.WriteString(w, "GET /api/v1/exchanges/home"+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n\r\n"); err != nil {
			return 0, err
		}
	}
}
