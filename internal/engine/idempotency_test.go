package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// keyedRequest is a new request with a key.
func keyedRequest(intent, key string) *exchange.Create {
	cmd := request(intent)
	cmd.Once = exchange.NewOnce(key, "POST", "/requests", cmd.Request)
	return cmd
}

// keyed is a PATCH with a key.
func keyed(ref, status, key string) *exchange.Update {
	return &exchange.Update{Ref: ref, Status: status, Once: exchange.NewOnce(key, "PATCH", ref, []byte(status))}
}

// created counts the requests in the log of home.
func created(b *faultblob.Bucket) int {
	return command{exchange: "home", event: exchange.ThreadCreated}.count(b)
}

// notes counts the answers in it.
func notes(b *faultblob.Bucket) int {
	return command{exchange: "home", event: exchange.NoteAnswered}.count(b)
}

func (c command) count(b *faultblob.Bucket) int {
	n := 0
	for _, key := range b.Keys(eventlog.Prefix(c.exchange)) {
		data, _ := b.Get(key)
		n += strings.Count(string(data), `"event_type":"`+c.event+`"`)
	}
	return n
}

// hangUp makes the client of the next commit through store go away when it is stored, before it hears of it.
func hangUp(t *testing.T, store *faultblob.Store) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	store.OnAnswer(func(_ context.Context, op faultblob.Op) {
		if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, eventlog.Prefix("home")) {
			store.OnAnswer(nil)
			cancel()
			time.Sleep(time.Nanosecond) // until it has gone: the answer would be there as well
		}
	})
	return ctx
}

// Ensure that a command whose answer was lost between the commit and the client is answered at another replica, after
// a restart with and without a snapshot, as it was done: once. A day later the key is another one.
func TestLostAnswersAreGivenAgain(t *testing.T) {
	for _, snapshots := range []int64{1, 1 << 40} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			store := bucket.Store(true)
			o := Options{Fatal: func(err error) { t.Error("fatal:", err) }, SnapshotAfter: snapshots}
			a, b := launchWith(t, store, o), launchWith(t, bucket.Store(true), o)
			key, c := enroll(t, a, "home", "agent")
			err := a.Create(hangUp(t, store), c, keyedRequest("once", "lost"))
			wantCode(t, err, exchange.CodeOutcomeUnknown)
			var ref string
			again := func(e *Engine, where string) {
				t.Helper()
				cmd := keyedRequest("once", "lost")
				if err := e.Create(t.Context(), letIn(t, e, "home", key), cmd); err != nil || cmd.Result.Status != exchange.StatusPending {
					t.Fatal(where, cmd.Result, err)
				}
				if ref == "" {
					ref = cmd.Result.Ref
				}
				if _, err := e.Thread(t.Context(), c, ref); cmd.Result.Ref != ref || err != nil {
					t.Errorf("%s: %s, then %s: %v", where, ref, cmd.Result.Ref, err)
				}
				wantCode(t, e.Create(t.Context(), c, keyedRequest("another", "lost")), exchange.CodeKeyReused)
				if n, answers := created(bucket), notes(bucket); n != 1 || answers != 1 {
					t.Errorf("%s: created %d times, answered %d times", where, n, answers)
				}
			}
			again(b, "at another replica")
			again(a, "at the same replica")
			time.Sleep(2 * upkeepEvery) // long enough for a snapshot
			shut(t, a)
			shut(t, b)
			if taken := len(bucket.Keys(eventlog.SnapshotsPrefix("home"))) > 0; taken != (snapshots == 1) {
				t.Fatalf("a snapshot was taken: %v", taken)
			}
			e := launchWith(t, bucket.Store(true), o)
			again(e, "after a restart")
			time.Sleep(exchange.KeyLife)
			cmd := keyedRequest("once", "lost")
			if err := e.Create(t.Context(), c, cmd); err != nil || cmd.Result.Ref == ref || created(bucket) != 2 {
				t.Error("a day later:", cmd.Result, err)
			}
			checkAll(t, bucket, "in the end")
		})
	}
}

