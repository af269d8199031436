//go:build e2e

package e2e

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTerminateUnderLoad: a server that is told to end in the middle of work leaves with code 0, in
// time, and whatever it answered is there when it comes back.
func TestTerminateUnderLoad(t *testing.T) {
	t.Parallel()
	const rounds = 3
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		work, verified := newLoad(t, s, 6), map[string]bool{}
		for range rounds {
			loadUntil(work, s, func() {
				if code := s.terminate(t); code != 0 {
					t.Errorf("exit code after SIGTERM: got %d, want 0", code)
				}
			})
			s = start(t, place.settings...)
			work.verify(t, s, verified)
		}
		t.Logf("%d acknowledged changes in %d threads", work.acks, len(work.threads))
		s.terminate(t)
		checkPasses(t, place.forCommands(t))
		checkLog(t, place.files(t), "home")
	})
}

// loadUntil runs the load, ends the server at a random moment of it, and waits for the workers to
// notice.
func loadUntil(work *load, s *server, end func()) {
	first, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		work.run(s, first)
	}()
	<-first
	<-time.After(time.Duration(rand.Int64N(int64(400 * time.Millisecond))))
	end()
	<-gone
}

// TestKill: the process is killed 20 times in the middle of work. Nothing acknowledged is ever
// missing, no claim has two winners, and the log stays whole.
func TestKill(t *testing.T) {
	t.Parallel()
	const rounds = 20
	place := folder(t)
	s := start(t, place.settings...)
	work, verified := newLoad(t, s, 6), map[string]bool{}
	for round := range rounds {
		loadUntil(work, s, s.kill)
		checkLog(t, place.files(t), "home")
		if round%5 == 4 {
			checkPasses(t, place.forCommands(t))
		}
		s = start(t, place.settings...)
		work.verify(t, s, verified)
		if t.Failed() {
			t.Fatalf("in round %d", round+1)
		}
	}
	work.verify(t, s, map[string]bool{})
	t.Logf("%d kills, %d acknowledged changes in %d threads", rounds, work.acks, len(work.threads))
	if work.acks < rounds {
		t.Errorf("only %d changes were acknowledged: the kills hit an idle server", work.acks)
	}
	s.terminate(t)
	checkPasses(t, place.forCommands(t))
	checkLog(t, place.files(t), "home")
}
