package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// days is how long a run lasts by the store's clock. The jumps of that clock make it some thousand turns.
	days     = 20
	maxTurns = 50_000
	// longestLife keeps a process from merging by itself (doc.go), by its own clock.
	longestLife = 4 * time.Minute
)

// world is one run.
type world struct {
	rng      *rand.Rand
	seed     uint64
	start    time.Time    // of the virtual clock
	jumped   atomic.Int64 // nanoseconds by which the store's clock has been moved on
	moods    moods
	bucket   *bucket
	witness  *witness
	replicas []*replica
	clients  []*client
	running  []*operation
	late     []*call // carried out when they are due, with nobody waiting
	quiet    bool    // nothing goes wrong any more
	turn     int
	tokens   int
	shown    int64 // the seq that the answers so far have shown
	numbered int
	counts   counts

	trace []string // of all turns

	mu      sync.Mutex // of what the goroutines under test touch
	arrived []*call
	parked  []*call // in the order of their numbers
	broken  []string
	logged  []string // what the engines logged, where it is kept
}

// counts say whether enough happened in a run to prove anything.
type counts struct {
	turns, events, answers, acknowledged, refused, reads, unknown    int
	merges, orphans, crashes, suspends, lost, landedLate, cut, again int
	retries                                                          int
}

func (c *counts) add(o counts) {
	for i, p := range c.fields() {
		*p += *o.fields()[i]
	}
}

func (c *counts) fields() []*int {
	return []*int{
		&c.turns, &c.events, &c.answers, &c.acknowledged, &c.refused, &c.reads, &c.unknown,
		&c.merges, &c.orphans, &c.crashes, &c.suspends, &c.lost, &c.landedLate, &c.cut, &c.again, &c.retries,
	}
}

func (c counts) String() string {
	return fmt.Sprintf("%d turns, %d events, %d answers (%d acknowledged, %d refused, %d reads, %d unknown), %d days merged, %d orphans, "+
		"%d crashes, %d suspends, %d requests or answers lost, %d writes that landed late, %d reads cut, %d sent again by the SDK, %d by clients",
		c.turns, c.events, c.answers, c.acknowledged, c.refused, c.reads, c.unknown, c.merges, c.orphans,
		c.crashes, c.suspends, c.lost, c.landedLate, c.cut, c.again, c.retries)
}

func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0)), seed: seed, start: time.Now(), shown: -1,
	}
	w.moods = w.draw()
	w.bucket = newBucket(w.now)
	w.witness = newWitness()
	w.witness.fail, w.witness.note = w.fail, w.tracef
	w.bucket.witness = w.witness
	for n := range 3 {
		w.replicas = append(w.replicas, &replica{number: n, world: w})
		w.replicas[n].skew.Store(w.someSkew())
	}
	for n := range 5 {
		w.clients = append(w.clients, &client{number: n})
	}
	return w
}

// now is the store's time.
func (w *world) now() time.Time {
	return time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC).Add(time.Since(w.start) + time.Duration(w.jumped.Load()))
}

func (w *world) someSkew() int64 { return w.rng.Int64N(2*int64(w.moods.skew)) - int64(w.moods.skew) }

// tracef adds a line to the trace. Only what the seed determines may be in it.
func (w *world) tracef(format string, args ...any) {
	line := fmt.Sprintf("%5d %s  ", w.turn, w.now().Format("01-02 15:04:05.000")) + fmt.Sprintf(format, args...)
	w.trace = append(w.trace, line)
}

// fail notes that a rule was broken, which ends the run.
func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.broken) > 0
}

// run plays a seed. It must be called in a bubble of synctest.
func run(t *testing.T, seed uint64) *world {
	w := newWorld(seed)
	defer w.end()
	for !w.failed() && w.turn < maxTurns && w.now().Before(w.bucketDay(days)) {
		w.takeTurn(w.anything)
	}
	if w.turn >= maxTurns {
		w.fail("the days don't pass")
	}
	if !w.failed() {
		w.settle(t)
	}
	w.counts.turns, w.counts.events, w.counts.orphans = w.turn, len(w.witness.log), w.witness.orphans
	return w
}

// bucketDay is the store's time so many days after the start.
func (w *world) bucketDay(n int) time.Time { return time.Date(2026, 2, 1+n, 9, 0, 0, 0, time.UTC) }

// end lets every goroutine of the world end.
func (w *world) end() {
	for _, r := range w.replicas {
		w.stop(r)
	}
	synctest.Wait()
}

// takeTurn lets the world come to rest, looks at what has happened, and does one thing. After it a moment
// passes, of a length that no two turns have in common: so no two timers end at the same time.
func (w *world) takeTurn(choose func()) {
	synctest.Wait()
	w.lookAround()
	if w.failed() {
		return
	}
	w.turn++
	choose()
	moment := 2 * time.Millisecond
	if slices.ContainsFunc(w.replicas, func(r *replica) bool { return w.turn < r.cutOff }) {
		moment = 200 * time.Millisecond // so that an outage is longer than the patience of those it befalls
	}
	time.Sleep(time.Duration(1 + w.rng.Int64N(int64(moment))))
}

