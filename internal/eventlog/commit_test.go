package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Rule 2: of any number of writers exactly one wins a position; the losers decide again on what won.
func TestRule2OneWinner(t *testing.T) {
	b := faultblob.New()
	var replicas []*replica
	for range 3 {
		replicas = append(replicas, start(t, b.Store(true)))
	}
	for round := range 20 {
		thing := fmt.Sprint(round)
		claims := make([]*act, 12)
		var wg sync.WaitGroup
		for i := range claims {
			claims[i] = take(thing, fmt.Sprint(i))
			wg.Go(func() {
				if err := replicas[i%3].Submit(t.Context(), claims[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		winners := slices.DeleteFunc(claims, func(a *act) bool { return a.refused })
		if len(winners) != 1 {
			t.Fatalf("round %d: %d winners", round, len(winners))
		}
	}
	if got := len(checked(t, b)); got != 20 {
		t.Errorf("%d events in the log, want 20", got)
	}
}

// Rule 3: what comes while a commit is on its way goes out together in the next one, and each command is
// decided on the state that those before it make.
func TestRule3GroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(false))
		gate, writes := holdFirst(r)
		acts := []*act{say("first")}
		for i := range 50 {
			acts = append(acts, take("thing", fmt.Sprint(i)))
		}
		var wg sync.WaitGroup
		for _, a := range acts {
			wg.Go(func() { r.do(t, a) })
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		if len(writes.data) != 2 {
			t.Errorf("%d commits, want 2", len(writes.data))
		}
		equal(t, "events", actors(checked(t, b)), []string{"first", "0"})
		if acts[1].refused || !acts[2].refused {
			t.Error("the claims of one batch were not decided one after the other")
		}
	})
}

// Rule 3: a commit is at most 8 MiB or one command, and a command that can't be one is refused alone.
func TestRule3BatchBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(false))
		gate, writes := holdFirst(r)
		var wg sync.WaitGroup
		var tooLarge error
		for i, size := range []int{0, 3 << 20, 3 << 20, 3 << 20, 12 << 20, 16 << 20, 10} {
			wg.Go(func() {
				err := r.Submit(t.Context(), &act{kind: "said", who: fmt.Sprint(i), size: size})
				if size == 16<<20 {
					tooLarge = err
				} else if err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		must(t, tooLarge, ErrTooLarge)
		var sizes []string
		for _, w := range writes.data {
			sizes = append(sizes, fmt.Sprintf("%d MiB", len(w)>>20))
		}
		equal(t, "commits", sizes, []string{"0 MiB", "6 MiB", "3 MiB", "12 MiB", "0 MiB"})
		equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3", "4", "6"})
	})
}

// Rule 3: the queue is bounded, and a command past it is refused at once.
func TestRule3QueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(false))
		gate := make(chan struct{})
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			<-gate
			return faultblob.None
		})
		var wg sync.WaitGroup
		wg.Go(func() { r.do(t, say("in flight")) })
		synctest.Wait()
		for range maxQueue {
			wg.Go(func() { r.do(t, say("queued")) })
		}
		synctest.Wait()
		must(t, r.Submit(t.Context(), say("too many")), ErrOverloaded)
		close(gate)
		wg.Wait()
		if got := len(checked(t, b)); got != maxQueue+1 {
			t.Errorf("%d events, want %d", got, maxQueue+1)
		}
	})
}

// Rule 3: a commit on its way belongs to the committer: it lands though its request is gone. A command that
// still waits then is dropped and leaves no trace.
func TestRule3RequestsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(false))
		gate := make(chan struct{})
		r.store.OnCall(func(ctx context.Context, op faultblob.Op) faultblob.Fault {
			<-gate
			if ctx.Err() != nil {
				t.Error("the commit's context ended with a request")
			}
			return faultblob.None
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, who := range []string{"in flight", "waiting"} {
			wg.Go(func() {
				err := r.Submit(ctx, say(who))
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", who, err)
				}
			})
			synctest.Wait()
		}
		cancel()
		wg.Wait()
		close(gate)
		r.do(t, say("later"))
		equal(t, "events", actors(checked(t, b)), []string{"in flight", "later"})
	})
}

