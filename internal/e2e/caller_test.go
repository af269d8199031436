//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"time"
)

const (
	threadsEach  = 25 // of an exchange, before it makes room for a new one
	callsEach    = 45 // on a thread, before it is left alone
	unknownsEach = 6  // of those: each that may or may not have happened makes the check harder
)

// arena is one exchange that callers meet in. It is used for a while only, which keeps its lists short
// and makes exchanges begin in the middle of faults.
type arena struct {
	name string

	mu      sync.Mutex
	created int
	topics  []*topic
	people  map[int]person // by caller
	tries   int
}

// person is a caller in an arena.
type person struct{ id, key string }

// topic is a thread whose creation was acknowledged.
type topic struct {
	object          object
	ref             string
	calls, unknowns int // of arena.mu
}

// caller makes calls one after the other, each at one of the replicas.
type caller struct {
	id       int
	run      *torture
	rng      *rand.Rand
	patience time.Duration
	marks    int
	sent     int
}

// address is where a call says it comes from, by the header of a proxy that the servers trust: together the
// callers register more than one address may.
func (w *caller) address() string {
	w.sent++
	return fmt.Sprintf("198.18.%d.%d", w.id, w.sent%256)
}

// fate is what is known of a call after it.
type fate string

const (
	answered fate = "answered"
	refused  fate = "refused" // the server said that nothing was stored
	unknown  fate = "unknown"
	nobody   fate = "nobody" // there was no server; not counted as a call

	impossible fate = "impossible" // an answer that nothing excuses; what it did is unknown
)

// send makes a call and says what became of it.
func (w *caller) send(to *replica, a *arena, key, method, path string, body any, headers ...string) (answer, fate) {
	got, what := w.try(to, a, key, method, path, body, headers...)
	if what == nobody {
		<-time.After(5 * time.Millisecond) // don't ask in a tight loop
		return got, what
	}
	w.run.record.tally(string(what))
	return got, what
}

func (w *caller) try(to *replica, a *arena, key, method, path string, body any, headers ...string) (answer, fate) {
	s := to.current()
	if s == nil {
		return answer{}, nobody
	}
	c := client{base: s.url + "/api/v1/exchanges/" + a.name, key: key, http: &http.Client{Timeout: w.patience, Transport: w.run.transport}}
	if w.rng.IntN(40) == 0 { // hangs up, perhaps in the middle of it
		c.http.Timeout = time.Duration(1+w.rng.IntN(15)) * time.Millisecond
	}
	got, err := c.try(method, path, body, append(headers, "X-Forwarded-For", w.address())...)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return answer{}, nobody
	case err != nil:
		return answer{}, unknown
	}
	switch got.status {
	case http.StatusOK, http.StatusCreated, http.StatusForbidden, http.StatusNotFound, http.StatusConflict:
		return got, answered
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if path == "/requests" || len(headers) > 0 { // a needed_by has passed; a key was used before
			return got, answered
		}
	case http.StatusServiceUnavailable:
		switch got.text("code") {
		case "outcome_unknown":
			return got, unknown
		case "storage_unavailable", "overloaded":
			return got, refused
		}
	}
	w.run.record.fault("%s %s %s at %s: got %v", method, a.name, path, to.name, got)
	return got, impossible
}

// somewhere is the caller's own replica, or another.
func (w *caller) somewhere() *replica {
	all := w.run.faults.replicas
	if w.rng.IntN(3) == 0 {
		return all[w.rng.IntN(len(all))]
	}
	return all[w.id%len(all)]
}

// step makes one call.
func (w *caller) step() {
	a := w.run.arena(w.rng.IntN(arenas))
	a.mu.Lock()
	me, registered := a.people[w.id]
	a.mu.Unlock()
	dice := w.rng.IntN(100)
	switch t := w.topic(a); {
	case !registered:
		a.mu.Lock()
		a.tries++
		id := fmt.Sprintf("caller-%d-%d", w.id, a.tries)
		a.mu.Unlock()
		w.register(a, id)
	case dice < 2:
		w.register(a, fmt.Sprintf("wanted-%d", w.rng.IntN(4))) // by several
	case dice < 4:
		w.executors(w.somewhere(), a, me)
	case dice < 14:
		w.list(w.somewhere(), a, me, []string{"", "", "?status=pending", "?status=claimed", "?status=completed"}[w.rng.IntN(5)])
	case t == nil || dice < 20:
		w.create(a, me)
	case dice < 45:
		w.read(w.somewhere(), a, me, t)
	default:
		w.update(a, me, t)
	}
}

// topic is one of the newest threads, which the others are at as well; nil where one more is due.
func (w *caller) topic(a *arena) *topic {
	a.mu.Lock()
	defer a.mu.Unlock()
	var busy []*topic
	for i := len(a.topics) - 1; i >= 0 && len(busy) < 3; i-- {
		if t := a.topics[i]; t.calls < callsEach && t.unknowns < unknownsEach {
			busy = append(busy, t)
		}
	}
	if len(busy) == 0 {
		return nil
	}
	return busy[w.rng.IntN(len(busy))]
}

