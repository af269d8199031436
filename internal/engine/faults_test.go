package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// The fault table: each command meets each fault at each of its calls of the store, once or from
// there on, or followed by refusals. After each the process is replaced by another on the same bucket, and the log itself, not what
// the engine says of it, is held against what the client was told.

// stage is an exchange in which every command of the table has something to do.
type stage struct {
	bucket       *faultblob.Bucket
	agent, phone Caller // requestor and executor
	open, held   string // refs: one that nobody has claimed, one that phone has
	base         int    // events like the command's that were there before
	profile      []byte // the object of the command's settings, as it was before
}

// command is a row of the table.
type command struct {
	name string
	run  func(context.Context, *Engine, stage) error
	// What the command leaves in the log: an event of that type, with that piece in its payload.
	exchange, event, payload string
	// again are the refusals with which the same command may be answered once it has taken effect; what
	// is not refused then takes effect each time (adds) or leaves things as they are.
	again []exchange.Code
	adds  bool
}

var commands = []command{
	{
		name: "open", exchange: "office", event: exchange.ExecutorRegistered, payload: `"display_name":"first"`,
		run: func(ctx context.Context, e *Engine, _ stage) error {
			_, err := e.Register(ctx, "office", Registration{ExecutorID: "first", Settings: settingOf("first")})
			return err
		},
		again: []exchange.Code{exchange.CodeAlreadyRegistered},
	},
	{
		name: "register", exchange: "home", event: exchange.ExecutorRegistered, payload: `"display_name":"newcomer"`,
		run: func(ctx context.Context, e *Engine, _ stage) error {
			_, err := e.Register(ctx, "home", Registration{ExecutorID: "newcomer", Settings: settingOf("newcomer")})
			return err
		},
		again: []exchange.Code{exchange.CodeAlreadyRegistered},
	},
	{
		name: "create", exchange: "home", event: exchange.ThreadCreated, payload: `"intent":"wanted"`,
		run:  func(ctx context.Context, e *Engine, s stage) error { return e.Create(ctx, s.agent, request("wanted")) },
		adds: true,
	},
	{
		name: "create with a key", exchange: "home", event: exchange.ThreadCreated, payload: `"intent":"wanted"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Create(ctx, s.agent, keyedRequest("wanted", "k"))
		},
	},
	{
		name: "say with a key", exchange: "home", event: exchange.MessageAdded, payload: `"note":"wanted"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			cmd := keyed(s.open, "", "k")
			cmd.Mess = []json.RawMessage{[]byte(`{"note":"wanted"}`)}
			return e.Update(ctx, s.agent, cmd)
		},
	},
	{
		name: "nothing with a key", exchange: "home", event: exchange.NoteAnswered, payload: `"thread_status":"in_progress"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.phone, keyed(s.held, exchange.StatusInProgress, "k"))
		},
	},
	{
		name: "register with a key", exchange: "home", event: exchange.ExecutorRegistered, payload: `"display_name":"newcomer"`,
		run: func(ctx context.Context, e *Engine, _ stage) error {
			_, err := e.Register(ctx, "home", Registration{
				ExecutorID: "newcomer", Settings: settingOf("newcomer"), Once: exchange.NewOnce("k", "POST", "/register", nil),
			})
			return err
		},
		adds: true, // another key each time
	},
	{
		name: "claim", exchange: "home", event: exchange.StatusChanged, payload: `"old_status":"pending","new_status":"claimed"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.phone, &exchange.Update{Ref: s.open, Status: exchange.StatusClaimed})
		},
	},
	{
		name: "complete", exchange: "home", event: exchange.StatusChanged, payload: `"new_status":"completed"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.phone, &exchange.Update{Ref: s.held, Status: exchange.StatusCompleted})
		},
		again: []exchange.Code{exchange.CodeThreadClosed},
	},
	{
		name: "release", exchange: "home", event: exchange.StatusChanged, payload: `"new_status":"pending"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.phone, &exchange.Update{Ref: s.held, Status: exchange.StatusPending})
		},
		again: []exchange.Code{exchange.CodeForbidden}, // phone holds it no more
	},
	{
		name: "message", exchange: "home", event: exchange.MessageAdded, payload: `"note":"wanted"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.agent, &exchange.Update{Ref: s.open, Mess: []json.RawMessage{[]byte(`{"note":"wanted"}`)}})
		},
		adds: true,
	},
	{
		name: "photo with a key", exchange: "home", event: exchange.MessageAdded, payload: `"attachments":[{"at":"/0/response/content/0","key":"attachments/exchange=home/`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.agent, keyedPhoto(s.open, "", "k", `{"response":{"content":["`+photo(7)+`"]}}`))
		},
	},
	{
		name: "photo", exchange: "home", event: exchange.MessageAdded, payload: `"attachments":[{"at":"/0/response/content/0","key":"attachments/exchange=home/`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Update(ctx, s.agent, &exchange.Update{Ref: s.open, Mess: []json.RawMessage{[]byte(`{"response":{"content":["` + photo(7) + `"]}}`)}})
		},
		adds: true,
	},
	{
		name: "create with a photo", exchange: "home", event: exchange.MessageAdded, payload: `"attachments":[{"at":"/0/request/context/0","key":"attachments/exchange=home/`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			return e.Create(ctx, s.agent, &exchange.Create{Intent: "wanted", Context: []byte(`["` + photo(7) + `"]`), Request: []byte(`{"intent":"wanted","context":["` + photo(7) + `"]}`)})
		},
		adds: true,
	},
	{
		name: "profile", exchange: "home", event: exchange.ExecutorUpdated, payload: `"display_name":"renamed"`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			name := "renamed"
			return e.UpdateProfile(ctx, s.phone, "phone", ProfileUpdate{DisplayName: &name, Settings: settingOf("renamed")})
		},
		adds: true, // each is announced
	},
	{
		name: "rotate", exchange: "home", event: exchange.ExecutorUpdated, payload: `{"api_key_hash":`,
		run: func(ctx context.Context, e *Engine, s stage) error {
			_, err := e.RotateKey(ctx, s.phone, "phone")
			return err
		},
		again: []exchange.Code{exchange.CodeUnauthorized}, // the key is dead
	},
	{
		name: "leave", exchange: "home", event: exchange.ExecutorRemoved, payload: `{}`,
		run:   func(ctx context.Context, e *Engine, s stage) error { return e.Remove(ctx, s.phone, "phone") },
		again: []exchange.Code{exchange.CodeUnauthorized},
	},
}

