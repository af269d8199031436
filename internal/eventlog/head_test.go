package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Rule 5: a cut answer is no commit and no head. The log reads on once the store brings it whole.
func TestRule5ReadsCountWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, other := start(t, b.Store(true)), start(t, b.Store(true))
		gate, _ := holdFirst(other)
		var wg sync.WaitGroup
		for i := range 3 { // commit 1 holds one event, commit 2 two of them
			wg.Go(func() { other.do(t, say(fmt.Sprint(i))) })
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		cuts := 0
		r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key == positionKey("home", r.head.day, 2) && cuts < 3 {
				cuts++
				return faultblob.Cut
			}
			return faultblob.None
		})
		r.do(t, say("next"))
		if cuts != 3 {
			t.Errorf("%d cuts", cuts)
		}
		equal(t, "events", actors(r.desk.own()), []string{"0", "1", "2", "next"})
		equal(t, "log", actors(checked(t, b)), []string{"0", "1", "2", "next"})
	})
}

// Rule 5: only "no such key" means free. A store that refuses to say is no head: the reader is told that it
// is not available, and never a stale answer.
func TestRule5OnlyNoSuchKeyIsFree(t *testing.T) {
	for _, fault := range []faultblob.Fault{faultblob.Refuse, faultblob.Drop} {
		synctest.Test(t, func(t *testing.T) {
			b := faultblob.New()
			r := start(t, b.Store(true))
			r.store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { return fault })
			began := time.Now()
			must(t, r.Sync(t.Context()), ErrUnavailable)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the answer took %s", took)
			}
		})
	}
}

// Rule 6: two replicas on either side of midnight open the same log.
func TestRule6GenesisAroundMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		late, early := b.Store(true), b.Store(true)
		late.SetClock(at("2026-02-01T23:59:59.999Z"))
		early.SetClock(at("2026-02-02T00:00:00.001Z"))
		gate := make(chan struct{})
		hold := func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Put {
				<-gate
			}
			return faultblob.None
		}
		replicas := make([]*replica, 2)
		var wg sync.WaitGroup
		if err := WriteSchema(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		for i, s := range []*faultblob.Store{late, early} {
			s.OnCall(hold)
			wg.Go(func() { replicas[i] = start(t, s) })
		}
		synctest.Wait() // both have seen that there is no genesis
		close(gate)
		wg.Wait()
		for _, r := range replicas {
			r.do(t, say("x"))
		}
		checked(t, b)
		if got := len(b.Keys(Prefix("home") + "1970/")); got != 1 {
			t.Errorf("%d genesis objects", got)
		}
	})
}

func TestOpenWithoutCreate(t *testing.T) {
	b := faultblob.New()
	_, err := tryStart(t, b.Store(true), Options{})
	must(t, err, ErrNotFound)
	equal(t, "keys", b.Keys(""), []string{SchemaKey})
}