// Rule 4, the three results. Each fault befalls the first attempt of a commit; whatever it is, a command
// that was acknowledged is in the log exactly once, and one that was refused is not.
func TestRule4ThreeResults(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults []faultblob.Fault // of the first PUTs
		want   error
		events []string
	}{
		{"done", nil, nil, []string{"a"}},
		{"refused", []faultblob.Fault{faultblob.Refuse}, ErrUnavailable, nil},
		{"request lost", []faultblob.Fault{faultblob.Drop}, nil, []string{"a"}},
		{"answer lost", []faultblob.Fault{faultblob.Lose}, nil, []string{"a"}},
		{"repeated by the SDK", []faultblob.Fault{faultblob.Repeat}, nil, []string{"a"}},
		{"lost, then its answer", []faultblob.Fault{faultblob.Drop, faultblob.Drop, faultblob.Lose}, nil, []string{"a"}},
		{"repeated by the SDK, then refused", []faultblob.Fault{faultblob.Repeat, faultblob.Refuse}, nil, []string{"a"}},
		{"a refusal after an unknown attempt says nothing of that one", []faultblob.Fault{faultblob.Drop, faultblob.Refuse}, nil, []string{"a"}},
	} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/shared=%v", c.name, shared), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := faultblob.New()
					r := start(t, b.Store(shared))
					var writes puts
					r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
						if op.Kind != faultblob.Put {
							if len(writes.data) < len(c.faults) {
								return faultblob.Drop // so that each fault is met
							}
							return faultblob.None
						}
						if n := writes.add(op); n <= len(c.faults) {
							return c.faults[n-1]
						}
						return faultblob.None
					})
					must(t, r.Submit(t.Context(), say("a")), c.want)
					r.store.OnCall(nil)
					for _, w := range writes.data {
						if w != writes.data[0] {
							t.Error("an attempt sent other bytes than the one before, whose outcome was unknown")
						}
					}
					r.do(t, say("b"))
					equal(t, "events", actors(checked(t, b)), append(c.events, "b"))
				})
			})
		}
	}
}

// Rule 4: where it can't be found out what became of a commit, the answer says so, in time; and if it lands
// later it is in the log once, with what came after it behind.
func TestRule4GivingUpIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(true))
		first := true
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put && first {
				first = false
				return faultblob.Late
			}
			return faultblob.Drop
		})
		began := time.Now()
		must(t, r.Submit(t.Context(), say("a")), ErrOutcomeUnknown)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the answer took %s", took)
		}
		r.store.OnCall(nil)
		r.store.Release()
		r.do(t, say("b"))
		equal(t, "events", actors(checked(t, b)), []string{"a", "b"})
	})
}

// Rule 4: a late attempt and a rival. The commit whose attempt is open is never decided again, so if its
// late write wins after all, it has happened once.
func TestRule4LateWriteAgainstRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, rival := start(t, b.Store(true)), start(t, b.Store(true))
		attempts := 0
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind != faultblob.Put {
				return faultblob.None
			}
			if attempts++; attempts == 1 {
				return faultblob.Late
			}
			if attempts == 2 { // between the attempts the first one lands, and a rival builds on it
				r.store.Release()
				rival.do(t, say("rival"))
			}
			return faultblob.None
		})
		r.do(t, take("thing", "a"))
		must(t, r.Sync(t.Context()), nil)
		equal(t, "events", actors(checked(t, b)), []string{"a", "rival"})
	})
}

// Rule 4: a head check that meets the commit before its writer knows of it settles the outcome.
func TestRule4FollowerMeetsOwnCommitFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(true))
		gate := make(chan struct{})
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				b.Put(op.Key, op.Data) // done at the store; the answer is held back
				<-gate
				return faultblob.Drop
			}
			return faultblob.None
		})
		done := make(chan error, 1)
		go func() { done <- r.Submit(t.Context(), take("thing", "a")) }()
		synctest.Wait()
		must(t, r.Sync(t.Context()), nil)
		if r.Head() != 1 {
			t.Fatalf("head %d after the check", r.Head())
		}
		close(gate)
		must(t, <-done, nil)
		equal(t, "events", actors(checked(t, b)), []string{"a"})
	})
}

