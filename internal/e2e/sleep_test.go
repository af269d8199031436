//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// night is what goes on at a server while it is put to sleep.
type night struct {
	name string
	// method is that of the server's requests to the store which are on their way meanwhile, "" for none. They
	// reach the store when the day has been merged; with answers, they had reached it before, and the answers
	// are on their way.
	method  string
	answers bool
	// writes: the first thing that the server is asked on waking is a change, not a read.
	writes bool
	orphan bool // the store takes what arrives for a commit where there is none any more
}

var nights = []night{
	{name: "idle, then asked"},
	{name: "idle, then told", writes: true},
	{name: "a write on its way", method: http.MethodPut, orphan: true},
	{name: "the answer to a write on its way", method: http.MethodPut, answers: true},
	{name: "a read on its way", method: http.MethodGet},
	{name: "the answer to a read on its way", method: http.MethodGet, answers: true},
}

// TestSleepAcrossMerge: one of two replicas is stopped (SIGSTOP) while the day that it writes to is closed by the
// other one and merged from outside, by mess-exchange compact. When it wakes its answers are those of one who
// never slept: it knows what happened, nothing it writes is lost or there twice, and what its write that arrived
// late left behind the merge is taken back. The days pass by the store's clock, which all three see moved.
func TestSleepAcrossMerge(t *testing.T) {
	store := s3test.Start(t)
	place := bucketOf(t, store)
	near, far := newLine(t, store, rand.New(rand.NewPCG(1, 1))), newLine(t, store, rand.New(rand.NewPCG(1, 2)))
	via := func(l *line) []string {
		return append(place.settings[:len(place.settings):len(place.settings)], "S3_ENDPOINT="+l.endpoint)
	}
	x := &sleep{place: place, near: near, outside: via(far), lines: []*line{near, far}, sleeper: start(t, via(near)...), acknowledged: map[string]string{}, unknown: map[string]bool{}}
	awake := start(t, via(far)...)
	x.asleep = at(x.sleeper, "home").register(t, "agent")
	x.awake = at(awake, "home").as(x.asleep.key)
	for i, n := range nights {
		if t.Run(n.name, func(t *testing.T) { x.take(t, n, i) }); t.Failed() {
			return
		}
	}
	for _, s := range []*server{x.sleeper, awake} {
		if code := s.terminate(t); code != 0 {
			t.Errorf("exit code after SIGTERM: got %d, want 0", code)
		}
	}
	checkPasses(t, place.settings)
	wantQuery(t, place.data, checkLog(t, place.data, "home"))
}

// sleep is a run of nights.
type sleep struct {
	place         storage
	near          *line // of the sleeper
	lines         []*line
	outside       []string // settings of the program, as the one who merges is started with them
	sleeper       *server
	asleep, awake client
	passed        time.Duration     // of the store's time, by which its clock is off
	acknowledged  map[string]string // intents by ref
	unknown       map[string]bool   // intents of which a server said that it does not know
}

// ask creates a request which must be acknowledged.
func (x *sleep) ask(t *testing.T, at client, text string) {
	t.Helper()
	x.acknowledged[at.create(t, intent(text))] = text
}

// wait lets time pass at the store.
func (x *sleep) wait(d time.Duration) {
	x.passed += d
	for _, l := range x.lines {
		l.shift(x.passed)
	}
}

// take puts the sleeper to sleep, has the day merged, and wakes it.
func (x *sleep) take(t *testing.T, n night, number int) {
	text := func(what string) string { return fmt.Sprintf("%d: %s", number, what) }
	x.ask(t, x.asleep, text("written by the sleeper before"))
	x.ask(t, x.awake, text("written by the other before"))
	x.asleep.threads(t, "") // it knows both
	day := x.near.date().UTC().Format("2006/01/02")

	var kept *hold
	result := make(chan answer, 1)
	if n.method == "" {
		close(result)
	} else {
		kept = x.near.keep(n.method, n.answers)
		defer x.near.release() // where the test fails before it comes to that
		go func() { result <- x.under(n, text("under way")) }()
		await(t, kept.caught, "a "+n.method+" on its way")
	}
	x.signal(t, syscall.SIGSTOP)
	x.mergeBehind(t, day, text)
	x.near.release()
	if kept != nil {
		await(t, kept.passed, "its arrival at the store")
	}
	if n.orphan {
		if files := commitsOf(t, x.place.data, day); len(files) != 2 {
			t.Errorf("%s holds %v, want what the sleeper wrote too", day, files)
		}
	}
	x.signal(t, syscall.SIGCONT)
	x.wake(t, n, text, result)
	if files := commitsOf(t, x.place.data, day); len(files) != 1 {
		t.Errorf("%s, which was merged, holds %v", day, files)
	}
}