// Rule 6: a log in another format is read and not written to.
func TestRule6OtherFormatIsReadOnly(t *testing.T) {
	b := faultblob.New()
	data, err := encodeGenesis("home", genesis{Format: 2, Next: "2026/02/01"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.Put(genesisKey("home"), data)
	r := start(t, b.Store(true))
	must(t, r.Submit(t.Context(), say("a")), ErrFormat)
	must(t, r.Sync(t.Context()), nil)
}

// Rule 7: the log moves to a later day by a commit of its own, and a writer whose clock is behind follows.
// No position can be created under two dates.
func TestRule7DayChange(t *testing.T) {
	b := faultblob.New()
	a, slow := b.Store(true), b.Store(true)
	a.SetClock(at("2026-02-01T12:00:00Z"))
	slow.SetClock(at("2026-02-01T12:00:00Z"))
	ra, rslow := start(t, a), start(t, slow)
	ra.do(t, say("a"))
	a.SetClock(at("2026-02-03T00:00:01Z"))
	ra.do(t, say("b"))
	rslow.do(t, say("c"))
	equal(t, "events", actors(checked(t, b)), []string{"a", "b", "c"})
	equal(t, "keys", b.Keys(Prefix("home")), []string{
		genesisKey("home"),
		positionKey("home", "2026/02/01", 1), positionKey("home", "2026/02/01", 2),
		positionKey("home", "2026/02/03", 3), positionKey("home", "2026/02/03", 4),
	})
	closing, _ := b.Get(positionKey("home", "2026/02/01", 2))
	if !strings.Contains(string(closing), `"event_type":"day_closed","actor_id":"-","payload":{"next":"2026/02/03"}}`) {
		t.Errorf("the day was closed by %s", closing)
	}
}

// Rule 7: a refusal on a new day closes nothing, since it writes nothing.
func TestRefusalsDoNotCloseDays(t *testing.T) {
	b := faultblob.New()
	s := b.Store(true)
	s.SetClock(at("2026-02-01T12:00:00Z"))
	r := start(t, s)
	s.SetClock(at("2026-02-02T12:00:00Z"))
	r.do(t, &act{kind: "refused"})
	equal(t, "keys", b.Keys(Prefix("home")), []string{genesisKey("home")})
}

// Rule 8: ts never goes back, and is the store's time taken anew at each decision.
func TestRule8TimeNeverGoesBack(t *testing.T) {
	b := faultblob.New()
	s := b.Store(false)
	s.SetClock(at("2026-02-01T12:00:00.0009Z"))
	r := start(t, s)
	r.do(t, say("a"))
	s.SetClock(at("2026-02-01T11:00:00Z"))
	r.do(t, say("b"))
	s.SetClock(at("2026-02-01T13:00:00.002Z"))
	late := say("c")
	r.do(t, late)
	var times []string
	for _, e := range checked(t, b) {
		times = append(times, e.TS.Format("15:04:05.000"))
	}
	equal(t, "ts", times, []string{"12:00:00.000", "12:00:00.000", "13:00:00.002"})
	if got := late.at.Format("15:04:05.000"); got != "13:00:00.002" {
		t.Errorf("decided at %s", got)
	}
}

// Rule 8: one bad clock can't put the log's day into the far future for those with a good one.
func TestRule8DayStaysNearTheStoresTime(t *testing.T) {
	b := faultblob.New()
	data, err := encodeGenesis("home", genesis{Format: 1, Next: "2026/02/01"}, at("2099-01-01T00:00:00Z")())
	if err != nil {
		t.Fatal(err)
	}
	b.Put(genesisKey("home"), data)
	s := b.Store(true)
	s.SetClock(at("2026-02-01T12:00:00Z"))
	r := start(t, s)
	r.do(t, say("a"))
	if keys := b.Keys(Prefix("home") + "2099"); len(keys) > 0 {
		t.Errorf("the day was moved: %q", keys)
	}
	if got := checked(t, b)[0].TS.Year(); got != 2099 {
		t.Errorf("ts went back to %d", got)
	}
}

// Rule 9: following and writing ask for the next key only. Nothing lists after the start.
func TestRule9NoListingOnTheHotPath(t *testing.T) {
	b := faultblob.New()
	r, other := start(t, b.Store(true)), start(t, b.Store(true))
	calls := map[faultblob.Kind]int{}
	r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		calls[op.Kind]++
		return faultblob.None
	})
	for i := range 5 {
		other.do(t, say(fmt.Sprint(i)))
		must(t, r.Sync(t.Context()), nil)
	}
	if calls[faultblob.Get] != 10 || len(calls) != 1 {
		t.Errorf("following 5 commits took %v", calls)
	}
	clear(calls)
	r.do(t, say("own"))
	if calls[faultblob.Put] != 1 || len(calls) != 1 {
		t.Errorf("a commit took %v", calls)
	}
}

// Rule 9: a start reads objects many at once, and applies them in order all the same.
func TestRule9ReplayReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r := start(t, b.Store(false))
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprint(i))
			r.do(t, say(want[i]))
		}
		slow := b.Store(false)
		var mu sync.Mutex
		reading, most := 0, 0
		slow.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind != faultblob.Get || !isCommit(op) {
				return faultblob.None
			}
			mu.Lock()
			reading++
			most = max(most, reading)
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			mu.Lock()
			reading--
			mu.Unlock()
			return faultblob.None
		})
		began := time.Now()
		again := start(t, slow)
		if took := time.Since(began); took > time.Second {
			t.Errorf("200 reads of 50 ms took %s", took)
		}
		if most != replayReaders {
			t.Errorf("%d reads at once, want %d", most, replayReaders)
		}
		equal(t, "events", actors(again.desk.own()), want)
	})
}

// Rule 9: a listing is no evidence. What it did not show is found by its key; what it shows behind a hole is
// not taken.
func TestRule9Gaps(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	for i := range 5 {
		r.do(t, say(fmt.Sprint(i)))
	}
	hole := positionKey("home", r.head.day, 3)
	data, _ := b.Get(hole)
	b.Remove(hole)
	s := b.Store(true)
	s.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		if op.Kind == faultblob.Get && op.Key == hole { // it appears between the listing and the read
			b.Put(hole, data)
		}
		return faultblob.None
	})
	late := start(t, s)
	equal(t, "events", actors(late.desk.own()), []string{"0", "1", "2", "3", "4"})

	b.Remove(hole)
	_, err := tryStart(t, b.Store(true), Options{})
	must(t, err, errCorrupt)
	report, err := Check(t.Context(), b.Store(true), "home", CheckOptions{})
	if err != nil || len(report.Findings) != 2 {
		t.Errorf("check: %v, %q", err, report.Findings)
	}
}

