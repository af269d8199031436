//go:build e2e

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

var notifyRounds = flag.Int("notify.rounds", 3, "how often TestNotificationsKill kills the process that delivers, on each storage")

// TestNotificationsKill: the process that delivers is killed at random moments, again and again. Everyone who is to be
// told of something is told at least once, under one webhook-id each time; nobody is told what is not theirs; and of a
// request that was closed before anyone could deliver, nothing arrives at all. With one process on a folder, and with
// three replicas, of which another takes over.
func TestNotificationsKill(t *testing.T) {
	t.Parallel()
	t.Run("filesystem", func(t *testing.T) { newCampaign(t, folder(t), 1).run(t, *notifyRounds) })
	t.Run("s3", func(t *testing.T) { newCampaign(t, bucketOf(t, s3test.Start(t)), 3).run(t, *notifyRounds) })
}

const phones = 3

// campaign is a run of TestNotificationsKill.
type campaign struct {
	place    storage
	receiver *receiver
	servers  []*server
	keys     map[string]string // by executor
	cut      []cutShort
	hits     map[string]int
}

// cutShort is a request that was closed before something about it could be delivered.
type cutShort struct {
	ref   string
	lease int64 // the last one before its creation, of a process that was dead by then; 0 where no lease counts
}

func newCampaign(t *testing.T, place storage, replicas int) *campaign {
	t.Helper()
	c := &campaign{place: place, receiver: listen(t, "127.0.0.1"), keys: map[string]string{}, hits: map[string]int{}}
	place.settings = append(place.settings, toReceivers)
	for range replicas {
		c.servers = append(c.servers, start(t, place.settings...))
	}
	for i := range phones {
		c.receiver.treat(fmt.Sprintf("/phone-%d", i), func(conn net.Conn, a arrival) bool {
			// A receiver takes its time, so that kills hit in the middle; and now and then so much that what came of the
			// others is recorded before.
			took := rand.N(20 * time.Millisecond)
			if rand.IntN(150) == 0 {
				took += 3 * time.Second
			}
			time.Sleep(took)
			return answers(200, "{}")(conn, a)
		})
	}
	c.receiver.treat("/flaky", answers(503, ""))
	home := at(c.servers[0], "home")
	c.keys["agent"] = home.profile(t, "agent", toWebhook(c.receiver.url+"/agent")).key
	for i := range phones {
		id := fmt.Sprintf("phone-%d", i)
		p, url := toWebhook(c.receiver.url+"/"+id), c.receiver.url+"/"+id
		if i == 0 {
			p["notifications"] = append(p["notifications"].([]members), members{"type": "webhook", "url": c.receiver.url + "/flaky"})
		}
		p["hooks"] = members{}
		for _, moment := range []string{"created", "completed"} {
			p["hooks"].(members)["on_request_"+moment] = []members{{"type": "webhook", "url": url + "/" + moment, "body": members{"thread": members{"ref": "{{ref}}", "status": "{{status}}"}}}}
		}
		c.keys[id] = home.profile(t, id, p).key
	}
	return c
}

// at is an executor at one of the servers.
func (c *campaign) at(i int, id string) client { return at(c.servers[i], "home").as(c.keys[id]) }

func (c *campaign) run(t *testing.T, rounds int) {
	for range rounds {
		c.round(t)
	}
	c.receiver.treat("/flaky", answers(200, ""))
	for {
		before := len(c.receiver.got(anything))
		left := len(c.missing(t))
		if left == 0 {
			break
		}
		c.receiver.wait(t, before+min(left, 100), anything) // at least so many are to come
	}
	for _, s := range c.servers {
		s.terminate(t)
	}
	checkPasses(t, c.place.settings)
	c.verdict(t, checkLog(t, c.place.data, "home"))
}

