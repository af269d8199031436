package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

var _ Store = (*faultblob.Store)(nil)

// launch starts an engine on a store and closes it with the test.
func launch(t *testing.T, store Store) *Engine {
	t.Helper()
	return launchWith(t, store, Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
}

func launchWith(t *testing.T, store Store, o Options) *Engine {
	t.Helper()
	e := New(store, o)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal("start:", err)
	}
	t.Cleanup(func() { shut(t, e) })
	return e
}

func shut(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error("close:", err)
	}
}

// enroll registers an executor and lets it in with its key.
func enroll(t *testing.T, e *Engine, exchangeID, id string) (key string, c Caller) {
	t.Helper()
	key, err := e.Register(t.Context(), exchangeID, Registration{ExecutorID: id, Capabilities: []string{"photo:capture"}})
	if err != nil {
		t.Fatalf("register %s: %v", id, err)
	}
	return key, letIn(t, e, exchangeID, key)
}

func letIn(t *testing.T, e *Engine, exchangeID, key string) Caller {
	t.Helper()
	c, err := e.Authenticate(t.Context(), exchangeID, key)
	if err != nil {
		t.Fatal("authenticate:", err)
	}
	return c
}

// post creates a request and returns its ref.
func post(t *testing.T, e *Engine, c Caller, intent string) string {
	t.Helper()
	cmd := request(intent)
	if err := e.Create(t.Context(), c, cmd); err != nil {
		t.Fatal("create:", err)
	}
	return cmd.Result.Ref
}

func request(intent string) *exchange.Create {
	body, _ := json.Marshal(map[string]string{"intent": intent})
	return &exchange.Create{Intent: intent, Request: body}
}

// wantCode fails the test where err is not a refusal with that code.
func wantCode(t *testing.T, err error, want exchange.Code) {
	t.Helper()
	var refusal *exchange.Error
	if !errors.As(err, &refusal) || refusal.Code != want {
		t.Errorf("got %v, want a refusal with code %s", err, want)
	}
}

// logBuffer collects what an engine logs.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// Ensure that the walk of the contract reads back as it says, before and after a restart.
func TestWalkSurvivesRestart(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launch(t, bucket.Store(shared))
			_, agent := enroll(t, e, "home", "claude-agent")
			key, phone := enroll(t, e, "home", "my-phone")
			ref := post(t, e, agent, "Check if the garage door is closed")
			claim := &exchange.Update{Ref: ref, Status: "claimed"}
			if err := e.Update(t.Context(), phone, claim); err != nil || claim.Result.Status != "claimed" {
				t.Fatal("claim:", claim.Result, err)
			}
			done := &exchange.Update{Ref: ref, Status: "completed", Mess: []json.RawMessage{json.RawMessage(`{"response":{"content":["Garage is closed"]}}`)}}
			if err := e.Update(t.Context(), phone, done); err != nil {
				t.Fatal("complete:", err)
			}
			before := describe(t, e, agent)
			for _, want := range []string{ref + " completed by my-phone: ", `[{"status":{"re":"` + ref + `","code":"completed"}},{"response":{"content":["Garage is closed"]}}]`} {
				if !strings.Contains(before, want) {
					t.Fatalf("%q is missing in\n%s", want, before)
				}
			}
			shut(t, e)
			e = launch(t, bucket.Store(shared))
			if after := describe(t, e, letIn(t, e, "home", key)); after != before {
				t.Fatalf("before the restart:\n%s\nafter it:\n%s", before, after)
			}
			if broken := bucket.Broken(); broken != nil {
				t.Fatal(broken)
			}
		})
	}
}

