package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that of claims racing through two replicas exactly one wins, each time, and everyone else is
// told who holds the thread.
func TestRacingClaimsHaveOneWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		_, agent := enroll(t, a, "home", "agent")
		var callers []Caller
		for i := range 16 {
			key, _ := enroll(t, a, "home", fmt.Sprint("phone-", i))
			callers = append(callers, letIn(t, b, "home", key))
		}
		for range 10 {
			ref := post(t, a, agent, "who is first?")
			var won atomic.Int32
			var calls sync.WaitGroup
			for i, c := range callers {
				calls.Go(func() {
					err := []*Engine{a, b}[i%2].Update(t.Context(), c, &exchange.Update{Ref: ref, Status: "claimed"})
					if err == nil {
						won.Add(1)
						return
					}
					var refusal *exchange.Error
					if !errors.As(err, &refusal) || refusal.Code != exchange.CodeAlreadyClaimed {
						t.Error("claim:", err)
					}
				})
			}
			calls.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d claims of %s won", won.Load(), ref)
			}
		}
		if broken := bucket.Broken(); broken != nil {
			t.Fatal(broken)
		}
	})
}

// Ensure that what one replica has answered is seen at the other by the next call, whichever it is.
func TestReadsSeeWhatOthersWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, atA := enroll(t, a, "home", "agent")
		atB := letIn(t, b, "home", key) // the exchange is younger than b's listing
		key2, _ := enroll(t, a, "home", "phone")
		letIn(t, b, "home", key2) // the key is younger than b's copy of the exchange
		for i := range 20 {
			ref := post(t, a, atA, fmt.Sprint("intent ", i))
			if thread, err := b.Thread(t.Context(), atB, ref); err != nil || thread.Intent != fmt.Sprint("intent ", i) {
				t.Fatal(thread, err)
			}
			list, err := b.Threads(t.Context(), atB, exchange.Filter{})
			if err != nil || len(list) != i+1 || list[0].Ref != ref {
				t.Fatal(len(list), err)
			}
		}
		name := "Agent Smith"
		if err := b.UpdateProfile(t.Context(), atB, "agent", ProfileUpdate{DisplayName: &name}); err != nil {
			t.Fatal(err)
		}
		if all, err := a.Executors(t.Context(), atA); err != nil || len(all) != 2 || all[0].DisplayName != name {
			t.Fatal(all, err)
		}
	})
}

// Ensure that two replicas which create one exchange at the same time share its log, and that of two
// registrations of one id one wins.
func TestRacingRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		engines := []*Engine{launch(t, bucket.Store(true)), launch(t, bucket.Store(true)), launch(t, bucket.Store(true))}
		for i := range 10 {
			home := fmt.Sprint("home-", i)
			keys := make([]string, 9)
			var calls sync.WaitGroup
			for n := range keys {
				calls.Go(func() {
					key, err := engines[n%3].Register(t.Context(), home, Registration{ExecutorID: "phone"})
					if err != nil {
						var refusal *exchange.Error
						if !errors.As(err, &refusal) || refusal.Code != exchange.CodeAlreadyRegistered {
							t.Error("register:", err)
						}
					}
					keys[n] = key
				})
			}
			calls.Wait()
			won := strings.Join(keys, "")
			for _, e := range engines {
				if c := letIn(t, e, home, won); c.Executor != "phone" { // fails on none and on two keys in one
					t.Fatal(c)
				}
			}
			profile, _ := bucket.Get("executors/exchange=" + home + "/phone.json")
			if c := letIn(t, engines[0], home, won); !strings.Contains(string(profile), c.KeyHash) {
				t.Fatalf("the profile is not the winner's: %s", profile)
			}
		}
	})
}

