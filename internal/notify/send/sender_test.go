package send

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// world is receivers without a network: those whose name begins with "dead" hang, all others answer after a second.
// It holds the sender to its limits.
type world struct {
	t  *testing.T
	mu sync.Mutex

	running, most int
	atHost        map[string]int
	outcomes      map[string][]Outcome // by host
	ended         map[string]time.Time // of the last outcome
	asked         int
}

func post(address string) notify.Request { return notify.Post(address, map[string]string{"k": "v"}) }

func newWorld(t *testing.T) *world {
	return &world{t: t, atHost: map[string]int{}, outcomes: map[string][]Outcome{}, ended: map[string]time.Time{}}
}

func (w *world) attempt(ctx context.Context, r notify.Request) Outcome {
	host, _ := hostOf(r.URL)
	w.mu.Lock()
	w.running++
	w.atHost[host]++
	w.most = max(w.most, w.running)
	if w.atHost[host] > perHost || w.running > atOnce {
		w.t.Errorf("%d at once, %d at %s", w.running, w.atHost[host], host)
	}
	w.mu.Unlock()
	o := Outcome{Status: 200}
	takes := time.Second
	if strings.Contains(host, "dead") {
		o, takes = Outcome{Verdict: TryAgain, Reason: noAnswer}, attemptTime
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		o = Outcome{Verdict: TryAgain, Reason: interrupted}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	w.atHost[host]--
	return o
}

// submit sends one request to a host.
func (w *world) submit(s *Sender, host string) error {
	err := s.Submit(post("http://"+host+"/"), func(o Outcome) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outcomes[host] = append(w.outcomes[host], o)
		w.ended[host] = time.Now()
		w.asked--
	})
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked++
	}
	return err
}

func (w *world) must(s *Sender, host string) {
	w.t.Helper()
	if err := w.submit(s, host); err != nil {
		w.t.Fatalf("%s: %v", host, err)
	}
}

// open returns how many requests have no outcome yet.
func (w *world) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// Ensure that requests to a host that hangs wait for one another and for nobody else.
func TestDeadHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newSender(w.attempt)
		defer s.Close()
		began := time.Now()
		for range 100 {
			w.must(s, "dead")
		}
		for i := range 200 {
			w.must(s, fmt.Sprintf("host-%d", i))
		}
		time.Sleep(time.Second + 1)
		synctest.Wait()
		if w.open() != 100 {
			t.Fatalf("%d are open after a second", w.open())
		}
		for w.open() > 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		// The first four at once, then, known as silent, one after the other.
		if took := w.ended["dead"].Sub(began); took != 97*attemptTime {
			t.Errorf("the dead host took %v", took)
		}
		if len(w.outcomes["dead"]) != 100 || len(w.outcomes["host-7"]) != 1 || w.outcomes["host-7"][0].Verdict != Delivered {
			t.Errorf("%d %v", len(w.outcomes["dead"]), w.outcomes["host-7"])
		}
	})
}

// Ensure that however many hosts hang, known and unknown, those that answered before are called at once.
func TestManyDeadHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newSender(w.attempt)
		defer s.Close()
		settle := func() {
			for w.open() > 0 {
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		for i := range 25 {
			w.must(s, fmt.Sprintf("host-%d", i))
		}
		for i := range 1000 {
			w.must(s, fmt.Sprintf("dead-%d", i))
		}
		settle()
		for i := range 2000 { // half of them are known to hang
			w.must(s, fmt.Sprintf("dead-%d", i))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		began := time.Now()
		for range 4 {
			for i := range 25 {
				w.must(s, fmt.Sprintf("host-%d", i))
			}
		}
		time.Sleep(time.Second + 1)
		synctest.Wait()
		for i := range 25 {
			host := fmt.Sprintf("host-%d", i)
			if took := w.ended[host].Sub(began); len(w.outcomes[host]) != 5 || took != time.Second {
				t.Errorf("%s: %d after %v", host, len(w.outcomes[host]), took)
			}
		}
		// A new host comes in its turn behind those that nothing is known of: 1000 of them, 256 at a time.
		w.must(s, "host-new")
		settle()
		if took := w.ended["host-new"].Sub(began); took > 5*attemptTime {
			t.Errorf("a new host had to wait for %v", took)
		}
		if w.most > atUnknown+atSilent+100 {
			t.Errorf("%d at once", w.most)
		}
	})
}

// Ensure that a host's requests which wait among those to unknown hosts are sent as soon as it has answered.
func TestHostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newSender(w.attempt)
		defer s.Close()
		began := time.Now()
		w.must(s, "host")
		for i := range 2 * atUnknown {
			w.must(s, fmt.Sprintf("dead-%d", i))
		}
		for range 3 { // find no place
			w.must(s, "host")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if took := w.ended["host"].Sub(began); len(w.outcomes["host"]) != 4 || took != 2*time.Second {
			t.Errorf("%d outcomes after %v", len(w.outcomes["host"]), took)
		}
	})
}

