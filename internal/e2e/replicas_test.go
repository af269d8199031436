//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// replicas starts two servers on one bucket. At the end of the test its log is read and checked.
func replicas(t *testing.T) (a, b *server) {
	t.Helper()
	shared := bucketOf(t, s3test.Start(t))
	t.Cleanup(func() {
		checkPasses(t, shared.settings)
		checkLog(t, shared.data, "home")
	})
	return start(t, shared.settings...), start(t, shared.settings...)
}

// homes returns clients of home at two replicas, without a key.
func homes(t *testing.T) (a, b client) {
	t.Helper()
	one, other := replicas(t)
	return at(one, "home"), at(other, "home")
}

// TestReplicasAgree: what one replica has answered the other knows at once, whatever it is.
func TestReplicasAgree(t *testing.T) {
	a, b := homes(t)
	for round := range 25 {
		agent := a.register(t, fmt.Sprintf("agent-%d", round))
		phone := b.register(t, fmt.Sprintf("phone-%d", round))
		if x := b.send(t, "POST", "/register", map[string]any{"executor_id": fmt.Sprintf("agent-%d", round)}); x.status != http.StatusConflict {
			t.Fatalf("registering at the other replica what is taken: got %v", x)
		}
		// An executor registered at one replica is let in at the other, and sees what was written there.
		ref := b.as(agent.key).create(t, intent("x"))
		if got := agent.thread(t, ref); got.Status != "pending" {
			t.Fatalf("created at b, read at a: got %+v", got)
		}
		if got := agent.threads(t, ""); len(got) != round+1 || got[0].Ref != ref {
			t.Fatalf("created at b, listed at a: got %d threads, the first %v", len(got), got)
		}
		phone.set(t, ref, "claimed")
		if got := agent.thread(t, ref); got.holder() != fmt.Sprintf("phone-%d", round) {
			t.Fatalf("claimed at b, read at a: got %+v", got)
		}
		a.as(phone.key).want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"status": "completed", "mess": [{"response": {"content": []}}]}`)
		if got := b.as(agent.key).thread(t, ref); got.Status != "completed" || len(got.Messages) != 2 {
			t.Fatalf("completed at a, read at b: got %+v", got)
		}
		if got := len(b.as(agent.key).executors(t)); got != 2*round+2 {
			t.Fatalf("executors at b: got %d, want %d", got, 2*round+2)
		}
	}
}

// TestReplicasRace: of 16 claims at once, eight at each replica, one wins and 15 are told so; and
// both replicas name the same winner.
func TestReplicasRace(t *testing.T) {
	const racers, rounds, threads = 16, 4, 6
	a, b := homes(t)
	agent := a.register(t, "agent")
	var all []client
	for i := range racers {
		all = append(all, []client{a, b}[i%2].as(a.register(t, fmt.Sprintf("racer-%d", i)).key))
	}
	for range rounds {
		refs := make([]string, threads)
		for i := range refs {
			refs[i] = agent.create(t, intent("who is first?"))
		}
		for _, ref := range refs {
			winner := raceFor(t, all, ref)
			for _, replica := range []client{a, b} {
				if got := replica.as(agent.key).thread(t, ref); got.Status != "claimed" || got.holder() != fmt.Sprintf("racer-%d", winner) {
					t.Fatalf("%s: got %s by %q, want claimed by racer-%d", ref, got.Status, got.holder(), winner)
				}
			}
		}
	}
}

// raceFor lets all claim a thread at the same moment and returns the one who won.
func raceFor(t *testing.T, all []client, ref string) (winner int) {
	t.Helper()
	answers, errs := make([]answer, len(all)), make([]error, len(all))
	begin := make(chan struct{})
	var done sync.WaitGroup
	for i, c := range all {
		done.Go(func() {
			<-begin
			answers[i], errs[i] = c.try("PATCH", "/requests/"+ref, `{"status": "claimed"}`)
		})
	}
	close(begin)
	done.Wait()
	winners := 0
	for i, x := range answers {
		switch {
		case errs[i] != nil:
			t.Fatalf("racer %d: no answer: %v", i, errs[i])
		case x.status == http.StatusOK:
			winner, winners = i, winners+1
		case x.status != http.StatusConflict:
			t.Fatalf("racer %d: got %v, want 200 or 409", i, x)
		}
	}
	if winners != 1 {
		t.Fatalf("%s: %d of %d claims won, want 1: %v", ref, winners, len(all), answers)
	}
	return winner
}

// TestReplicasManyWriters: two replicas under load from all sides lose nothing, repeat nothing and
// keep one log.
func TestReplicasManyWriters(t *testing.T) {
	const writers, each = 8, 12
	a, b := homes(t)
	agent := a.register(t, "agent")
	refs := make([][]string, writers)
	var done sync.WaitGroup
	for w := range writers {
		c := []client{a, b}[w%2].as(agent.key)
		done.Go(func() {
			for i := range each {
				x, err := c.try("POST", "/requests", intent(fmt.Sprintf("writer %d, request %d", w, i)))
				if err != nil || x.status != http.StatusCreated {
					t.Errorf("writer %d: got %v, %v", w, x, err)
					return
				}
				refs[w] = append(refs[w], x.text("ref"))
			}
		})
	}
	done.Wait()
	listed := map[string]string{}
	for _, replica := range []client{a, b} {
		list := replica.as(agent.key).threads(t, "")
		if len(list) != writers*each {
			t.Errorf("list: got %d threads, want %d", len(list), writers*each)
		}
		for _, thread := range list {
			listed[thread.Ref] = thread.Intent
		}
	}
	for w := range refs {
		for i, ref := range refs[w] {
			if want := fmt.Sprintf("writer %d, request %d", w, i); listed[ref] != want {
				t.Errorf("%s: got %q, want %q", ref, listed[ref], want)
			}
		}
	}
}