func settingOf(word string) map[string]json.RawMessage {
	return map[string]json.RawMessage{"setting": []byte(`"of ` + word + `"`)}
}

// profiles are the private settings that stand in the bucket once a command is acknowledged.
var profiles = map[string][2]string{
	"open":                {"executors/exchange=office/first.json", "of first"},
	"register":            {"executors/exchange=home/newcomer.json", "of newcomer"},
	"register with a key": {"executors/exchange=home/newcomer.json", "of newcomer"},
	"profile":             {"executors/exchange=home/phone.json", "of renamed"},
}

var faults = []struct {
	name  string
	fault faultblob.Fault
}{
	{"refuse", faultblob.Refuse},
	{"drop", faultblob.Drop},
	{"lose", faultblob.Lose},
	{"late", faultblob.Late},
	{"repeat", faultblob.Repeat},
	{"die", faultblob.Die},
}

// cell is one of the table.
type cell struct {
	command
	shared bool
	fault  faultblob.Fault
	call   int             // the call that meets the fault
	rest   faultblob.Fault // what all after it meet, as long as the command runs
	what   string
}

func TestFaultTable(t *testing.T) {
	cells := 0
	for _, c := range commands {
		for _, f := range faults {
			for mode := range 6 {
				for call, hit := 1, true; hit; call += faultStride {
					rest := []faultblob.Fault{faultblob.None, f.fault, faultblob.Refuse}[mode/2]
					x := cell{command: c, shared: mode%2 == 1, fault: f.fault, call: call, rest: rest}
					x.what = fmt.Sprintf("%s, shared %v, call %d: %s, then fault %d", c.name, x.shared, call, f.name, x.rest)
					synctest.Test(t, func(t *testing.T) { hit = x.play(t) })
					if t.Failed() {
						return
					}
					if call == 1 && !hit {
						t.Fatalf("%s: the command made no call", x.what)
					}
					cells++
				}
			}
		}
	}
	t.Logf("%d cells", cells)
}