// Ensure that a refusal, and a 200 that changed nothing, are given again with their sentence although things have
// changed, and cost no second event.
func TestRefusalsAreGivenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		_, agent := enroll(t, a, "home", "agent")
		_, phone := enroll(t, a, "home", "phone")
		_, tablet := enroll(t, a, "home", "tablet")
		ref := post(t, a, agent, "door")
		if err := a.Update(t.Context(), phone, keyed(ref, exchange.StatusClaimed, "claim")); err != nil {
			t.Fatal(err)
		}
		refused := a.Update(t.Context(), tablet, keyed(ref, exchange.StatusClaimed, "late"))
		wantCode(t, refused, exchange.CodeAlreadyClaimed)
		if err := b.Update(t.Context(), phone, keyed(ref, exchange.StatusClaimed, "twice")); err != nil {
			t.Fatal(err)
		}
		nowhere := b.Update(t.Context(), phone, keyed("2026-02-01-NONE", exchange.StatusClaimed, "nowhere"))
		wantCode(t, nowhere, exchange.CodeThreadNotFound)
		if n := notes(bucket); n != 4 {
			t.Fatalf("%d answers are in the log", n)
		}
		if err := b.Update(t.Context(), phone, &exchange.Update{Ref: ref, Status: exchange.StatusPending}); err != nil {
			t.Fatal(err)
		}
		before := len(bucket.Keys(eventlog.Prefix("home")))
		for _, e := range []*Engine{a, b, launch(t, bucket.Store(true))} {
			for _, x := range []struct {
				c         Caller
				ref, key  string
				wantError string
			}{
				{phone, ref, "claim", "<nil>"}, {phone, ref, "twice", "<nil>"},
				{tablet, ref, "late", refused.Error()}, {phone, "2026-02-01-NONE", "nowhere", nowhere.Error()},
			} {
				cmd := keyed(x.ref, exchange.StatusClaimed, x.key)
				err := e.Update(t.Context(), x.c, cmd)
				if fmt.Sprint(err) != x.wantError || err == nil && cmd.Result != (exchange.Result{Ref: ref, Status: exchange.StatusClaimed}) {
					t.Errorf("%s: %v %v, want %s", x.key, cmd.Result, err, x.wantError)
				}
			}
			if thread, err := e.Thread(t.Context(), agent, ref); err != nil || thread.Status != exchange.StatusPending {
				t.Error(thread, err)
			}
		}
		if now := len(bucket.Keys(eventlog.Prefix("home"))); now != before {
			t.Errorf("%d commits became %d", before, now)
		}
	})
}

// Ensure that the same keyed command at several replicas at the same time is done once, and that whoever is answered is
// answered the same.
func TestRacingRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		engines := []*Engine{launch(t, bucket.Store(true)), launch(t, bucket.Store(true)), launch(t, bucket.Store(true))}
		_, agent := enroll(t, engines[0], "home", "agent")
		for round := range 10 {
			refs := make([]string, 12)
			var calls sync.WaitGroup
			for i := range refs {
				calls.Go(func() {
					cmd := keyedRequest("one of many", fmt.Sprint("key ", round))
					if err := engines[i%3].Create(t.Context(), agent, cmd); err != nil {
						t.Error(err)
					}
					refs[i] = cmd.Result.Ref
				})
			}
			calls.Wait()
			if all := strings.Join(refs, ""); all != strings.Repeat(refs[0], len(refs)) {
				t.Fatalf("answered %v", refs)
			}
		}
		if n, answers := created(bucket), notes(bucket); n != 10 || answers != 10 {
			t.Errorf("created %d times, answered %d times", n, answers)
		}
	})
}