// Rule 4: a store that is down answers every writer within ten seconds, those that queued behind the first
// too; nothing they were refused appears later.
func TestUnavailableStoreShedsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(true))
		r.store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return faultblob.Drop })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				began := time.Now()
				err := r.Submit(t.Context(), say(fmt.Sprint(i)))
				if err == nil || time.Since(began) > 10*time.Second {
					t.Errorf("%d: %v after %s", i, err, time.Since(began))
				}
			})
		}
		wg.Wait()
		r.store.OnCall(nil)
		r.do(t, say("after"))
		equal(t, "events", actors(checked(t, b)), []string{"after"})
	})
}

// The directory has one writer: another's commit at our position ends the process, and so does a failed
// fsync; in neither case anything is answered.
func TestDirectoryFatal(t *testing.T) {
	for name, fault := range map[string]func(b *faultblob.Bucket, op faultblob.Op) faultblob.Fault{
		"fsync failed": func(*faultblob.Bucket, faultblob.Op) faultblob.Fault { return faultblob.Die },
		"second writer": func(b *faultblob.Bucket, op faultblob.Op) faultblob.Fault {
			b.Put(op.Key, []byte(strings.Replace(string(op.Data), `{"event_id":"`, `{"event_id":"f`, 1)))
			return faultblob.None
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := faultblob.New()
				r := start(t, b.Store(false))
				r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
					if op.Kind == faultblob.Put {
						return fault(b, op)
					}
					return faultblob.None
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				must(t, r.Submit(ctx, say("a")), context.DeadlineExceeded)
				if err := <-r.fatal; err == nil {
					t.Error("fatal without a reason")
				}
				must(t, r.Submit(t.Context(), say("b")), ErrClosed)
				must(t, r.Sync(t.Context()), ErrClosed)
			})
		})
	}
}

// A replica that loses every race tells its clients to come back instead of trying for ever.
func TestLosingEveryRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, rival := start(t, b.Store(true)), start(t, b.Store(true))
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				time.Sleep(100 * time.Millisecond)
				rival.do(t, say("rival"))
			}
			return faultblob.None
		})
		began := time.Now()
		behind := make(chan error)
		go func() {
			time.Sleep(time.Second)
			behind <- r.Submit(t.Context(), say("a"))
		}()
		must(t, r.Submit(t.Context(), say("a")), ErrOverloaded)
		must(t, <-behind, ErrOverloaded)
		if took := time.Since(began); took < loseFor || took > loseFor+time.Second {
			t.Errorf("it tried for %v", took)
		}
		if got := actors(checked(t, b)); slices.Contains(got, "a") || len(got) != 50 {
			t.Errorf("log: %d %v", len(got), got)
		}
	})
}

// Close lets what is queued finish and takes nothing new.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(false))
		gate := make(chan struct{})
		r.store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { <-gate; return faultblob.None })
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() { r.do(t, say(fmt.Sprint(i))) })
			synctest.Wait()
		}
		closed := make(chan error, 1)
		go func() { closed <- r.Close(t.Context()) }()
		synctest.Wait()
		must(t, r.Submit(t.Context(), say("late")), ErrClosed)
		close(gate)
		must(t, <-closed, nil)
		wg.Wait()
		equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2"})
	})
}

// Close does not wait longer than it may for a store that hangs.
func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(true))
		r.store.OnCall(func(ctx context.Context, _ faultblob.Op) faultblob.Fault { <-ctx.Done(); return faultblob.Drop })
		result := make(chan error, 1)
		go func() { result <- r.Submit(t.Context(), say("a")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		must(t, r.Close(ctx), context.DeadlineExceeded)
		must(t, <-result, ErrOutcomeUnknown)
	})
}