// await waits for something that must come.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited 30 s for %s", what)
	}
}

// under is the call that is under way while its server sleeps.
func (x *sleep) under(n night, text string) answer {
	a, err := answer{}, error(nil)
	if n.method == http.MethodPut {
		a, err = x.asleep.try("POST", "/requests", intent(text))
	} else {
		a, err = x.asleep.try("GET", "/requests", nil)
	}
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	return a
}

// signal stops the sleeper or wakes it.
func (x *sleep) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := x.sleeper.process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// mergeBehind closes the day by a write at the replica that is awake, and has it merged when it is old enough.
func (x *sleep) mergeBehind(t *testing.T, day string, text func(string) string) {
	t.Helper()
	x.wait(25 * time.Hour)
	x.awake.threads(t, "") // which shows it the store's time
	x.ask(t, x.awake, text("written while the other slept"))
	x.wait(25 * time.Hour)
	o := run(t, time.Minute, x.outside, "compact")
	if o.code != 0 || !strings.Contains(o.stdout, "home: merged "+day+": ") {
		t.Fatalf("mess-exchange compact: exit code %d, %s was not merged:\n%s%s", o.code, day, o.stdout, o.stderr)
	}
	if files := commitsOf(t, x.place.data, day); len(files) != 1 {
		t.Fatalf("%s was merged into %v", day, files)
	}
	x.ask(t, x.awake, text("written after the merge"))
}

// wake holds what the server answers on waking against what was acknowledged.
func (x *sleep) wake(t *testing.T, n night, text func(string) string, result <-chan answer) {
	t.Helper()
	if n.writes {
		x.ask(t, x.asleep, text("told on waking"))
	}
	switch a, under := <-result; {
	case !under:
	case a.status == http.StatusServiceUnavailable: // of a machine so slow that the server's patience has ended
		if a.text("code") == "outcome_unknown" {
			x.unknown[text("under way")] = true
		}
	case n.method == http.MethodGet && a.status == http.StatusOK: // what came after it was asked may be missing
	case n.method == http.MethodPut && a.status == http.StatusCreated:
		x.acknowledged[a.text("ref")] = text("under way")
	default:
		t.Errorf("the call that was under way: got %v", a)
	}
	for _, c := range []client{x.asleep, x.awake} {
		x.knows(t, c)
	}
	x.ask(t, x.asleep, text("written by the sleeper after"))
	x.ask(t, x.awake, text("written by the other after"))
	for _, c := range []client{x.asleep, x.awake} {
		x.knows(t, c)
	}
}

// knows fails the test where a replica has not exactly what was acknowledged, and at most once what nobody
// knows of.
func (x *sleep) knows(t *testing.T, c client) {
	t.Helper()
	texts, seen := map[string]int{}, map[string]bool{}
	for _, thread := range c.threads(t, "") {
		texts[thread.Intent]++
		seen[thread.Ref] = true
		if want, ok := x.acknowledged[thread.Ref]; ok && want != thread.Intent || !ok && !x.unknown[thread.Intent] {
			t.Errorf("%s is %q, want %q", thread.Ref, thread.Intent, want)
		}
	}
	for ref, text := range x.acknowledged {
		if !seen[ref] {
			t.Errorf("%s, %q, was acknowledged and is missing", ref, text)
		}
	}
	for text, n := range texts {
		if n > 1 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
}