// Ensure that an answer is given again from the log only: a repetition that meets a commit on its way waits for what
// becomes of it, and where that is never known (503 outcome_unknown), the next one finds it, or does it, once.
func TestRepetitionAfterAnUnknownOutcome(t *testing.T) {
	for _, fault := range []faultblob.Fault{faultblob.Late, faultblob.Drop} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			store := bucket.Store(true)
			a, b := launch(t, store), launch(t, bucket.Store(true))
			_, agent := enroll(t, a, "home", "agent")
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Put {
					return fault
				}
				return faultblob.None
			})
			answers := make(chan error, 2)
			go func() { answers <- a.Create(t.Context(), agent, keyedRequest("once", "k")) }()
			synctest.Wait() // its commit is on its way
			go func() { answers <- a.Create(t.Context(), agent, keyedRequest("once", "k")) }()
			time.Sleep(time.Second)
			select {
			case err := <-answers:
				t.Fatal("answered before anything was stored:", err)
			default:
			}
			for range 2 {
				if err := <-answers; codeOf(err) != exchange.CodeOutcomeUnknown && codeOf(err) != exchange.CodeUnavailable {
					t.Fatal("answered although nothing was stored:", err)
				}
			}
			store.OnCall(nil)
			store.Release()
			var refs [2]string
			for i, e := range []*Engine{b, a} {
				cmd := keyedRequest("once", "k")
				if err := e.Create(t.Context(), agent, cmd); err != nil {
					t.Fatal(err)
				}
				refs[i] = cmd.Result.Ref
			}
			if n := created(bucket); n != 1 || refs[0] != refs[1] {
				t.Errorf("fault %d: created %d times, as %v", fault, n, refs)
			}
			checkAll(t, bucket, "in the end")
		})
	}
}

// Ensure that an answer that another replica has given is not missed: a replica that has not heard of it yet finds it,
// since its own commit comes too late for the position.
func TestRepetitionAtAReplicaThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, agent := enroll(t, a, "home", "agent")
		letIn(t, b, "home", key) // b is at the head now, and asks nobody before it writes
		first, again := keyedRequest("once", "k"), keyedRequest("once", "k")
		if err := a.Create(t.Context(), agent, first); err != nil {
			t.Fatal(err)
		}
		if err := b.Create(t.Context(), agent, again); err != nil || again.Result != first.Result {
			t.Fatal(first.Result, again.Result, err)
		}
		ref := first.Result.Ref
		if err := a.Update(t.Context(), agent, keyed(ref, exchange.StatusCancelled, "end")); err != nil {
			t.Fatal(err)
		}
		wantCode(t, b.Update(t.Context(), agent, keyed(ref, exchange.StatusHeld, "end")), exchange.CodeKeyReused)
		if n := created(bucket); n != 1 {
			t.Errorf("created %d times", n)
		}
	})
}

// Ensure that the expiry of a thread, the refusal that rests on it and its note are one commit.
func TestKeyedRefusalOfAnExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, agent := enroll(t, e, "home", "agent")
		ref := urgent(t, e, agent)
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put { // the exchange's own expiry waits, and joins
				<-gate
			}
			return faultblob.None
		})
		go func() { _ = e.Create(t.Context(), agent, request("holds the log up")) }()
		time.Sleep(time.Minute)
		answer := make(chan error, 1)
		go func() { answer <- e.Update(t.Context(), agent, keyed(ref, exchange.StatusClaimed, "k")) }()
		synctest.Wait()
		close(gate)
		wantCode(t, <-answer, exchange.CodeThreadClosed)
		synctest.Wait()
		together := 0
		for _, key := range bucket.Keys(eventlog.Prefix("home")) {
			data, _ := bucket.Get(key)
			if strings.Contains(string(data), expiredEvent) != strings.Contains(string(data), exchange.NoteAnswered) {
				t.Errorf("the expiry and the note are apart: %s", data)
			} else if strings.Contains(string(data), expiredEvent) {
				together++
			}
		}
		if together != 1 || expiries(bucket) != 1 {
			t.Errorf("%d commits have both, %d expiries", together, expiries(bucket))
		}
	})
}