// lookAround notes what has arrived and ended since the turn before, in an order of its own.
func (w *world) lookAround() {
	w.mu.Lock()
	arrived := w.arrived
	w.arrived = nil
	// What was given up within the turn that sent it may as well never have been sent: which of the two it
	// was is chance.
	arrived = slices.DeleteFunc(arrived, func(c *call) bool { return c.gone })
	w.mu.Unlock()
	slices.SortStableFunc(arrived, (*call).compare)
	for _, c := range arrived {
		w.numbered++
		c.number = w.numbered
		w.tracef("%s arrives", c)
	}
	w.parked = append(w.parked, arrived...)
	w.dropGone()
	for _, o := range slices.Clone(w.running) {
		w.mu.Lock()
		done := o.done
		w.mu.Unlock()
		if !done {
			continue
		}
		w.running = slices.DeleteFunc(w.running, func(other *operation) bool { return other == o })
		o.client.running = nil
		o.cancel()
		w.tracef("%s is answered %q", o, o.code())
		w.judge(o)
		o.replica.answered(o)
	}
	for _, r := range w.replicas {
		w.lookAt(r)
	}
}

// moods are how often things go wrong in a run, in thousandths of its turns or of the calls. Every run has
// moods of its own: what goes wrong alone shows other mistakes than what goes wrong amid everything else.
type moods struct {
	crash, sleep, merge, outage   int           // of the turns
	refuse, lose, late, cut, hold int           // of the calls
	stride                        time.Duration // the longest jump of the store's clock
	skew                          time.Duration // how far a clock may be off
}

func (w *world) draw() moods {
	some := func(usual int) int { return usual * []int{0, 1, 1, 3}[w.rng.IntN(4)] }
	return moods{
		crash: some(1), sleep: some(3), merge: 8 * (1 + w.rng.IntN(3)), outage: some(1),
		refuse: some(8), lose: some(17), late: some(20), cut: some(15), hold: some(5),
		stride: []time.Duration{8 * time.Hour, 16 * time.Hour, 24 * time.Hour}[w.rng.IntN(3)],
		skew:   []time.Duration{time.Hour, 24 * time.Hour, 96 * time.Hour}[w.rng.IntN(3)],
	}
}

// dice returns a function that throws once and tells of one possible outcome after the other, each so many
// thousandths likely, whether it is the one. In a quiet world none is.
func (w *world) dice() func(likely int) bool {
	left := w.rng.IntN(1000)
	return func(likely int) bool {
		hit := left >= 0 && left < likely && !w.quiet
		left -= likely
		return hit
	}
}

// anything is a turn of a world in which things go wrong.
func (w *world) anything() {
	for _, r := range w.replicas {
		if r.up && time.Since(r.born) > longestLife {
			w.crash(r)
		}
	}
	r := w.replicas[w.rng.IntN(len(w.replicas))]
	is := w.dice()
	switch {
	case is(w.moods.crash):
		if !w.asleep() || w.rng.IntN(4) == 0 {
			w.crash(r)
		}
	case is(w.moods.sleep):
		w.suspend(w.sleeper())
	case is(1):
		skew := w.someSkew()
		r.skew.Store(skew)
		w.tracef("the clock of r%d is off by %s", r.number, time.Duration(skew))
	case is(1):
		if !w.asleep() {
			d := time.Duration(w.rng.Int64N(int64(8 * time.Second)))
			w.tracef("%s pass", d)
			time.Sleep(d)
		}
	case is(w.moods.outage):
		if !w.asleep() {
			r.cutOff = w.turn + w.rng.IntN(200)
			w.tracef("r%d is cut off until %d", r.number, r.cutOff)
		}
	case is(10):
		w.jump(time.Duration(w.rng.Int64N(int64(w.moods.stride))))
	case is(w.moods.merge):
		w.compact(r)
	default:
		w.goOn()
	}
}

// jump lets hours pass at the store within no time for any process.
func (w *world) jump(d time.Duration) {
	w.jumped.Add(int64(d))
	w.tracef("it is %s later", d)
}

// goOn lets one thing go on: a request, an answer, a client that thinks, a process that is down.
func (w *world) goOn() {
	var calls []*call
	for _, c := range w.parked {
		if w.turn >= c.held && w.turn >= w.replicas[c.view.number].suspended {
			calls = append(calls, c)
		}
	}
	for _, c := range w.late {
		if w.quiet || !w.now().Before(c.due) {
			calls = append(calls, c)
		}
	}
	for _, r := range w.replicas {
		if !r.up && !r.starting && (w.quiet || w.rng.IntN(40) == 0) {
			w.boot(r)
			return
		}
	}
	if n := len(calls); n > 0 && (w.quiet || w.rng.IntN(3) > 0) {
		w.advance(calls[w.rng.IntN(n)])
		return
	}
	if w.quiet {
		time.Sleep(100 * time.Millisecond) // what is left waits for its own patience to end
		return
	}
	if c := w.clients[w.rng.IntN(len(w.clients))]; c.running == nil {
		if o := w.compose(c); o != nil {
			w.begin(o)
		}
	}
}