// Ensure that an unknown exchange costs a store that nobody else writes to nothing at all, and a shared
// one a bounded number of look-ups at a time; and that none of them stays in memory.
func TestUnknownExchangesLeaveNothing(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := faultblob.New().Store(shared)
			e := launch(t, store)
			key, _ := enroll(t, e, "home", "agent")
			var busy, most, calls atomic.Int32
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				calls.Add(1)
				if n := busy.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(10 * time.Millisecond) // the network, in the bubble's time
				busy.Add(-1)
				return faultblob.None
			})
			var flood sync.WaitGroup
			for i := range 500 {
				flood.Go(func() {
					unknown := fmt.Sprintf("mess_x%d_00112233445566778899aabbccddeeff", i%400)
					_, err := e.Authenticate(t.Context(), "home", unknown)
					wantCode(t, err, exchange.CodeUnauthorized)
				})
			}
			flood.Wait()
			switch {
			case !shared && calls.Load() != 0:
				t.Fatalf("%d calls of the store", calls.Load())
			case shared && most.Load() > lookupSlots:
				t.Fatalf("%d look-ups at once", most.Load())
			}
			synctest.Wait()
			e.mu.Lock()
			if len(e.openings) != 1 || len(e.known) != 1 {
				t.Fatalf("%d openings and %d known exchanges stay", len(e.openings), len(e.known))
			}
			e.mu.Unlock()
			store.OnCall(nil)
			letIn(t, e, "home", key)
		})
	}
}

// Ensure that ids which new exchanges can't have are not even looked up: no replica can have made them.
func TestImpossibleExchangesAreNotLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(true)
		e := launch(t, store)
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			t.Error("call of the store:", op.Kind, op.Key)
			return faultblob.None
		})
		for _, id := range []string{"..", "a b", "-schema", "null", strings.Repeat("x", 65), "a=b", "é"} {
			_, err := e.Authenticate(t.Context(), id, "mess_"+id+"_00112233445566778899aabbccddeeff")
			wantCode(t, err, exchange.CodeUnauthorized)
		}
		for _, key := range []string{"", "mess_", "mess_home", "Bearer x", strings.Repeat("a", 1<<20)} {
			_, err := e.Authenticate(t.Context(), "home", key)
			wantCode(t, err, exchange.CodeUnauthorized)
		}
	})
}

// Ensure that a look-up that began before an exchange was created at another replica does not refuse a
// caller who came after that (storage rule 11).
func TestLookupIsNotOlderThanItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		slow := bucket.Store(true)
		a, b := launch(t, bucket.Store(true)), launch(t, slow)
		gate := make(chan struct{})
		slow.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.List && strings.HasPrefix(op.Key, "executors/") { // the last question of b's look-up
				<-gate
			}
			return faultblob.None
		})
		early := make(chan error)
		go func() {
			_, err := b.Authenticate(t.Context(), "home", "mess_home_00112233445566778899aabbccddeeff")
			early <- err
		}()
		synctest.Wait()
		key, _ := enroll(t, a, "home", "agent")
		late := make(chan error)
		go func() {
			_, err := b.Authenticate(t.Context(), "home", key)
			late <- err
		}()
		synctest.Wait()
		bucket.Remove("executors/exchange=home/agent.json") // it was asked before this was there
		close(gate)
		wantCode(t, <-early, exchange.CodeUnauthorized)
		if err := <-late; err != nil {
			t.Fatal(err)
		}
	})
}

// Ensure that a key of another exchange is told from no key, whether or not the exchange asked for exists.
func TestKeyOfAnotherExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, _ := enroll(t, a, "my_home", "agent")
		enroll(t, a, "office", "boss")
		for _, asked := range []string{"office", "nowhere", ""} {
			_, err := b.Authenticate(t.Context(), asked, key)
			wantCode(t, err, exchange.CodeWrongExchange)
			_, err = b.Authenticate(t.Context(), asked, key[:len(key)-1]+"x")
			wantCode(t, err, exchange.CodeUnauthorized)
		}
		if c := letIn(t, b, "my_home", key); c.Exchange != "my_home" || c.Executor != "agent" {
			t.Fatal(c)
		}
	})
}

