//go:build e2e && unix

package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	notifyTurns     = flag.Int("notify.turns", 4, "how many turns each server of TestNotificationsLatency has")
	notifyCreates   = flag.Int("notify.creates", 25, "how many requests are created in a turn")
	notifyExecutors = flag.Int("notify.executors", 2000, "how many executors TestNotificationsMany has on one exchange")
)

// TestNotificationsLatency measures how long a create takes where 1,000 executors are told of it, each at a receiver of
// its own that hangs, and where there is nobody to tell, in turns, and prints both. It asserts no time: the ratio counts
// on a machine that does nothing else (`make notify-latency`). While the quiet server has its turn, the other is stopped.
func TestNotificationsLatency(t *testing.T) {
	const executors = 1000
	busy, quiet := start(t, append(folder(t).settings, toReceivers, trustUs)...), start(t, folder(t).settings...)
	many, none := at(busy, "home"), at(quiet, "home")
	agent, alone := many.register(t, "agent"), none.register(t, "agent")
	var receivers []*receiver
	for range executors {
		r := listen(t, "127.0.0.1")
		r.treat("/hook", hangs)
		receivers = append(receivers, r)
	}
	join(t, many, executors, func(i int) members { return toWebhook(receivers[i].url + "/hook") })
	agent.create(t, intent("first"))
	called := func() (n int) {
		for _, r := range receivers {
			if len(r.got(anything)) > 0 {
				n++
			}
		}
		return n
	}
	waitUntil(t, "a hundred receivers that hang", func() (bool, string) { n := called(); return n >= 100, fmt.Sprint(n) })

	var with, without []time.Duration
	for turn := range *notifyTurns {
		with = append(with, creates(t, agent, *notifyCreates)...)
		stopped(t, busy, func() { without = append(without, creates(t, alone, *notifyCreates)...) })
		t.Logf("after turn %d: %v and %v", turn+1, median(with), median(without))
	}
	slices.Sort(with)
	slices.Sort(without)
	t.Logf("create: median %v with %d executors whose receivers hang (%d of them were called), %v with nobody to tell: %.2f ×; 95th percentile %v and %v; %d each, in turns",
		median(with), executors, called(), median(without), float64(median(with))/float64(median(without)), with[len(with)*95/100], without[len(without)*95/100], len(with))
}

// creates makes requests, one after the other, and returns how long each took.
func creates(t *testing.T, agent client, n int) (took []time.Duration) {
	t.Helper()
	for range n {
		begun := time.Now()
		agent.create(t, intent("x"))
		took = append(took, time.Since(begun))
	}
	return took
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// stopped does something while a server stands still.
func stopped(t *testing.T, s *server, do func()) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.process.Signal(syscall.SIGCONT) }() // it fails where the process is gone, which the next call tells
	do()
}

