//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// load drives a server from several sides and keeps a ledger of what was acknowledged. It outlives
// the server: after each end, whatever kind it was, the next start is held to the ledger.
type load struct {
	keys []string // of worker-0, worker-1 …

	mu       sync.Mutex
	serial   int
	threads  map[string]*promise // by ref: what is known of acknowledged requests
	attempts map[string]bool     // intents that were sent, acknowledged or not
	acks     int
	faults   []string
}

// promise is what a server has acknowledged of one thread, and what may have happened besides.
type promise struct {
	ref, intent string
	holder      string   // whose claim was acknowledged
	perhaps     []string // whose claims got no answer
	refused     []string // who was told that somebody else holds it
	mark        string   // text of the closing message
	closed      bool     // which was acknowledged
}

// newLoad registers the workers.
func newLoad(t *testing.T, s *server, workers int) *load {
	t.Helper()
	l := &load{threads: map[string]*promise{}, attempts: map[string]bool{}}
	for i := range workers {
		l.keys = append(l.keys, at(s, "home").register(t, worker(i)).key)
	}
	return l
}

func worker(i int) string { return fmt.Sprintf("worker-%d", i) }

// run works until the server gives no answer any more. first is closed at the first acknowledgement.
func (l *load) run(s *server, first chan<- struct{}) {
	begun := l.acknowledged()
	var once sync.Once
	var done sync.WaitGroup
	home := at(s, "home")
	for i := range l.keys {
		done.Go(func() {
			for l.story(home, i) {
				if l.acknowledged() > begun {
					once.Do(func() { close(first) })
				}
			}
		})
	}
	done.Wait()
	once.Do(func() { close(first) })
	home.http.CloseIdleConnections()
}

// story is one request from its creation to its end, as far as the server lives: worker i asks, it
// and its neighbour try to claim at once, the winner answers. It returns false where an answer is missing.
func (l *load) story(home client, i int) bool {
	p := l.attempt()
	a, err := home.as(l.keys[i]).try("POST", "/requests", intent(p.intent))
	if !l.answered("create", a, err, http.StatusCreated) {
		return false
	}
	p.ref = a.text("ref")
	l.mu.Lock()
	if l.threads[p.ref] != nil {
		l.faults = append(l.faults, "the ref "+p.ref+" was given twice")
	}
	l.threads[p.ref] = p
	l.acks++
	l.mu.Unlock()

	rivals := []int{i, (i + 1) % len(l.keys)}
	alive := [2]bool{}
	var race sync.WaitGroup
	for n, rival := range rivals {
		race.Go(func() { alive[n] = l.claim(home, rival, p) })
	}
	race.Wait()
	if !alive[0] || !alive[1] {
		return false
	}
	winner := slices.IndexFunc(rivals, func(r int) bool { return worker(r) == p.holder })
	if winner < 0 {
		l.fault("%s: nobody won: %v were refused", p.ref, p.refused)
		return false
	}
	return l.complete(home, rivals[winner], p)
}

// attempt notes a request that is about to be sent.
func (l *load) attempt() *promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	p := &promise{intent: fmt.Sprintf("request %d", l.serial), mark: fmt.Sprintf("answer %d", l.serial)}
	l.attempts[p.intent] = true
	return p
}

func (l *load) claim(home client, i int, p *promise) bool {
	a, err := home.as(l.keys[i]).try("PATCH", "/requests/"+p.ref, `{"status": "claimed"}`)
	known := l.answered("claim", a, err, http.StatusOK, http.StatusConflict)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !known:
		p.perhaps = append(p.perhaps, worker(i))
	case a.status == http.StatusConflict:
		p.refused = append(p.refused, worker(i))
	case p.holder != "":
		l.faults = append(l.faults, fmt.Sprintf("%s: %s and %s both won", p.ref, p.holder, worker(i)))
	default:
		p.holder = worker(i)
		l.acks++
	}
	return known
}

func (l *load) complete(home client, i int, p *promise) bool {
	body := fmt.Sprintf(`{"status": "completed", "mess": [{"response": {"content": [%q]}}]}`, p.mark)
	a, err := home.as(l.keys[i]).try("PATCH", "/requests/"+p.ref, body)
	if !l.answered("complete", a, err, http.StatusOK) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.closed = true
	l.acks++
	return true
}

// answered reports whether the outcome of a call is known. An answer that must not be is a fault; 503
// is a server on its way out.
func (l *load) answered(what string, a answer, err error, want ...int) bool {
	if err != nil {
		return false
	}
	if !slices.Contains(want, a.status) {
		if a.status != http.StatusServiceUnavailable {
			l.fault("%s: got %v, want %v", what, a, want)
		}
		return false
	}
	return true
}

func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

func (l *load) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks
}

// verify holds a server to the ledger: all that was acknowledged is there, and nothing that was
// never asked for, nor anything twice. All threads are held to the list; those that are not in read
// yet, whose messages nobody has looked at, are read one by one and added to it.
func (l *load) verify(t *testing.T, s *server, read map[string]bool) {
	t.Helper()
	for _, fault := range l.faults {
		t.Error(fault)
	}
	if len(l.faults) > 0 {
		t.FailNow()
	}
	c := at(s, "home").as(l.keys[0])
	listed, intents := map[string]thread{}, map[string]bool{}
	for _, x := range c.threads(t, "") {
		if !l.attempts[x.Intent] || intents[x.Intent] {
			t.Errorf("%s: %q was never asked for, or is there twice", x.Ref, x.Intent)
		}
		listed[x.Ref], intents[x.Intent] = x, true
	}
	for ref, p := range l.threads {
		x, there := listed[ref]
		if !there || x.Intent != p.intent {
			t.Errorf("%s: %q was acknowledged and is gone (there is %q)", ref, p.intent, x.Intent)
			continue
		}
		if read[ref] {
			p.check(t, x, nil)
			continue
		}
		p.check(t, x, c.thread(t, ref).Messages)
		read[ref] = true
	}
}

// check holds one thread to what was promised; messages is nil where they were checked before.
func (p *promise) check(t *testing.T, x thread, messages []message) {
	t.Helper()
	holder := x.holder()
	if p.holder != "" && holder != p.holder || p.holder == "" && holder != "" && !slices.Contains(p.perhaps, holder) {
		t.Errorf("%s: held by %q; %q won it, %v may have", p.ref, holder, p.holder, p.perhaps)
	}
	if p.closed && x.Status != "completed" || holder == "" && x.Status != "pending" {
		t.Errorf("%s: is %s, held by %q; completed was acknowledged: %v", p.ref, x.Status, holder, p.closed)
	}
	if messages == nil {
		return
	}
	want := 1
	if x.Status == "completed" {
		want = 2
	}
	if len(messages) != want {
		t.Errorf("%s: is %s with %d messages, want %d", p.ref, x.Status, len(messages), want)
		return
	}
	block := fmt.Sprintf(`[{"status":{"re":%q,"code":"completed"}},{"response":{"content":[%q]}}]`, p.ref, p.mark)
	if want == 2 && (compact(t, messages[1].Mess) != block || messages[1].From != holder) {
		t.Errorf("%s: closed by %s with %s, want %s", p.ref, messages[1].From, messages[1].Mess, block)
	}
}
