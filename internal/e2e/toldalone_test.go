//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// alone leaves a server to itself: of a Worker even the program is ended, so that nothing but the object's alarm can
// begin another.
func (s *server) alone(tb testing.TB) {
	tb.Helper()
	if s.worker {
		s.stopInside(tb)
	}
}

// TestToldAlone: who is to be told of a request, by a channel and by a hook, is told though nobody calls after the create;
// and when its deadline passes with nobody there, that is told too. In a Worker, though the program has ended each time.
func TestToldAlone(t *testing.T) {
	t.Parallel()
	onEachNotifying(t, func(t *testing.T, s *server, r *receiver) {
		home := at(s, "home")
		agent := home.profile(t, "agent", toWebhook(r.url+"/agent"))
		p := toWebhook(r.url + "/phone")
		p["hooks"] = members{"on_request_created": []members{{"type": "webhook", "url": r.url + "/hook"}}}
		home.profile(t, "phone", p)
		due := time.Now().Add(4 * time.Second).UTC().Truncate(time.Second)
		ref := agent.create(t, members{"intent": "soon", "needed_by": due.Format(time.RFC3339)})
		s.alone(t)
		for _, path := range []string{"/phone", "/hook"} {
			if all := r.wait(t, 1, on(path)); path == "/phone" && !strings.Contains(string(all[0].body), ref) {
				t.Errorf("the phone was told %v", all)
			}
		}
		s.alone(t)
		told := r.wait(t, 1, on("/agent"))[0]
		if body := string(told.body); !strings.Contains(body, ref) || !strings.Contains(body, `"status":"expired"`) || told.at.Before(due) {
			t.Errorf("due at %v, told at %v: %s", due, told.at, body)
		}
		if got := agent.thread(t, ref); got.Status != "expired" {
			t.Errorf("it is %s", got.Status)
		}
	})
}

// TestRetriedAlone: an attempt that failed is made again in its time though nobody calls, under the same id. In a Worker, though
// the program ended before that; and where it ended in the middle of an attempt, that is made again, too.
func TestRetriedAlone(t *testing.T) {
	t.Parallel()
	onEachNotifying(t, func(t *testing.T, s *server, r *receiver) {
		agent := at(s, "home").register(t, "agent")
		phone := at(s, "home").profile(t, "phone", toWebhook(r.url+"/phone"))
		r.treat("/phone", afterwards(1, answers(503, ""), answers(200, "")))
		agent.create(t, intent("x"))
		phone.become(t, "phone", "retry")
		s.alone(t)
		sameID(t, r.wait(t, 2, on("/phone")))
		if got := phone.become(t, "phone", "delivered"); got.Attempts != 2 {
			t.Errorf("got %v", got)
		}
		if !s.worker {
			return
		}
		r.treat("/phone", afterwards(1, hangs, answers(200, "")))
		agent.create(t, intent("y"))
		r.wait(t, 3, on("/phone"))
		s.alone(t)
		sameID(t, r.wait(t, 4, on("/phone"))[2:])
		phone.become(t, "phone", "delivered")
	})
}

// sameID fails the test where requests are not attempts of one delivery.
func sameID(t *testing.T, all []arrival) {
	t.Helper()
	for _, a := range all {
		if got, want := a.header.Get("Webhook-Id"), all[0].header.Get("Webhook-Id"); got != want || want == "" {
			t.Errorf("an attempt with the id %q, want %q", got, want)
		}
	}
}

// TestCrashWhileTelling: the program ends in the middle of work, again and again, while it tells executors of it. Nothing
// acknowledged is missing, what answers next is another program, and everybody is told of every request at least once.
func TestCrashWhileTelling(t *testing.T) {
	t.Parallel()
	const rounds = 4
	inEachStorage(t, func(t *testing.T, place storage) {
		r := listen(t, "127.0.0.1")
		s := start(t, append(place.settings, toReceivers)...)
		agent, key := at(s, "home").register(t, "agent"), ""
		for i := range 3 {
			id := fmt.Sprintf("phone-%d", i)
			key = at(s, "home").profile(t, id, toWebhook(r.url+"/"+id)).key
		}
		var refs []string
		for range rounds {
			var acknowledged []string
			busy, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				acknowledged = createUntilItFails(agent, 8, busy)
			}()
			select {
			case <-busy:
			case <-gone:
				t.Fatalf("it failed before its end, after %d", len(acknowledged))
			}
			s = s.crash(t, gone)
			refs = append(refs, acknowledged...)
			agent = at(s, "home").as(agent.key)
			for _, ref := range refs {
				if got := agent.thread(t, ref); got.Status != "pending" {
					t.Fatalf("%s was acknowledged, and is %q", ref, got.Status)
				}
			}
		}
		t.Logf("%d acknowledged, of which three are told each", len(refs))
		for i := range 3 {
			everyOneTold(t, r, fmt.Sprintf("/phone-%d", i), refs)
		}
		newest := at(s, "home").as(key).become(t, "phone-2", "delivered")
		if newest.Attempts < 1 {
			t.Errorf("got %v", newest)
		}
	})
}

// createUntilItFails creates requests one after the other and returns those that were acknowledged. busy is closed after
// some of them.
func createUntilItFails(agent client, some int, busy chan<- struct{}) (refs []string) {
	for {
		a, err := agent.try("POST", "/requests", intent("x"))
		if err != nil || a.status != http.StatusCreated {
			return refs
		}
		if refs = append(refs, a.text("ref")); len(refs) == some {
			close(busy)
		}
	}
}

// everyOneTold waits until of each request something has arrived at a path.
func everyOneTold(t *testing.T, r *receiver, path string, refs []string) {
	t.Helper()
	waitUntil(t, "all told at "+path, func() (bool, string) {
		var said strings.Builder
		for _, a := range r.got(on(path)) {
			said.Write(a.body)
		}
		missing := slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return strings.Contains(said.String(), ref) })
		return len(missing) == 0, fmt.Sprintf("%d of %d missing", len(missing), len(refs))
	})
}

// TestHangingReceivers: while receivers hang, who asks and who writes is answered. On a Worker their calls share the few
// connections that it may have with the reads and writes of its storage.
func TestHangingReceivers(t *testing.T) {
	t.Parallel()
	onEachNotifying(t, func(t *testing.T, s *server, r *receiver) {
		const phones = 12
		agent := at(s, "home").register(t, "agent")
		var gaveUp atomic.Int64
		for i := range phones {
			hanging := listen(t, "127.0.0.1") // a host of its own, so that they don't wait for each other
			hanging.treat("/hook", func(c net.Conn, a arrival) bool {
				r.record(a)
				defer gaveUp.Add(1)
				return hangs(c, a)
			})
			at(s, "home").profile(t, fmt.Sprintf("phone-%d", i), toWebhook(hanging.url+"/hook"))
		}
		first := agent.create(t, intent("x"))
		r.wait(t, 1, on("/hook"))
		for range 5 {
			ref := agent.create(t, intent("y"))
			agent.set(t, ref, "cancelled")
			agent.thread(t, first)
		}
		if n := gaveUp.Load(); n > 0 {
			t.Errorf("they were answered when %d attempts had ended", n)
		}
	})
}