// join registers phone-0 to phone-n, each from an address of its own, since one may not register so many.
func join(t *testing.T, home client, n int, profile func(i int) members) {
	t.Helper()
	var all sync.WaitGroup
	next := make(chan int)
	for range 32 {
		all.Go(func() {
			for i := range next {
				body := profile(i)
				body["executor_id"] = fmt.Sprintf("phone-%d", i)
				a, err := home.try("POST", "/register", body, "X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", i/250, i%250))
				if err != nil || a.status != http.StatusCreated {
					t.Errorf("registering phone-%d: %v, %v", i, a, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// TestNotificationsMany: of one request, everyone on a large exchange is told, once, while others go on creating.
func TestNotificationsMany(t *testing.T) {
	s := start(t, append(folder(t).settings, toReceivers, trustUs)...)
	home := at(s, "home")
	agent := home.register(t, "agent")
	before := creates(t, agent, *notifyCreates)
	var receivers []*receiver
	for range 8 {
		receivers = append(receivers, listen(t, "127.0.0.1"))
	}
	n := *notifyExecutors
	begun := time.Now()
	join(t, home, n, func(i int) members {
		p := toWebhook(fmt.Sprintf("%s/phone-%d", receivers[i%len(receivers)].url, i))
		p["capabilities"] = []string{"hands"}
		return p
	})
	registered := time.Since(begun)
	begun = time.Now()
	ref := agent.create(t, members{"intent": "for everyone", "requires": []string{"hands"}})
	var meanwhile []time.Duration
	for range *notifyCreates { // which are for nobody who is there
		at := time.Now()
		agent.create(t, members{"intent": "for nobody", "requires": []string{"wings"}})
		meanwhile = append(meanwhile, time.Since(at))
	}
	waitUntil(t, "a notification for each", func() (bool, string) {
		got := 0
		for _, r := range receivers {
			got += len(r.got(anything))
		}
		return got >= n, fmt.Sprint(got)
	})
	took := time.Since(begun)
	times := map[string]int{}
	for _, r := range receivers {
		for _, a := range r.got(anything) {
			times[a.path]++
			if a.ref() != ref {
				t.Errorf("arrived: %v", a)
			}
		}
	}
	for i := range n {
		if got := times[fmt.Sprintf("/phone-%d", i)]; got != 1 {
			t.Errorf("phone-%d was told %d times", i, got)
		}
	}
	t.Logf("%d executors registered in %v, told in %v; create: median %v before there were any, %v while they were told", n, registered.Round(time.Millisecond), took.Round(time.Millisecond), median(before), median(meanwhile))
}

// TestNotificationsTooMuch: settings beyond their limits are refused by name, and what is within them can't be made to
// grow without bound; creates go on.
func TestNotificationsTooMuch(t *testing.T) {
	r := listen(t, "127.0.0.1")
	s := start(t, append(folder(t).settings, toReceivers)...)
	home := at(s, "home")
	agent, phone := home.register(t, "agent"), home.register(t, "phone")
	hooks := func(n int, body any) members {
		one := members{"type": "webhook", "url": r.url + "/hook", "body": body}
		return members{"hooks": members{"on_request_created": slices.Repeat([]members{one}, n)}}
	}
	for _, c := range []struct {
		name, want string
		profile    members
	}{
		{"1,000 hooks", "hooks.on_request_created: must have at most 20 entries", hooks(1000, "x")},
		{"21 hooks", "hooks.on_request_created: must have at most 20 entries", hooks(21, "x")},
		{"21 channels", "notifications: must have at most 20 entries", members{"notifications": slices.Repeat([]members{{"type": "webhook", "url": r.url}}, 21)}},
		{"a body of 64 KiB and more", "hooks.on_request_created[0].body: must have at most 65536 bytes", hooks(1, strings.Repeat("x", 65536))},
	} {
		if a := phone.send(t, "PATCH", "/executors/phone", c.profile); a.status != http.StatusBadRequest || !strings.Contains(a.text("error"), c.want) {
			t.Errorf("%s: got %v, want 400 and %q", c.name, a, c.want)
		}
		c.profile["executor_id"] = "other"
		if a := home.send(t, "POST", "/register", c.profile); a.status != http.StatusBadRequest || !strings.Contains(a.text("error"), c.want) {
			t.Errorf("%s at the registration: got %v, want 400 and %q", c.name, a, c.want)
		}
	}
	// 20 hooks, of which each would send 26 MB.
	phone.want(t, http.StatusOK, "PATCH", "/executors/phone", hooks(20, strings.Repeat("{{intent}}", 6500)))
	ref := agent.create(t, intent(strings.Repeat("é", 1<<20)))
	for range 10 {
		agent.create(t, intent("meanwhile"))
	}
	waitUntil(t, "the end of twenty deliveries", func() (bool, string) {
		failed := 0
		for _, d := range phone.deliveries(t, "phone") {
			if d.Ref == ref && d.Status == "failed" && orNull(d.Reason) == "the settings make no request" {
				failed++
			}
		}
		return failed == 20, fmt.Sprint(failed)
	})
	for _, a := range r.got(anything) {
		if len(a.body) > 256<<10 {
			t.Errorf("a request of %d bytes", len(a.body))
		}
	}
}