// describe renders all that a caller can read, in lines.
func describe(t *testing.T, e *Engine, c Caller) string {
	t.Helper()
	var b strings.Builder
	threads, err := e.Threads(t.Context(), c, exchange.Filter{})
	if err != nil {
		t.Fatal("list:", err)
	}
	for _, listed := range threads {
		th, err := e.Thread(t.Context(), c, listed.Ref)
		if err != nil {
			t.Fatal("read:", err)
		}
		fmt.Fprintf(&b, "%s %s by %s: %s, %s of %s, %s to %s\n", th.Ref, th.Status, th.Executor, th.Intent, th.Priority, th.Requestor, clock(th.CreatedAt), clock(th.UpdatedAt))
		for _, m := range th.Messages {
			fmt.Fprintf(&b, "  %s %s %s\n", clock(m.TS), m.From, m.Mess)
		}
	}
	executors, err := e.Executors(t.Context(), c)
	if err != nil {
		t.Fatal("executors:", err)
	}
	for _, x := range executors {
		fmt.Fprintf(&b, "%s %q %q since %s\n", x.ID, x.DisplayName, x.Capabilities, clock(x.CreatedAt))
	}
	return b.String()
}

func clock(t time.Time) string { return t.Format("01-02T15:04:05.000") }

// Ensure that Close answers what is queued, and that nothing is taken after it.
func TestCloseFinishesWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				<-gate
			}
			return faultblob.None
		})
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() { post(t, e, c, fmt.Sprint("intent ", i)) })
		}
		synctest.Wait() // one commit is held at the gate, the rest is queued
		closed := make(chan struct{})
		go func() {
			shut(t, e)
			close(closed)
		}()
		synctest.Wait()
		wantCode(t, e.Create(t.Context(), c, request("too late")), exchange.CodeUnavailable)
		close(gate)
		calls.Wait()
		<-closed
		e = launch(t, bucket.Store(false))
		if threads, err := e.Threads(t.Context(), c, exchange.Filter{}); err != nil || len(threads) != 20 {
			t.Fatal(len(threads), err)
		}
	})
}

// Ensure that a call of several steps which Close finds halfway takes all of them.
func TestCloseLetsCallsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(false)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		gate := make(chan struct{})
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, "executors/") {
				<-gate
			}
			return faultblob.None
		})
		name, answer := "New Name", make(chan error)
		go func() { answer <- e.UpdateProfile(t.Context(), c, "agent", ProfileUpdate{DisplayName: &name}) }()
		synctest.Wait()
		go shut(t, e)
		synctest.Wait()
		close(gate)
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
	})
}

// Ensure that Close ends in time where the store does not answer, and says so.
func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(true)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		store.OnCall(func(ctx context.Context, _ faultblob.Op) faultblob.Fault {
			<-ctx.Done()
			return faultblob.Drop
		})
		answered := make(chan error)
		go func() { answered <- e.Create(context.Background(), c, request("x")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("close:", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Fatal("close took", took)
		}
		wantCode(t, <-answered, exchange.CodeOutcomeUnknown)
	})
}

// Ensure that after a failed fsync the process is told to exit once and nobody gets an answer.
func TestFatalAnswersNothing(t *testing.T) {
	for _, at := range []string{"events/", "executors/"} {
		synctest.Test(t, func(t *testing.T) {
			store := faultblob.New().Store(false)
			fatal := make(chan error, 2)
			e := launchWith(t, store, Options{Fatal: func(err error) { fatal <- err }})
			_, c := enroll(t, e, "home", "agent")
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, at) {
					return faultblob.Die
				}
				return faultblob.None
			})
			ctx, gone := context.WithCancel(t.Context())
			answers := make(chan error, 2)
			name := "New Name"
			go func() { answers <- e.UpdateProfile(ctx, c, "agent", ProfileUpdate{DisplayName: &name}) }()
			<-fatal
			go func() { answers <- e.UpdateProfile(ctx, c, "agent", ProfileUpdate{DisplayName: &name}) }()
			synctest.Wait()
			select {
			case err := <-answers:
				t.Fatal("answered after a fatal error:", err)
			default:
			}
			gone()
			for range 2 {
				if err := <-answers; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			select {
			case err := <-fatal:
				t.Fatal("told to exit again:", err)
			default:
			}
			store.OnCall(nil)
		})
	}
}
