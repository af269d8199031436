//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// keyHeader carries the key of a call.
const keyHeader = "Idempotency-Key"

// sendings is how often a caller sends a call with a key at most.
const sendings = 4

// keyed makes a change, half of the time with a key. Then it is sent again, mostly at another replica, until it is
// answered, and all of that is one call: in the history it begins with the first time and ends with the answer. Now and
// then it is sent once more after the answer, which must say the same, or with another body, which must be refused.
func (w *caller) keyed(a *arena, me person, method, path string, body map[string]any) (answer, fate) {
	keys := &w.run.faults.keys
	if w.rng.IntN(2) == 0 || !keys.TryRLock() {
		return w.send(w.somewhere(), a, me.key, method, path, body)
	}
	defer keys.RUnlock()
	defer func(usual time.Duration) { w.patience = usual }(w.patience)
	w.patience = waits // midnight waits for all of it
	w.marks++
	key := fmt.Sprintf("key %d-%d", w.id, w.marks)
	send := func(body map[string]any) (answer, fate) {
		return w.send(w.somewhere(), a, me.key, method, path, body, keyHeader, key)
	}
	got, what := send(body)
	doubt := false // whether a sending may have been stored that was not answered
	for n := 1; n < sendings && what != answered && what != impossible; n++ {
		doubt = doubt || what == unknown
		got, what = send(body)
	}
	switch {
	case what == impossible, what != answered && doubt:
		return got, unknown
	case what != answered:
		return got, what
	case got.status == http.StatusUnprocessableEntity:
		w.run.record.fault("%s %s %s: a key that was never used is answered %v", method, a.name, path, got)
	case w.rng.IntN(4) == 0:
		again, what := send(body)
		if what == answered && (again.status != got.status || !bytes.Equal(again.body, got.body)) {
			w.run.record.fault("%s %s %s: answered %v, and when sent again %v", method, a.name, path, got, again)
		}
	case w.rng.IntN(8) == 0:
		other := map[string]any{"intent": "other", "status": "completed"}
		if again, what := send(other); what == answered && again.text("code") != "idempotency_key_reused" {
			w.run.record.fault("%s %s %s: answered %v, and with another body %v", method, a.name, path, got, again)
		}
	}
	return got, what
}

// TestKeyedCallsLinearizable: executors at two replicas, of which one is asleep at any time, post, claim, release and
// talk about a few requests, half of which expire meanwhile. They hang up on half of their calls and send them again
// at the other replica with their key until they are answered. Each call is done once, at a moment between its first
// sending and its answer, and no claim wins after a needed_by.
func TestKeyedCallsLinearizable(t *testing.T) {
	const executors, topics, rounds = 8, 10, 60
	a, b := replicas(t)
	k := &keyedCalls{t: t, record: newRecord(), needed: map[string]time.Time{}}
	for i := range executors {
		c := at(a, "home").register(t, fmt.Sprintf("executor-%d", i))
		k.clients = append(k.clients, [2]client{c, at(b, "home").as(c.key)})
	}
	for i := range topics {
		k.post(i)
	}
	var working sync.WaitGroup
	done := make(chan struct{})
	for i := range executors {
		working.Go(func() { k.work(i, rounds) })
	}
	go func() { working.Wait(); close(done) }()
	naps(done, a, b)
	for _, violation := range k.record.check(t.ArtifactDir()) {
		t.Error(violation)
	}
	t.Logf("%d calls, %d of them sent more than once", k.record.total(), k.record.fates["again"])
}

// keyedCalls is a run of that test.
type keyedCalls struct {
	t       *testing.T
	record  *record
	clients [][2]client // of each executor, at both replicas
	refs    []string
	needed  map[string]time.Time // by ref; complete before anyone works
}

// expiredWithin is how long after its needed_by a thread can still be claimed, by the clock of this machine: the
// store tells the time in whole seconds.
const expiredWithin = 1500 * time.Millisecond

// post makes a request. Every second one expires while the executors are at it.
func (k *keyedCalls) post(i int) {
	call := k.record.now()
	begun := time.Now()
	in := deed{kind: "create", who: "executor-0", timed: i%2 == 0}
	body := intent(fmt.Sprint("topic ", i))
	needed := begun.Add(time.Second + time.Duration(i)*200*time.Millisecond).Truncate(time.Millisecond)
	if in.timed {
		body["needed_by"] = needed.UTC().Format(time.RFC3339Nano)
	}
	rng := rand.New(rand.NewPCG(1, uint64(i)))
	got := k.send(rng, 0, "POST", "/requests", body)
	o := object{"home", "thread", got.text("ref")}
	k.record.add(o, 0, call, in, got.happened(in.kind))
	if in.timed {
		k.record.mayExpire(o, call+needed.Sub(begun).Nanoseconds())
		k.needed[o.name] = needed
	}
	k.refs = append(k.refs, o.name)
}

// send sends a call, and again with its key until there is an answer.
func (k *keyedCalls) send(rng *rand.Rand, id int, method, path string, body any) answer {
	key := fmt.Sprintf("%d %d", id, rng.Uint64())
	place := rng.IntN(2)
	for n := 0; ; n++ {
		c := k.clients[id][(place+n)%2]
		if n == 0 && rng.IntN(2) == 0 {
			c.http = &http.Client{Timeout: time.Duration(1+rng.IntN(40)) * time.Millisecond, Transport: c.http.Transport}
		}
		got, err := c.try(method, path, body, keyHeader, key)
		if err == nil && got.status < http.StatusInternalServerError {
			k.record.tally("answered")
			return got
		}
		k.record.tally("again")
		if n > 20 {
			k.t.Errorf("%s %s: sent %d times, the last answer is %v, %v", method, path, n, got, err)
			return got
		}
	}
}

// work makes calls about all threads.
func (k *keyedCalls) work(id, rounds int) {
	rng := rand.New(rand.NewPCG(2, uint64(id)))
	who := fmt.Sprintf("executor-%d", id)
	for n := range rounds {
		ref := k.refs[rng.IntN(len(k.refs))]
		in := deed{kind: "update", who: who, status: []string{"claimed", "claimed", "pending", "pending", ""}[rng.IntN(5)]}
		body := map[string]any{}
		if in.status == "" || rng.IntN(3) == 0 {
			in.mark = fmt.Sprintf("m%d-%d", id, n)
			body["mess"] = []any{map[string]any{"response": map[string]any{"content": []string{in.mark}}}}
		}
		if in.status != "" {
			body["status"] = in.status
		}
		if n%4 == 3 {
			in, body = deed{kind: "read", who: who}, nil
		}
		needed, timed := k.needed[ref]
		in.late = timed && time.Since(needed) > expiredWithin
		call := k.record.now()
		var got answer
		if body == nil {
			got = k.send(rng, id, "GET", "/requests/"+ref, nil)
		} else {
			got = k.send(rng, id, "PATCH", "/requests/"+ref, body)
		}
		k.record.add(object{"home", "thread", ref}, id, call, in, got.happened(in.kind))
	}
}
