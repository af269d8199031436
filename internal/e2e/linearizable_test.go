//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// deed is what an executor asks of one thread, and happened what came of it.
type (
	deed struct {
		ref, who string
		kind     string // claim, release or read
	}
	happened struct {
		status int    // of the answer
		holder string // what a read saw
	}
)

// holding is the whole rule of claiming, written down a second time: a thread has at most one holder.
// A history of calls from all sides must be explained by some order of them in which each call took
// effect at one moment between its start and its answer. Threads are independent of each other.
var holding = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byThread := map[string][]porcupine.Operation{}
		for _, op := range history {
			ref := op.Input.(deed).ref
			byThread[ref] = append(byThread[ref], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byThread {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		holder, in, out := state.(string), input.(deed), output.(happened)
		switch in.kind {
		case "read":
			return out.status == http.StatusOK && out.holder == holder, holder
		case "claim":
			if holder == "" || holder == in.who {
				return out.status == http.StatusOK, in.who
			}
			return out.status == http.StatusConflict, holder
		default:
			return out.status == http.StatusOK && holder == in.who, ""
		}
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(deed), output.(happened)
		return fmt.Sprintf("%s %s %s: %d %s", in.who, in.kind, in.ref, out.status, out.holder)
	},
}

// TestReplicasLinearizable: executors at two replicas claim, release and read the same threads,
// while one replica after the other is put to sleep and woken up. Whatever they were answered, it is
// as if one server had done it all, one call after the other.
func TestReplicasLinearizable(t *testing.T) {
	const claimers, readers, threads, rounds = 6, 6, 2, 100
	a, b := replicas(t)
	agent := at(a, "home").register(t, "agent")
	h := &history{begun: time.Now()}
	for range threads {
		h.refs = append(h.refs, agent.create(t, intent("whose is it?")))
	}
	var claiming, reading sync.WaitGroup
	claimed := make(chan struct{}) // closed when the claimers are done
	for i := range claimers + readers {
		who := fmt.Sprintf("executor-%d", i)
		c := at([]*server{a, b}[i%2], "home").as(at(a, "home").register(t, who).key)
		if i < claimers {
			claiming.Go(func() { h.claim(t, c, who, i, rounds) })
		} else { // one who claims learns of the head by that; these do nothing but read
			reading.Go(func() { h.read(t, c, who, i, claimed) })
		}
	}
	go func() { claiming.Wait(); close(claimed) }()
	naps(claimed, a, b)
	reading.Wait()

	result, info := porcupine.CheckOperationsVerbose(holding, h.calls, time.Minute)
	if result != porcupine.Ok {
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		if err := porcupine.VisualizePath(holding, info, picture); err != nil {
			t.Error(err)
		}
		t.Errorf("%d calls: no order of them explains their answers (%s); go test -artifacts keeps %s", len(h.calls), result, picture)
	}
	t.Logf("%d calls by %d executors at two replicas", len(h.calls), claimers+readers)
}

// history collects what all executors did and were answered.
type history struct {
	refs  []string
	begun time.Time
	mu    sync.Mutex
	calls []porcupine.Operation
}

// claim tries to claim each thread in turn, and lets go of what it has won.
func (h *history) claim(t *testing.T, c client, who string, id, rounds int) {
	for n := range rounds {
		ref := h.refs[(n+id)%len(h.refs)]
		out, ok := h.call(t, c, id, deed{ref, who, "claim"}, "PATCH", `{"status": "claimed"}`)
		if ok && out.status == http.StatusOK {
			_, ok = h.call(t, c, id, deed{ref, who, "release"}, "PATCH", `{"status": "pending"}`)
		}
		if !ok {
			return
		}
	}
}

// read reads each thread in turn until done.
func (h *history) read(t *testing.T, c client, who string, id int, done <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
			if _, ok := h.call(t, c, id, deed{h.refs[n%len(h.refs)], who, "read"}, "GET", nil); !ok {
				return
			}
		}
	}
}

// call makes one call and notes it. Every call must have an answer that the rules know: nothing
// breaks in this test.
func (h *history) call(t *testing.T, c client, id int, what deed, method string, body any) (happened, bool) {
	started := time.Since(h.begun)
	a, err := c.try(method, "/requests/"+what.ref, body)
	ended := time.Since(h.begun)
	if err != nil || a.status != http.StatusOK && a.status != http.StatusConflict {
		t.Errorf("%s by %s: got %v, %v", what.kind, what.who, a, err)
		return happened{}, false
	}
	out := happened{status: a.status}
	if what.kind == "read" {
		out.holder = a.holder()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, porcupine.Operation{ClientId: id, Input: what, Output: out, Call: started.Nanoseconds(), Return: ended.Nanoseconds()})
	return out, true
}

// naps stops one server at a time for a moment, in the middle of whatever it does, until done.
func naps(done <-chan struct{}, servers ...*server) {
	for i := 0; ; i++ {
		asleep := servers[i%len(servers)].process
		for _, nap := range []struct {
			signal syscall.Signal
			after  time.Duration
		}{{syscall.SIGSTOP, 120 * time.Millisecond}, {syscall.SIGCONT, 250 * time.Millisecond}} {
			select {
			case <-done:
				_ = asleep.Signal(syscall.SIGCONT)
				return
			case <-time.After(nap.after):
				_ = asleep.Signal(nap.signal) // fails only where the server is gone, which its calls will say
			}
		}
	}
}