// play plays the cell, and reports whether the command made that many calls.
func (x cell) play(t *testing.T) bool {
	s := newStage(t, x.shared)
	s.base = x.events(t, s.bucket)
	s.profile, _ = s.bucket.Get(profiles[x.name][0])
	store := s.bucket.Store(x.shared)
	died := make(chan error, 1)
	e := New(store, Options{Fatal: func(err error) { died <- err }})
	start(t, e)
	var mu sync.Mutex // a log may still be calling when its client has lost patience
	calls, written := 0, false
	store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		mu.Lock()
		defer mu.Unlock()
		fault := faultblob.None
		switch calls++; {
		case calls == x.call:
			fault = x.fault
		case calls > x.call:
			fault = x.rest
		}
		written = written || fault == x.fault && (op.Kind == faultblob.Put || op.Kind == faultblob.Delete)
		return fault
	})
	err := x.answer(t, e, s, x.what)
	store.OnCall(nil)
	mu.Lock()
	disk, write := x.fault == faultblob.Die && written, written
	mu.Unlock()
	switch {
	case disk && (len(died) == 0 || codeOf(err) != exchange.CodeOutcomeUnknown):
		t.Errorf("%s: %v, on a disk that is lost", x.what, err)
	case !disk && len(died) > 0:
		t.Errorf("%s: fatal: %v", x.what, <-died)
	case !disk && write && x.rest == faultblob.None && x.fault != faultblob.Refuse && err != nil:
		t.Errorf("%s: a write in doubt was given up: %v", x.what, err)
	}
	if x.rest == faultblob.None || !x.shared {
		store.Release()
	}
	shut(t, e)
	stored := x.holds(t, s, err, x.what)

	// The client gives the same command again, to the next process.
	e = New(s.bucket.Store(x.shared), Options{Fatal: func(err error) { t.Errorf("%s: fatal at the next start: %v", x.what, err) }})
	start(t, e)
	err = x.answer(t, e, s, x.what+", again")
	shut(t, e)
	x.holdsAgain(t, s, stored, err, x.what+", again")
	store.Release() // what still was on its way comes too late for everything
	x.holdsAgain(t, s, stored, err, x.what+", again, and late")
	return x.call <= calls // every log is closed: nobody counts any more
}

func start(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal("start:", err)
	}
	synctest.Wait() // until every exchange is open
}

// newStage sets the stage, without faults.
func newStage(t *testing.T, shared bool) stage {
	t.Helper()
	s := stage{bucket: faultblob.New()}
	e := New(s.bucket.Store(shared), Options{})
	start(t, e)
	_, s.agent = enroll(t, e, "home", "agent")
	_, s.phone = enroll(t, e, "home", "phone")
	s.open, s.held = post(t, e, s.agent, "open"), post(t, e, s.agent, "held")
	if err := e.Update(t.Context(), s.phone, &exchange.Update{Ref: s.held, Status: exchange.StatusInProgress}); err != nil {
		t.Fatal(err)
	}
	shut(t, e)
	return s
}

// patience is how long a client waits.
const patience = 30 * time.Second

// answer runs the command for a client. Every error is a refusal.
func (c command) answer(t *testing.T, e *Engine, s stage, what string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := c.run(ctx, e, s)
	if err != nil && codeOf(err) == "" {
		t.Errorf("%s: got %v, want a refusal", what, err)
	}
	return err
}