// note records a change. One that was refused as not stored is left out (threadModel says why).
func (w *caller) note(o object, call int64, in deed, got answer, what fate) {
	switch what {
	case answered:
		w.run.record.add(o, w.id, call, in, got.happened(in.kind))
	case unknown, impossible:
		w.run.record.add(o, w.id, call, in, happened{unknown: true})
	}
}

func (w *caller) register(a *arena, id string) {
	o := object{a.name, "executor", id}
	w.run.record.know(o)
	call := w.run.record.now()
	got, what := w.send(w.somewhere(), a, "", "POST", "/register", map[string]any{"executor_id": id})
	in := deed{kind: "register", who: id}
	w.note(o, call, in, got, what)
	if what == answered && got.status == http.StatusCreated {
		a.mu.Lock()
		if _, registered := a.people[w.id]; !registered {
			a.people[w.id] = person{id, got.text("api_key")}
		}
		a.mu.Unlock()
	}
}

func (w *caller) create(a *arena, me person) {
	w.marks++
	o := object{a.name, "thread", fmt.Sprintf("thread-%d-%d", w.id, w.marks)}
	w.run.record.know(o)
	in := deed{kind: "create", who: me.id, timed: w.rng.IntN(4) == 0}
	body := intent(o.name)
	call := w.run.record.now()
	if in.timed {
		body["needed_by"] = w.run.faults.clock().Add(time.Duration(w.rng.IntN(4000)) * time.Millisecond).UTC().Format(time.RFC3339Nano)
		w.run.record.mayExpire(o, call) // by the clock of whichever replica
	}
	got, what := w.keyed(a, me, "POST", "/requests", body)
	a.mu.Lock()
	a.created++
	if what == answered && got.status == http.StatusCreated {
		a.topics = append(a.topics, &topic{object: o, ref: got.text("ref")})
	}
	a.mu.Unlock()
	w.note(o, call, in, got, what)
}

// update sets a status, says something, or both.
func (w *caller) update(a *arena, me person, t *topic) {
	in := deed{kind: "update", who: me.id}
	body := map[string]any{}
	switch dice := w.rng.IntN(100); {
	case dice < 35:
		in.status = "claimed"
	case dice < 60:
		in.status = "pending"
	case dice < 72:
		in.status = "in_progress"
	case dice < 76:
		in.status = "completed"
	case dice < 80:
		in.status = "cancelled"
	}
	if in.status == "" || w.rng.IntN(3) == 0 {
		w.marks++
		in.mark = fmt.Sprintf("m%d-%d", w.id, w.marks)
		body["mess"] = []any{map[string]any{"response": map[string]any{"content": []string{in.mark}}}}
	}
	if in.status != "" {
		body["status"] = in.status
	}
	call := w.run.record.now()
	got, what := w.keyed(a, me, "PATCH", "/requests/"+t.ref, body)
	a.mu.Lock()
	t.calls++
	if what == unknown || what == impossible {
		t.unknowns++
	}
	a.mu.Unlock()
	w.note(t.object, call, in, got, what)
}

func (w *caller) read(at *replica, a *arena, me person, t *topic) fate {
	call := w.run.record.now()
	got, what := w.send(at, a, me.key, "GET", "/requests/"+t.ref, nil)
	if what != answered {
		return what
	}
	var shown struct{ Thread thread }
	if json.Unmarshal(got.body, &shown) == nil && got.status == http.StatusOK && shown.Thread.Intent != t.object.name {
		w.run.record.fault("%s: the ref %s of %q shows %q", a.name, t.ref, t.object.name, shown.Thread.Intent)
	}
	w.run.record.add(t.object, w.id, call, deed{kind: "read", who: me.id}, got.happened("read"))
	return what
}

func (w *caller) list(at *replica, a *arena, me person, query string) fate {
	l := listing{kind: "thread", client: w.id, call: w.run.record.now(), shown: map[string]threadState{}}
	if query != "" {
		l.status = query[len("?status="):]
	}
	got, what := w.send(at, a, me.key, "GET", "/requests"+query, nil)
	if what != answered {
		return what
	}
	var list struct {
		Threads    []thread
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK {
		w.run.record.fault("%s: a list is %v (%v)", a.name, got, err)
		return what
	}
	for i, t := range list.Threads {
		if _, twice := l.shown[t.Intent]; twice || i > 0 && t.UpdatedAt > list.Threads[i-1].UpdatedAt {
			w.run.record.fault("%s: in a list %s (%q) stands twice or in the wrong place", a.name, t.Ref, t.Intent)
		}
		l.shown[t.Intent] = t.state()
	}
	l.more = list.NextCursor != ""
	w.run.record.list(a.name, l)
	return what
}

func (w *caller) executors(at *replica, a *arena, me person) fate {
	l := listing{kind: "executor", client: w.id, call: w.run.record.now(), shown: map[string]threadState{}}
	got, what := w.send(at, a, me.key, "GET", "/executors", nil)
	if what != answered {
		return what
	}
	var list struct{ Executors []executor }
	if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK {
		w.run.record.fault("%s: a list of executors is %v (%v)", a.name, got, err)
		return what
	}
	for _, e := range list.Executors {
		l.shown[e.ID] = threadState{there: true}
	}
	w.run.record.list(a.name, l)
	return what
}