// Ensure that a host which answers again is called as before.
func TestHostComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var up bool
		var most, running int
		s := newSender(func(context.Context, notify.Request) Outcome {
			mu.Lock()
			running++
			most = max(most, running)
			answers := up
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			running--
			if answers {
				return Outcome{Status: 503, Verdict: TryAgain}
			}
			return Outcome{Verdict: TryAgain}
		})
		defer s.Close()
		round := func() int {
			most = 0
			var wait sync.WaitGroup
			for range 20 {
				wait.Add(1)
				if err := s.Submit(post("http://h/"), func(Outcome) { wait.Done() }); err != nil {
					t.Fatal(err)
				}
			}
			wait.Wait()
			return most
		}
		if n := round(); n != perHost {
			t.Errorf("%d at an unknown host", n)
		}
		if n := round(); n != 1 {
			t.Errorf("%d at a silent one", n)
		}
		up = true
		if n := round(); n != perHost {
			t.Errorf("%d at one that answers, if only that it can't", n)
		}
	})
}

// Ensure that the room to wait in is bounded, for a host and together, and that there is room again.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newSender(w.attempt)
		defer s.Close()
		for range perHost + maxWaitingAtHost {
			w.must(s, "dead")
		}
		if err := w.submit(s, "dead"); !errors.Is(err, ErrFull) {
			t.Errorf("%v", err)
		}
		for i := 0; s.waiting < maxWaiting; i++ {
			w.must(s, fmt.Sprintf("host-%d", i))
		}
		if err := w.submit(s, "one-more"); !errors.Is(err, ErrFull) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second + 1)
		synctest.Wait()
		w.must(s, "one-more")
	})
}

// Ensure that closing ends everything, also what waits, and that every request has its one outcome.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newSender(w.attempt)
		for range 50 {
			w.must(s, "dead")
		}
		began := time.Now()
		s.Close()
		if w.open() != 0 || len(w.outcomes["dead"]) != 50 || time.Since(began) != 0 {
			t.Errorf("%d open after %v", w.open(), time.Since(began))
		}
		for _, o := range w.outcomes["dead"] {
			if o.Verdict != TryAgain || o.Reason != interrupted {
				t.Fatalf("%+v", o)
			}
		}
		if err := w.submit(s, "host"); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// Ensure, for requests that come as they like to hosts that come and go, that each has one outcome in the end and
// nothing is kept of what has ended.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			rng := rand.New(rand.NewPCG(seed, 0))
			var mu sync.Mutex
			s := newSender(func(ctx context.Context, r notify.Request) Outcome {
				w.attempt(ctx, r) // for its counting
				mu.Lock()
				defer mu.Unlock()
				return Outcome{Verdict: TryAgain, Status: 500 * rng.IntN(2)}
			})
			sent := 0
			for range 2000 {
				mu.Lock()
				host, pause := fmt.Sprintf("%s-%d", []string{"dead", "host"}[rng.IntN(2)], rng.IntN(40)), rng.IntN(10)
				mu.Unlock()
				if w.submit(s, host) == nil {
					sent++
				}
				if pause == 0 {
					time.Sleep(time.Duration(seed) * 100 * time.Millisecond)
				}
			}
			for i := 0; w.open() > 0; i++ {
				if i > 100_000 {
					t.Fatalf("seed %d: %d requests wait for ever", seed, w.open())
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
			got := 0
			for _, all := range w.outcomes {
				got += len(all)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if got != sent || s.waiting != 0 || len(s.lanes) != 0 || s.total() != 0 {
				t.Errorf("seed %d: %d of %d, %d waiting, %d lanes, %d running", seed, got, sent, s.waiting, len(s.lanes), s.total())
			}
			for c := range s.turns {
				if len(s.turns[c]) != 0 {
					t.Errorf("seed %d: %d in turn", seed, len(s.turns[c]))
				}
			}
		})
	}
}

// Ensure that what is known of hosts does not grow without end.
func TestKnownHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(func(context.Context, notify.Request) Outcome { return Outcome{Status: 200} })
		defer s.Close()
		for i := range maxKnown + 100 {
			if err := s.Submit(post(fmt.Sprintf("http://h%d/", i)), func(Outcome) {}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(s.known) != maxKnown {
			t.Errorf("%d are known", len(s.known))
		}
	})
}

// Ensure that the sender itself, over a network, delivers and says what can't be.
func TestSender(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"id":"7"}`) }))
	defer receiver.Close()
	s := New(networks("127.0.0.1/32"))
	defer s.Close()
	for address, want := range map[string]Verdict{receiver.URL: Delivered, "http://[::1]:80/": Failed, "no URL": Failed} {
		outcome := make(chan Outcome, 1)
		if err := s.Submit(post(address), func(o Outcome) { outcome <- o }); err != nil {
			t.Fatal(err)
		}
		if o := <-outcome; o.Verdict != want {
			t.Errorf("%s: %+v", address, o)
		}
	}
}