func codeOf(err error) exchange.Code {
	if refusal, ok := errors.AsType[*exchange.Error](err); ok {
		return refusal.Code
	}
	return ""
}

// holds checks the bucket after the fault, and returns how often the command has taken effect.
func (c command) holds(t *testing.T, s stage, err error, what string) int {
	t.Helper()
	checkAll(t, s.bucket, what)
	n := c.events(t, s.bucket) - s.base
	switch code := codeOf(err); {
	case err == nil && n != 1:
		t.Errorf("%s: acknowledged, and there %d times", what, n)
	case err == nil:
		c.checkProfile(t, s.bucket, what)
	case code == exchange.CodeUnavailable:
		profile, _ := s.bucket.Get(profiles[c.name][0])
		if n != 0 || !bytes.Equal(profile, s.profile) {
			t.Errorf("%s: refused, and there %d times, the settings are %q", what, n, profile)
		}
	case code == exchange.CodeOutcomeUnknown && n > 1:
		t.Errorf("%s: unknown, and there %d times", what, n)
	case code != exchange.CodeOutcomeUnknown:
		t.Errorf("%s: refused with %v", what, err)
	}
	return n
}

// holdsAgain checks the bucket after the same command was given once more, without a fault.
func (c command) holdsAgain(t *testing.T, s stage, before int, err error, what string) {
	t.Helper()
	checkAll(t, s.bucket, what)
	want := 1
	if c.adds {
		want = before + 1
	}
	if n := c.events(t, s.bucket) - s.base; n != want {
		t.Errorf("%s: there %d times after %d, want %d (%v)", what, n, before, want, err)
	}
	switch {
	case err == nil:
		c.checkProfile(t, s.bucket, what)
	case before == 0 || !slices.Contains(c.again, codeOf(err)):
		t.Errorf("%s: got %v after %d effects", what, err, before)
	}
}

// checkProfile looks for the private settings of an acknowledged command.
func (c command) checkProfile(t *testing.T, b *faultblob.Bucket, what string) {
	t.Helper()
	want, ok := profiles[c.name]
	if data, _ := b.Get(want[0]); ok && !bytes.Contains(data, []byte(want[1])) {
		t.Errorf("%s: acknowledged, and the settings are %q", what, data)
	}
}

// events counts those of the log that are as the command leaves them.
func (c command) events(t *testing.T, b *faultblob.Bucket) int {
	t.Helper()
	n := 0
	for _, key := range b.Keys("events/exchange=" + c.exchange + "/") {
		data, _ := b.Get(key)
		for line := range bytes.Lines(data) {
			var event struct {
				Type    string          `json:"event_type"`
				Payload json.RawMessage `json:"payload"`
			}
			if err := json.Unmarshal(line, &event); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			if event.Type == c.event && strings.Contains(string(event.Payload), c.payload) {
				n++
			}
		}
	}
	return n
}

// checkAll holds the whole bucket against the format, as mess-exchange check does. All that a fault may leave
// behind is a profile that is not yet written or deleted, or one step ahead of the log or behind it.
func checkAll(t *testing.T, b *faultblob.Bucket, what string) {
	t.Helper()
	store := b.Store(true)
	ids, err := Exchanges(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		r, err := Check(t.Context(), store, id)
		notes := slices.DeleteFunc(r.Notes, func(note string) bool {
			return strings.HasSuffix(note, "nobody has its key") || strings.HasSuffix(note, "a change was not completed") ||
				strings.HasSuffix(note, "the hash of a key that was replaced") || strings.Contains(note, "of an executor who was removed") ||
				strings.Contains(note, "attachments are named by no event")
		})
		if err != nil || len(r.Findings)+len(notes) > 0 {
			t.Errorf("%s: check of %s: %v %q %q", what, id, err, r.Findings, notes)
		}
	}
	if broken := b.Broken(); broken != nil {
		t.Errorf("%s: %q", what, broken)
	}
}