// Ensure that a caller whose key does not hold (any more) neither reads nor writes.
func TestCallsProveTheKeyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(true))
		_, c := enroll(t, e, "home", "agent")
		ref := post(t, e, c, "x")
		revoked, stranger := c, c
		revoked.KeyHash = "bm90IHRoZSBoYXNo"
		stranger.Exchange = "nowhere"
		for _, c := range []Caller{revoked, stranger} {
			_, err := e.Thread(t.Context(), c, ref)
			wantCode(t, err, exchange.CodeUnauthorized)
			_, err = e.Threads(t.Context(), c, exchange.Filter{})
			wantCode(t, err, exchange.CodeUnauthorized)
			_, err = e.Executors(t.Context(), c)
			wantCode(t, err, exchange.CodeUnauthorized)
			_, err = e.Wait(t.Context(), c, 0)
			wantCode(t, err, exchange.CodeUnauthorized)
			wantCode(t, e.Create(t.Context(), c, request("y")), exchange.CodeUnauthorized)
			wantCode(t, e.Update(t.Context(), c, &exchange.Update{Ref: ref, Status: "claimed"}), exchange.CodeUnauthorized)
			wantCode(t, e.UpdateProfile(t.Context(), c, "agent", ProfileUpdate{}), exchange.CodeUnauthorized)
			wantCode(t, e.UpdateProfile(t.Context(), c, "other", ProfileUpdate{}), exchange.CodeNotYourProfile)
		}
		_, err := e.Thread(t.Context(), c, "../../etc/passwd")
		wantCode(t, err, exchange.CodeThreadNotFound)
	})
}

// revoke gives an executor another key, as a rotation does.
func revoke(t *testing.T, e *Engine, exchangeID, executor string) {
	t.Helper()
	x, leave, err := e.find(t.Context(), exchangeID, forever)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if err := x.log.Submit(t.Context(), rotation(executor)); err != nil {
		t.Fatal(err)
	}
}

type rotation string

func (r rotation) Decide(eventlog.Tentative, time.Time) []eventlog.Draft {
	return []eventlog.Draft{{Type: exchange.ExecutorUpdated, Actor: string(r), Payload: []byte(`{"api_key_hash":"b3RoZXI="}`)}}
}

// Ensure that a key revoked at one replica is dead at the other with the commit: to those let in
// before, to those who wait, and to those who use it for another exchange.
func TestRevokedKeyIsDeadEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, c := enroll(t, a, "home", "agent")
		letIn(t, b, "home", key)
		woken := make(chan error)
		go func() {
			_, err := b.Wait(t.Context(), c, 1)
			woken <- err
		}()
		synctest.Wait()
		revoke(t, a, "home", "agent")
		_, err := b.Authenticate(t.Context(), "office", key)
		wantCode(t, err, exchange.CodeUnauthorized)
		wantCode(t, <-woken, exchange.CodeUnauthorized)
		revoke(t, a, "home", "agent") // once more, for b to be behind again
		_, err = b.Threads(t.Context(), c, exchange.Filter{})
		wantCode(t, err, exchange.CodeUnauthorized)
		wantCode(t, b.Create(t.Context(), c, request("x")), exchange.CodeUnauthorized)
		_, err = b.Authenticate(t.Context(), "home", key)
		wantCode(t, err, exchange.CodeUnauthorized)
	})
}

// Ensure that a call does not wait for ever behind a flood of unknown exchanges, and is not taken for
// an unknown key either; nor does one of the flood, whose look-up goes on without it.
func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(true)
		e := launch(t, store)
		key, _ := enroll(t, e, "home", "agent")
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.Contains(op.Key, "/1970/") {
				<-gate
			}
			return faultblob.None
		})
		var flood sync.WaitGroup
		for i := range lookupSlots {
			flood.Go(func() {
				_, err := e.Authenticate(t.Context(), "home", fmt.Sprintf("mess_x%d_00112233445566778899aabbccddeeff", i))
				wantCode(t, err, exchange.CodeUnavailable)
			})
		}
		synctest.Wait()
		_, err := e.Authenticate(t.Context(), "home", "mess_y_00112233445566778899aabbccddeeff")
		wantCode(t, err, exchange.CodeOverloaded)
		letIn(t, e, "home", key) // known ones don't wait
		flood.Wait()
		close(gate)
		synctest.Wait()
		_, err = e.Authenticate(t.Context(), "home", "mess_y_00112233445566778899aabbccddeeff")
		wantCode(t, err, exchange.CodeUnauthorized)
	})
}