// Rule 18: a merged day is its commits in one object under its first key. Readers that start on it, or that
// were in the middle of it, read it and go on.
func TestRule18MergedDay(t *testing.T) {
	b := faultblob.New()
	s := b.Store(true)
	s.SetClock(at("2026-02-01T12:00:00Z"))
	r := start(t, s)
	for _, who := range []string{"0", "1", "2"} {
		r.do(t, say(who))
	}
	s.SetClock(at("2026-02-02T12:00:00Z"))
	r.do(t, say("3"))
	var merged []byte
	keys := b.Keys(Prefix("home") + "2026/02/01/")
	for _, k := range keys {
		data, _ := b.Get(k)
		merged = append(merged, data...)
	}
	b.Put(keys[0], merged)
	for _, k := range keys[1:3] {
		b.Remove(k)
	}
	again := start(t, b.Store(true)) // the listing still shows the closing commit, as after a crashed merge
	equal(t, "events", actors(again.desk.own()), []string{"0", "1", "2", "3"})
	b.Remove(keys[3])
	equal(t, "events", actors(start(t, b.Store(true)).desk.own()), []string{"0", "1", "2", "3"})
}

// Rule 10: what one replica has answered, another shows at once.
func TestRule10Linearizable(t *testing.T) {
	b := faultblob.New()
	w, r := start(t, b.Store(true)), start(t, b.Store(true))
	for i := range 10 {
		w.do(t, say(fmt.Sprint(i)))
		must(t, r.Sync(t.Context()), nil)
		if got := len(r.desk.own()); got != i+1 {
			t.Fatalf("after %d writes the other replica shows %d", i+1, got)
		}
	}
}

// Rule 10: a reader joins only a check that starts after it came. While one runs, all that come share the
// next one; a check ends at a genuine "no such key", not at the first commit.
func TestRule10ReadersShareChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, w := start(t, b.Store(true)), start(t, b.Store(true))
		gate := make(chan struct{})
		var gets atomic.Int32
		r.store.OnAnswer(func(context.Context, faultblob.Op) {
			if gets.Add(1) == 1 {
				<-gate // this answer says that nothing was there before the write below
			}
		})
		var wg sync.WaitGroup
		sync1 := func() { must(t, r.Sync(t.Context()), nil) }
		wg.Go(sync1)
		synctest.Wait()
		w.do(t, say("written while a check runs"))
		for range 100 {
			wg.Go(func() {
				sync1()
				if len(r.desk.own()) != 1 {
					t.Error("a reader joined a check that began before it came")
				}
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if n := gets.Load(); n != 3 { // the head as it was; then, for all others, commit 1 and the head
			t.Errorf("101 readers cost %d reads", n)
		}
	})
}

// Rule 10: a directory has one writer, so a read costs the store nothing.
func TestRule10DirectoryNeedsNoCheck(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	r.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		t.Errorf("a read asked the store: %v", op)
		return faultblob.None
	})
	must(t, r.Sync(t.Context()), nil)
}

// Rule 11: a refusal is a read. One decided on a state that another replica has moved on from is decided
// again on the newer one.
func TestRule11RefusalsAreReads(t *testing.T) {
	b := faultblob.New()
	a, other := start(t, b.Store(true)), start(t, b.Store(true))
	a.do(t, take("thing", "x"))
	must(t, other.Sync(t.Context()), nil)
	other.do(t, release("thing", "x"))
	claim := take("thing", "y")
	a.do(t, claim)
	if claim.refused {
		t.Error("refused by a holder who had released it")
	}
	refused := take("thing", "z")
	other.do(t, refused)
	if !refused.refused {
		t.Error("claimed twice")
	}
	equal(t, "events", actors(checked(t, b)), []string{"x", "x", "y"})
}

// Rule 11: a refusal decided behind an undecided commit leaves only with that commit. Where the position is
// lost to a rival, both are decided again.
func TestRule11NoRefusalFromATentativeState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := faultblob.New()
		r, rival := start(t, b.Store(true)), start(t, b.Store(true))
		gate, _ := holdFirst(r) // and what comes meanwhile becomes one batch
		var wg sync.WaitGroup
		wg.Go(func() { r.do(t, say("opener")) })
		synctest.Wait()
		holder, second := take("thing", "holder"), take("thing", "second")
		for _, a := range []*act{holder, second} {
			wg.Go(func() { r.do(t, a) })
			synctest.Wait()
		}
		rival.do(t, take("thing", "rival"))
		rival.do(t, release("thing", "rival"))
		close(gate)
		wg.Wait()
		if holder.refused || !second.refused {
			t.Errorf("holder refused: %v, second refused: %v", holder.refused, second.refused)
		}
		equal(t, "events", actors(checked(t, b)), []string{"rival", "rival", "opener", "holder"})
	})
}

func TestSchemaObject(t *testing.T) {
	b := faultblob.New()
	for range 2 {
		must(t, WriteSchema(t.Context(), b.Store(true)), nil)
	}
	data, _ := b.Get(SchemaKey)
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range []any{map[string]any{}, "{}"} {
		var l map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &l); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(l["payload"]) != fmt.Sprint(want) || l["thread_ref"] != "-" || len(l) != 8 {
			t.Errorf("line %d: %v", i, l)
		}
	}
	for _, exchange := range []string{"0", "A", "home", "a-b"} {
		if genesisKey(exchange) < SchemaKey {
			t.Errorf("%s sorts before the schema object", exchange)
		}
	}
	b.Put(SchemaKey, []byte("{}\n"))
	if err := WriteSchema(t.Context(), b.Store(true)); err == nil {
		t.Error("a changed schema object was accepted")
	}
}
