//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReplicasLinearizable: executors at two replicas claim, release and read the same threads,
// while one replica after the other is put to sleep and woken up. Whatever they were answered, it is
// as if one server had done it all, one call after the other. Nothing breaks in this test, so that
// every call must have an answer; TestTorture breaks everything.
func TestReplicasLinearizable(t *testing.T) {
	const claimers, readers, threads, rounds = 6, 6, 2, 100
	a, b := replicas(t)
	agent := at(a, "home").register(t, "agent")
	h := &holding{record: newRecord()}
	for range threads {
		call := h.record.now()
		ref := agent.create(t, intent("whose is it?"))
		h.refs = append(h.refs, ref)
		h.record.add(object{"home", "thread", ref}, 0, call, deed{kind: "create", who: "agent"}, happened{status: http.StatusCreated})
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

	for _, violation := range h.record.check(t.ArtifactDir()) {
		t.Error(violation)
	}
	t.Logf("%d calls by %d executors at two replicas", h.record.total(), claimers+readers)
}

// holding is a history of executors who all want the same few threads.
type holding struct {
	refs   []string
	record *record
}

// claim tries to claim each thread in turn, and lets go of what it has won.
func (h *holding) claim(t *testing.T, c client, who string, id, rounds int) {
	for n := range rounds {
		ref := h.refs[(n+id)%len(h.refs)]
		a, ok := h.call(t, c, id, ref, deed{kind: "update", who: who, status: "claimed"})
		if ok && a.status == http.StatusOK {
			_, ok = h.call(t, c, id, ref, deed{kind: "update", who: who, status: "pending"})
		}
		if !ok {
			return
		}
	}
}

// read reads each thread in turn until done.
func (h *holding) read(t *testing.T, c client, who string, id int, done <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
			if _, ok := h.call(t, c, id, h.refs[n%len(h.refs)], deed{kind: "read", who: who}); !ok {
				return
			}
		}
	}
}

// call makes one call and notes it.
func (h *holding) call(t *testing.T, c client, id int, ref string, in deed) (answer, bool) {
	method, body := "GET", any(nil)
	if in.kind == "update" {
		method, body = "PATCH", map[string]any{"status": in.status}
	}
	call := h.record.now()
	a, err := c.try(method, "/requests/"+ref, body)
	if err != nil || a.status != http.StatusOK && a.status != http.StatusConflict {
		t.Errorf("%s by %s: got %v, %v", in.kind, in.who, a, err)
		return a, false
	}
	h.record.add(object{"home", "thread", ref}, id, call, in, a.happened(in.kind))
	h.record.tally("answered")
	return a, true
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