// round lets people work, kills the process that delivers when a random number of things has arrived, closes requests
// that nobody could tell of, and starts the process again.
func (c *campaign) round(t *testing.T) {
	begun := len(c.receiver.got(anything))
	stop := make(chan struct{})
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() { c.work(stop) })
	}
	all := c.receiver.wait(t, begun+1+rand.IntN(100), anything)
	time.Sleep(rand.N(30 * time.Millisecond)) // any moment will do, also one between two arrivals
	victim := c.deliverer(all[len(all)-1])
	c.closeBeforeRetry(t, victim) // what came of it is hardly recorded when the kill comes
	c.servers[victim].kill()
	close(stop)
	working.Wait()
	lease := int64(0)
	for _, e := range storedEvents(t, c.place.data) {
		if e.Type == "note_lease" && e.Seq != nil {
			lease = max(lease, *e.Seq)
		}
	}
	if len(c.servers) > 1 {
		for range 3 {
			other := (victim + 1 + rand.IntN(len(c.servers)-1)) % len(c.servers)
			ref := c.at(other, "agent").create(t, intent("closed before anyone could tell"))
			c.at(other, "agent").set(t, ref, "cancelled")
			c.cut = append(c.cut, cutShort{ref, lease})
		}
	}
	c.servers[victim] = start(t, c.servers[victim].settings...)
	awaitReady(t, client{base: c.servers[victim].url, http: c.at(victim, "agent").http}, http.StatusOK)
	c.closeBeforeRetry(t, victim)
}

// work makes requests and does them, at any server, until it is told to stop or a server is gone.
func (c *campaign) work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		agent := c.at(rand.IntN(len(c.servers)), "agent")
		a, err := agent.try("POST", "/requests", intent("x"))
		if err != nil || a.status != 201 {
			continue
		}
		path, phone := "/requests/"+a.text("ref"), c.at(rand.IntN(len(c.servers)), fmt.Sprintf("phone-%d", rand.IntN(phones)))
		// What became of these the log will tell.
		switch rand.IntN(4) {
		case 0:
			_, _ = phone.try("PATCH", path, `{"status": "claimed"}`)
		case 1:
			_, _ = phone.try("PATCH", path, `{"status": "completed"}`)
		case 2:
			_, _ = phone.try("PATCH", path, `{"status": "claimed"}`)
			_, _ = agent.try("PATCH", path, `{"status": "cancelled"}`)
		}
		time.Sleep(rand.N(200 * time.Millisecond)) // no more than can be told in the time of a round, nearly
	}
}

// closeBeforeRetry closes a request of which one attempt failed, before there was another.
func (c *campaign) closeBeforeRetry(t *testing.T, server int) {
	t.Helper()
	ref := c.at(server, "agent").create(t, intent("closed before the next attempt"))
	first := c.receiver.wait(t, 1, func(a arrival) bool { return a.path == "/flaky" && a.ref() == ref })
	c.at(server, "agent").set(t, ref, "cancelled")
	if time.Since(first[0].at) < 3*time.Second { // the next is four seconds after the first, or later
		c.cut = append(c.cut, cutShort{ref: ref})
	}
}

// deliverer is the server that sent something.
func (c *campaign) deliverer(a arrival) int {
	for i, s := range c.servers {
		if holdsSocket(s.process.Pid, a.from) {
			return i
		}
	}
	return rand.IntN(len(c.servers))
}

// holdsSocket reports whether a process has a TCP connection whose own end is at an address of 127.0.0.1.
func holdsSocket(pid int, address string) bool {
	_, port, _ := strings.Cut(address, ":")
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		return false
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return false
	}
	inode := ""
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[1] == fmt.Sprintf("0100007F:%04X", n) {
			inode = "socket:[" + f[9] + "]"
		}
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return slices.ContainsFunc(files, func(file string) bool {
		to, err := os.Readlink(file)
		return err == nil && to == inode
	})
}

// told of an arrival: which thread, and in what status.
func (a arrival) of() (ref, status string) {
	var body struct{ Thread struct{ Ref, Status string } }
	_ = json.Unmarshal(a.body, &body) // what is none is of no thread
	return body.Thread.Ref, body.Thread.Status
}

func (a arrival) ref() string { ref, _ := a.of(); return ref }

// notice is what one channel or hook is to hear.
type notice struct{ path, ref, status string }

// due goes through the log and says who is to hear what, by the rule of docs/protocol.md. Not must: the request was
// closed later, so that it is dropped where it was not delivered by then.
func (c *campaign) due(events []event) (due map[notice]bool, closed map[string]int64) {
	due, closed = map[notice]bool{}, map[string]int64{}
	type said struct {
		notice
		seq int64
	}
	var all []said
	for _, e := range events {
		if e.Exchange != "home" || e.Thread == nil || e.Seq == nil {
			continue
		}
		ref := *e.Thread
		say := func(path, status string) { all = append(all, said{notice{path, ref, status}, *e.Seq}) }
		switch e.Type {
		case "thread_created":
			for i := range phones {
				say(fmt.Sprintf("/phone-%d", i), "pending")
				say(fmt.Sprintf("/phone-%d/created", i), "pending")
			}
			say("/flaky", "pending")
		case "status_changed":
			var p struct {
				New      string `json:"new_status"`
				Executor string `json:"executor_id"`
			}
			_ = json.Unmarshal(e.Payload, &p) // then nothing is as expected, which the verdict says
			for _, party := range []string{"agent", p.Executor} {
				if party != "" && party != e.Actor {
					say("/"+party, p.New)
					if party == "phone-0" {
						say("/flaky", p.New)
					}
				}
			}
			if p.New == "completed" {
				say("/"+p.Executor+"/completed", p.New)
			}
			if p.New == "completed" || p.New == "cancelled" {
				closed[ref] = *e.Seq
			}
		}
	}
	for _, s := range all {
		at, isClosed := closed[s.ref]
		due[s.notice] = !isClosed || at <= s.seq
	}
	return due, closed
}