// Ensure that an answer in the log wakes nobody and moves no thread.
func TestAnswersWakeNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "door")
		head, err := e.Wait(t.Context(), agent, 0)
		if err != nil {
			t.Fatal(err)
		}
		woken := make(chan error, 1)
		go func() {
			_, err := e.Wait(t.Context(), agent, head)
			woken <- err
		}()
		before, err := e.Thread(t.Context(), agent, ref)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := e.Update(t.Context(), agent, keyed(ref, "", "nothing")); err != nil {
			t.Fatal(err)
		}
		wantCode(t, e.Update(t.Context(), agent, keyed("2026-02-01-NONE", "", "nowhere")), exchange.CodeThreadNotFound)
		synctest.Wait()
		select {
		case err := <-woken:
			t.Fatal("a note woke a waiter:", err)
		default:
		}
		if after, err := e.Thread(t.Context(), agent, ref); err != nil || after.Thread != before.Thread {
			t.Error(before, after, err)
		}
		post(t, e, agent, "window")
		if err := <-woken; err != nil {
			t.Error(err)
		}
	})
}

// keyedRegistration is one of phone.
func keyedRegistration(settings string) Registration {
	return Registration{
		ExecutorID: "phone", Settings: settingOf(settings),
		Once: exchange.NewOnce("a random key of 22 or more", "POST", "/register", []byte(settings)),
	}
}

// Ensure that a registration whose answer was lost can be made again at another replica: the new key opens, the first
// does not, and the settings are there. Once the executor has done something, it is refused.
func TestLostRegistrationIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(true)
		a, b := launch(t, store), launch(t, bucket.Store(true))
		enroll(t, a, "home", "agent")
		first, err := a.Register(t.Context(), "home", keyedRegistration("mine"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Register(t.Context(), "home", keyedRegistration("mine"))
		if err != nil || first == second {
			t.Fatal(first, second, err)
		}
		for _, e := range []*Engine{a, b} {
			letIn(t, e, "home", second)
			_, err := e.Authenticate(t.Context(), "home", first)
			wantCode(t, err, exchange.CodeUnauthorized)
			_, err = e.Register(t.Context(), "home", keyedRegistration("others"))
			wantCode(t, err, exchange.CodeKeyReused)
		}
		c := letIn(t, a, "home", second)
		if profile, _ := bucket.Get("executors/exchange=home/phone.json"); !strings.Contains(string(profile), "of mine") || !strings.Contains(string(profile), c.KeyHash) {
			t.Errorf("the profile is %s", profile)
		}
		post(t, a, c, "door")
		for _, e := range []*Engine{a, b, launch(t, bucket.Store(true))} {
			_, err := e.Register(t.Context(), "home", keyedRegistration("mine"))
			wantCode(t, err, exchange.CodeAlreadyRegistered)
			letIn(t, e, "home", second)
		}
		checkAll(t, bucket, "in the end")
	})
}

// Ensure that a registration that comes late to its profile, after it was made again elsewhere and the client went on
// from there, leaves the profile as that client has made it.
func TestLateRegistrationLeavesTheProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(true)
		a, b := launch(t, store), launch(t, bucket.Store(true))
		enroll(t, a, "home", "agent")
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, "executors/") {
				<-gate
			}
			return faultblob.None
		})
		late := make(chan error, 1)
		go func() {
			_, err := a.Register(t.Context(), "home", keyedRegistration("mine"))
			late <- err
		}()
		synctest.Wait() // it is committed, and its profile on its way
		key, err := b.Register(t.Context(), "home", keyedRegistration("mine"))
		if err != nil {
			t.Fatal(err)
		}
		c := letIn(t, b, "home", key)
		if err := b.UpdateProfile(t.Context(), c, "phone", ProfileUpdate{Settings: map[string]json.RawMessage{"setting": []byte(`"changed"`)}}); err != nil {
			t.Fatal(err)
		}
		close(gate)
		if err := <-late; err != nil {
			t.Error("the late registration:", err)
		}
		if profile, _ := bucket.Get("executors/exchange=home/phone.json"); !strings.Contains(string(profile), `"changed"`) || !strings.Contains(string(profile), c.KeyHash) {
			t.Errorf("the profile is %s", profile)
		}
		letIn(t, a, "home", key)
		if _, err := a.Thread(t.Context(), c, "2026-02-01-NONE"); !errors.As(err, new(*exchange.Error)) {
			t.Error(err)
		}
	})
}
