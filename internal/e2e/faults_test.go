//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// waits is how long most clients wait for an answer; a server that is put to sleep sleeps longer.
const waits = 2 * time.Second

// faults makes things go wrong, as its seed says, and keeps a diary of it. Each replica has a fate
// of its own, drawn from a generator of its own before anything is done, so a seed gives the same
// faults in the same order with the same pauses. What they hit is up to the scheduler of the machine.
type faults struct {
	begun    time.Time
	replicas []*replica
	store    *s3test.Server // nil on a folder
	wrong    func(format string, args ...any)
	focus    weather // nothing but this goes wrong, where it is set

	// Read-locked by a call that is sent again with its key, until it is answered: a key lives for 24 hours, and a
	// midnight brings nearly as many.
	keys sync.RWMutex

	mu     sync.Mutex
	day    time.Duration // how far the store's clock has been moved for all, to have midnights
	diary  []string
	counts map[string]int
}

// replica is one server of a run, through all its lives.
type replica struct {
	name     string
	settings []string
	line     *line         // to the store; nil on a folder
	skew     time.Duration // of the store's clock as this one sees it; of faults.mu

	mu     sync.Mutex
	server *server // nil while it is down
}

// current is the running process, or nil.
func (r *replica) current() *server {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server
}

func (f *faults) note(r *replica, kind, format string, args ...any) {
	name := "store"
	if r != nil {
		name = r.name
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[kind]++
	f.diary = append(f.diary, fmt.Sprintf("%9.3f s  %s  %s %s", time.Since(f.begun).Seconds(), name, kind, fmt.Sprintf(format, args...)))
}

// start brings a replica up, however often that takes: its start meets a store that may be away.
func (f *faults) start(ctx context.Context, r *replica) error {
	for {
		s, err := launch(r.settings)
		if err == nil {
			r.mu.Lock()
			r.server = s
			r.mu.Unlock()
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// kill ends a replica. One that has ended by itself before has broken its promise.
func (f *faults) kill(r *replica) {
	r.mu.Lock()
	s := r.server
	r.server = nil
	r.mu.Unlock()
	if s == nil {
		return
	}
	select {
	case <-s.exited:
		f.wrong("%s ended by itself with %v:\n%s", r.name, s.state, s.log.tail(20))
	default:
		s.kill()
	}
}

// torment is the fate of one replica, until ctx ends. It leaves the replica healthy, or down.
func (f *faults) torment(ctx context.Context, r *replica, rng *rand.Rand) {
	kinds := []string{"kill", "stop"}
	if r.line != nil {
		kinds = append(kinds, "kill", "skew", string(cut), string(cut), string(lossy), string(lossy), string(lossy), string(lossy),
			string(lateness), string(lateness), string(slow), string(half), string(deaf), string(truncated))
	}
	if f.focus != fair {
		kinds = []string{string(f.focus)}
	}
	for {
		kind := kinds[rng.IntN(len(kinds))]
		gap, length := 200*time.Millisecond+draw(rng, 2*time.Second), draw(rng, 2*time.Second)
		if !pause(ctx, gap) {
			return
		}
		switch kind {
		case "kill":
			f.killAndStart(ctx, r, length)
		case "stop":
			f.stop(ctx, r, waits+300*time.Millisecond+length)
		case "skew":
			f.note(r, kind, "by %d h", f.shift(r, length))
		default:
			if weather(kind) == deaf {
				length += 9 * time.Second // longer than a server tries to learn what became of a write
			}
			f.note(r, kind, "for %v", length)
			r.line.set(weather(kind))
			pause(ctx, length)
			r.line.set(fair)
		}
	}
}

// killAndStart kills a replica; half of the time with writes under way that arrive when it is gone.
func (f *faults) killAndStart(ctx context.Context, r *replica, down time.Duration) {
	if r.line != nil && down%2 == 0 {
		r.line.set(lateness)
		pause(ctx, 200*time.Millisecond)
	}
	f.note(r, "kill", "for %v", down/2)
	f.kill(r)
	if r.line != nil {
		r.line.set(fair)
	}
	pause(ctx, down/2)
	_ = f.start(ctx, r) // fails where the run is over; then run starts it
}

// stop puts a replica to sleep, in the middle of whatever it does.
func (f *faults) stop(ctx context.Context, r *replica, length time.Duration) {
	s := r.current()
	if s == nil {
		return
	}
	f.note(r, "stop", "for %v", length)
	_ = s.process.Signal(syscall.SIGSTOP) // fails where it has ended, which kill will notice
	pause(ctx, length)
	_ = s.process.Signal(syscall.SIGCONT)
}

// shift sets the store's clock hours ahead or behind for one replica. Two replicas stay less than a
// day apart, the limit of storage rule 8.
func (f *faults) shift(r *replica, random time.Duration) (hours int) {
	hours = int(random/time.Millisecond)%21 - 10
	f.mu.Lock()
	defer f.mu.Unlock()
	r.skew = time.Duration(hours) * time.Hour
	r.line.shift(f.day + r.skew)
	return hours
}

// clock is the store's, as far as it is the same for all replicas.
func (f *faults) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.day)
}

// midnight moves the store's clock so that a new day begins for everybody in a second.
func (f *faults) midnight() {
	f.keys.Lock()
	defer f.keys.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now().Add(f.day)
	f.day += now.Truncate(24*time.Hour).Add(24*time.Hour).Sub(now) - time.Second
	for _, r := range f.replicas {
		r.line.shift(f.day + r.skew)
	}
}

// shake is the fate of the store, until ctx ends.
func (f *faults) shake(t *testing.T, ctx context.Context, rng *rand.Rand) {
	for n := 0; ; n++ {
		gap, down := 2*time.Second+draw(rng, 4*time.Second), draw(rng, time.Second)
		if !pause(ctx, gap) {
			return
		}
		switch {
		case f.store == nil || f.focus != fair:
		case n%2 == 0:
			f.note(nil, "midnight", "")
			f.midnight()
		default:
			f.note(nil, "restart", "for %v", down)
			f.store.Stop(t)
			pause(ctx, down)
			f.store.Restart(t)
		}
	}
}

// run lets everything go wrong until ctx ends, and puts it all right again.
func (f *faults) run(t *testing.T, ctx context.Context, seed uint64) {
	var fates sync.WaitGroup
	for i, r := range f.replicas {
		fates.Go(func() { f.torment(ctx, r, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	f.shake(t, ctx, rand.New(rand.NewPCG(seed, 1<<32)))
	fates.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, r := range f.replicas {
		if r.current() != nil {
			continue
		}
		if err := f.start(ctx, r); err != nil {
			f.wrong("%s does not start any more: %v", r.name, err)
		}
	}
}

// summary counts the faults.
func (f *faults) summary() string {
	f.mu.Lock()
	counts := maps.Clone(f.counts)
	f.mu.Unlock()
	for _, r := range f.replicas {
		if r.line == nil {
			continue
		}
		for w, n := range r.line.hits() {
			counts["requests "+string(w)] += n
		}
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(all, ", ")
}

func draw(rng *rand.Rand, n time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(n))).Truncate(time.Millisecond)
}

// pause waits, and reports false where ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