// arrived is everything that has arrived, by what it says.
func (c *campaign) arrived() map[notice][]arrival {
	got := map[notice][]arrival{}
	for _, a := range c.receiver.got(anything) {
		ref, status := a.of()
		got[notice{a.path, ref, status}] = append(got[notice{a.path, ref, status}], a)
	}
	return got
}

// missing lists what must arrive and has not. A receiver that has failed for so long need not be told: what is tried
// again half an hour later is not waited for.
func (c *campaign) missing(t *testing.T) (left []notice) {
	t.Helper()
	due, _ := c.due(storedEvents(t, c.place.data))
	got := c.arrived()
	for n, must := range due {
		if must && len(got[n]) == 0 {
			left = append(left, n)
		}
	}
	return left
}

// verdict holds all that arrived to the log.
func (c *campaign) verdict(t *testing.T, events []event) {
	t.Helper()
	due, closed := c.due(events)
	got := c.arrived()
	ids := map[string]notice{}
	distinct, more := 0, 0
	for n, all := range got {
		if _, ok := due[n]; !ok {
			t.Errorf("nobody was to be told this: %v", all[0])
		}
		for _, a := range all {
			id := a.header.Get("Webhook-Id")
			if other, known := ids[id]; known && other != n || id == "" {
				t.Errorf("the id %q is of %v and of %v", id, other, n)
			}
			ids[id] = n
		}
		if id := all[0].header.Get("Webhook-Id"); slices.ContainsFunc(all, func(a arrival) bool { return a.header.Get("Webhook-Id") != id }) {
			t.Errorf("%v arrived under several ids", n)
		}
		if n.path != "/flaky" {
			distinct, more = distinct+1, more+len(all)-1
		}
	}
	for n, must := range due {
		if must && len(got[n]) == 0 {
			t.Errorf("never arrived: %v", n)
		}
	}
	cut := c.wantCut(t, events, closed, got)
	musts := 0
	for _, must := range due {
		if must {
			musts++
		}
	}
	t.Logf("%d threads; %d notifications were due, all arrived; %d arrived in all, and %d of them once more (%.2f %%); of %d requests that were closed too early nothing arrived late; %d kills",
		len(slices.Collect(maps.Keys(closed))), musts, distinct, more, 100*float64(more)/float64(max(distinct, 1)), cut, *notifyRounds)
}

// wantCut: nothing was told of what was closed before it could be, and nothing told again.
func (c *campaign) wantCut(t *testing.T, events []event, closed map[string]int64, got map[notice][]arrival) (checked int) {
	t.Helper()
	holder, next := map[int64]string{}, map[int64]event{}
	last := int64(0)
	for _, e := range events {
		if e.Type != "note_lease" {
			continue
		}
		var p struct{ Holder string }
		_ = json.Unmarshal(e.Payload, &p) // none is nobody's
		holder[*e.Seq], next[last] = p.Holder, e
		last = *e.Seq
	}
	for _, cut := range c.cut {
		most := 1
		if cut.lease > 0 {
			most = 0
			// Only where the one who had the lease was dead, and another took it when all was over.
			if n, ok := next[cut.lease]; ok && (holder[*n.Seq] == holder[cut.lease] || *n.Seq < closed[cut.ref]) {
				continue
			}
		}
		checked++
		for n, all := range got {
			if n.ref != cut.ref || n.status != "pending" || cut.lease == 0 && n.path != "/flaky" {
				continue
			}
			if len(all) > most {
				t.Errorf("%s was closed before it could be told, or told again: %v arrived %d times", cut.ref, n, len(all))
			}
		}
	}
	if checked == 0 {
		t.Error("no request was closed before it could be told")
	}
	return checked
}
