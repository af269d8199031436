package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// desk is a machine with one rule: a thing is held by one actor at a time. It also writes down all it
// was given, for tests to compare with the store.
type desk struct {
	mu     sync.Mutex
	events []Event
	holder map[string]string
}

func newDesk() *desk { return &desk{holder: map[string]string{}} }

func (d *desk) Apply(events []Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range events {
		d.events = append(d.events, e)
		fold(d.holder, e)
	}
}

func fold(holder map[string]string, e Event) {
	switch e.Type {
	case "taken":
		holder[e.Thread] = e.Actor
	case "released", "freed":
		delete(holder, e.Thread)
	}
}

func (d *desk) Fork() Tentative {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := tentative{}
	for k, v := range d.holder {
		t[k] = v
	}
	return t
}

// The desk is a Projection: all that it was given is its state.
func (d *desk) Version() string { return "desk 1" }

func (d *desk) Freeze() (Image, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Type == "unheard-of" {
			return nil, false
		}
	}
	return deskImage(slices.Clone(d.events)), true
}

type deskImage []Event

func (i deskImage) Encode(w io.Writer) error { return json.NewEncoder(w).Encode(i) }

func (d *desk) Restore(r io.Reader) error {
	var events []Event
	if err := json.NewDecoder(r).Decode(&events); err != nil {
		return err
	}
	d.Apply(events)
	return nil
}

// deskOptions are those of a check that holds the snapshots of desks against the log.
var deskOptions = CheckOptions{
	New: func() Projection { return newDesk() },
	Difference: func(restored, replayed Projection) string {
		return difference(restored.(*desk).events, replayed.(*desk).events)
	},
}

// difference says where two lists of events are not the same, positions included.
func difference(got, want []Event) string {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			return fmt.Sprintf("%d events, not %d", len(got), len(want))
		}
		g, w := got[i], want[i]
		if g.ID != w.ID || g.Seq != w.Seq || !g.TS.Equal(w.TS) || g.Thread != w.Thread || g.Type != w.Type || g.Actor != w.Actor ||
			string(g.Payload) != string(w.Payload) || !SameEvent(g.At, w.At) {
			return fmt.Sprintf("event %d is %+v, not %+v", i, g, w)
		}
	}
	return ""
}

// fed is a machine that is no Projection: the log feeds it from its beginning.
type fed struct{ Machine }

func (d *desk) own() []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.events), func(e Event) bool { return e.Seq == 0 || e.Type == typeDayClosed })
}

type tentative map[string]string

func (t tentative) Apply(e Event) { fold(t, e) }

// act is a command: who takes or releases a thing, or just says something.
type act struct {
	kind, thing, who string // kind "freed": whoever holds the thing loses it
	size             int    // of the payload

	refused bool
	at      time.Time
}

func (a *act) Decide(on Tentative, now time.Time) []Draft {
	holder := on.(tentative)[a.thing]
	a.at = now
	a.refused = a.kind == "taken" && holder != "" || a.kind == "released" && holder != a.who ||
		a.kind == "freed" && holder == "" || a.kind == "refused"
	if a.refused {
		return nil
	}
	payload, _ := json.Marshal(map[string]string{"pad": string(slices.Repeat([]byte("x"), a.size))})
	return []Draft{{Thread: a.thing, Type: a.kind, Actor: a.who, Payload: payload}}
}

func take(thing, who string) *act    { return &act{kind: "taken", thing: thing, who: who} }
func release(thing, who string) *act { return &act{kind: "released", thing: thing, who: who} }
func say(who string) *act            { return &act{kind: "said", thing: "t", who: who} }

// replica is a log on a view of a bucket.
type replica struct {
	*Log
	store *faultblob.Store
	desk  *desk
	fatal chan error
}

// start opens the log of "home" on a view of the bucket, and closes it when the test ends.
func start(t *testing.T, store *faultblob.Store) *replica {
	t.Helper()
	r, err := tryStart(t, store, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryStart(t *testing.T, store *faultblob.Store, o Options) (*replica, error) {
	t.Helper()
	r := &replica{store: store, desk: newDesk(), fatal: make(chan error, 1)}
	o.Fatal = func(err error) { r.fatal <- err }
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if err := WriteSchema(t.Context(), store); err != nil {
		return nil, err
	}
	var err error
	r.Log, err = Open(t.Context(), store, "home", r.desk, o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(r.stop)
	return r, nil
}

func (r *replica) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = r.Close(ctx)
}

// do submits a command that must be accepted.
func (r *replica) do(t *testing.T, a *act) {
	t.Helper()
	if err := r.Submit(t.Context(), a); err != nil {
		t.Fatalf("%s by %s: %v", a.kind, a.who, err)
	}
}

// must checks an error against the one wanted.
func must(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// checked holds the whole log in the bucket against the format, and its snapshots against it, and returns its
// events as a start reads them without a snapshot.
func checked(t *testing.T, b *faultblob.Bucket) []Event {
	t.Helper()
	store := b.Store(false)
	report, err := Check(context.Background(), store, "home", deskOptions)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) > 0 {
		t.Fatalf("the log is damaged: %q", report.Findings)
	}
	if broken := b.Broken(); len(broken) > 0 {
		t.Fatalf("rules broken: %q", broken)
	}
	d := newDesk()
	l, err := Open(context.Background(), store, "home", fed{d}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return d.own()
}

// actors lists who caused the events.
func actors(events []Event) []string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Actor
	}
	return names
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// at returns a clock that stands still.
func at(s string) func() time.Time {
	now, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(fmt.Sprintf("a test's time: %v", err))
	}
	return func() time.Time { return now }
}

// isCommit tells calls for commits from those for genesis and the schema.
func isCommit(op faultblob.Op) bool {
	p, ok := parseKey("home", op.Key)
	return ok && p.seq > 0
}

// puts counts the writes of commits and keeps their bytes.
type puts struct {
	mu   sync.Mutex
	data []string
}

func (p *puts) add(op faultblob.Op) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = append(p.data, op.Key+"\n"+string(op.Data))
	return len(p.data)
}

// holdFirst holds the replica's next commit back until the gate is closed, and records it and all that follow.
func holdFirst(r *replica) (gate chan struct{}, writes *puts) {
	gate, writes = make(chan struct{}), &puts{}
	r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		if op.Kind == faultblob.Put && writes.add(op) == 1 {
			<-gate
		}
		return faultblob.None
	})
	return gate, writes
}
