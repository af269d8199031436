package exchange_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

func encoded(t *testing.T, f *exchange.Frozen) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decoded(t *testing.T, b []byte) *exchange.State {
	t.Helper()
	s, err := exchange.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func replayed(all []fact) *exchange.State {
	s := exchange.New()
	for _, f := range all {
		s.Apply(f.Event)
	}
	return s
}

func equalPlaces(a, b exchange.At) bool { return a == b }

// A state frozen at any moment, and encoded after more events came, is the one that replaying up to
// that moment gives, to the byte; and the events after it lead from there to where they lead without it.
func TestFrozenStateIsThatOfItsMoment(t *testing.T) {
	type moment struct {
		events int
		frozen *exchange.Frozen
	}
	for seed := range int64(10) {
		size := sizes[seed%int64(len(sizes))]
		all := facts(1000+seed, size.events, size.refs)
		r := rand.New(rand.NewSource(seed))
		s := exchange.New()
		moments := []moment{{0, s.Freeze()}}
		for i, f := range all {
			s.Apply(f.Event)
			if r.Intn(size.events/4) == 0 {
				moments = append(moments, moment{i + 1, s.Freeze()})
			}
		}
		m := newModel()
		for _, f := range all {
			m.apply(f)
		}
		m.check(t, s)
		end := encoded(t, s.Freeze())
		for _, at := range moments {
			b := encoded(t, at.frozen)
			replay := replayed(all[:at.events])
			if !bytes.Equal(b, encoded(t, replay.Freeze())) {
				t.Fatalf("seed %d: frozen after %d events and encoded after all, it is not what replaying them gives", seed, at.events)
			}
			d := decoded(t, b)
			if diff := exchange.Difference(d, replay, equalPlaces); diff != "" {
				t.Fatalf("seed %d: decoded and replayed after %d events: %s", seed, at.events, diff)
			}
			if !bytes.Equal(encoded(t, d.Freeze()), b) {
				t.Fatalf("seed %d: what was decoded is encoded in another way", seed)
			}
			for _, f := range all[at.events:] {
				d.Apply(f.Event)
			}
			m.check(t, d)
			if !bytes.Equal(encoded(t, d.Freeze()), end) {
				t.Fatalf("seed %d: going on from a snapshot after %d events ends elsewhere", seed, at.events)
			}
		}
	}
}

// Encode needs no lock beside Apply, queries and forks. The race detector is the judge here.
func TestEncodeBesideApply(t *testing.T) {
	all := facts(7, 3000, 1000)
	s := replayed(all[:1500])
	for later := range slices.Chunk(all[1500:], 300) {
		frozen := s.Freeze()
		before := encoded(t, frozen)
		during := make(chan []byte)
		go func() {
			var b bytes.Buffer
			if err := frozen.Encode(&b); err != nil {
				t.Error(err)
			}
			during <- b.Bytes()
		}()
		for _, f := range later {
			fork := s.Fork()
			fork.Apply(f.Event)
			fork.Threads(exchange.Filter{Limit: 2})
			s.Apply(f.Event)
		}
		if !bytes.Equal(<-during, before) || !bytes.Equal(encoded(t, frozen), before) {
			t.Fatal("later events show in a frozen state")
		}
	}
}

// Numbers that damage made large must not make large what Decode allocates.
func TestDecodeAllocatesForWhatIsThere(t *testing.T) {
	most := binary.AppendUvarint(nil, math.MaxUint64)
	huge := binary.AppendUvarint(nil, 1<<40)
	for name, b := range map[string][]byte{
		"text":         huge,
		"names":        slices.Concat([]byte{0}, most),
		"name":         slices.Concat([]byte{0, 1}, huge),
		"executors":    slices.Concat([]byte{0, 0}, most),
		"capabilities": slices.Concat([]byte{0, 0, 1, 1, 'x', 0}, most),
		"threads":      slices.Concat([]byte{0, 0, 0}, most),
		"ref":          slices.Concat([]byte{0, 0, 0, 1}, most),
		"intent":       slices.Concat([]byte{0, 0, 0, 1, 1, 'r'}, most),
		"messages":     slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 1, 1, 'r', 0, 0, 0, 2, 1, 1, 1, 1, 1}, most, make([]byte, 100)),
		"terms":        slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 1, 1, 'r', 0, 0, 0, 2, 1, 1, 1, 1, 1, 0}, most),
		"thread":       slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 1, 1, 'r', 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 1}, most),
		"imports":      slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 1, 1, 'r', 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0}, most),
		"history":      slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 1, 1, 'r', 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0}, most, []byte{0, 1}),
		"requires":     slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 1, 1, 'r', 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 1, 1, 0}, most),
		"answers":      slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 0, 0}, most, []byte{0, 1}),
		"sentence":     slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 0, 0, 1, 2, 1}, make([]byte, 32), []byte{1, 0}, huge),
		"idle":         slices.Concat([]byte{0, 1, 1, 'x', 0, 0, 0, 0, 0}, most),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := exchange.Decode(bytes.NewReader(b))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: %x was taken for a state", name, b)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: %d bytes were allocated for %d", name, took, len(b))
		}
	}
}

// Damage that leaves the shape as it is, of the kinds that would break what a state relies on.
func TestDecodeRefusesWhatCannotBe(t *testing.T) {
	const x = 1 // the number of the only name
	name := []byte{0, 1, 1, 'x', 0}
	executor := []byte{1, 'e', 0, 0, 1, 'k', 0, 1, 0, 0}
	thread := []byte{1, 'r', 0, 0, 0, 2, x, x, x, x, x, 0}
	terms := []byte{1, 1<<2 | 1, 1, 1, 'c', 0, 0, 0, 2}                                                          // of thread 1: confirm_before, needed by, one capability
	none := []byte{0, 0}                                                                                         // no imports, and no history of the thread
	said := slices.Concat(name, []byte{0, 1, 1, 'r', 0, 0, 0, 2, x, x, x, x, x, 1}, make([]byte, 24), []byte{0}) // a thread with a message, no terms
	alone := func(terms ...[]byte) []byte {
		return slices.Concat(name, []byte{0, 1}, thread, slices.Concat(terms...))
	}
	for what, b := range map[string][]byte{
		"":                         slices.Concat(name, []byte{1}, executor, []byte{1}, thread, []byte{1}, terms, none, []byte{2}, bytes.Repeat([]byte{7}, 16)),
		"name twice":               {0, 2, 1, 'x', 0, 1, 'x', 0, 0, 0, 0},
		"empty name":               {0, 1, 0, 0, 0, 0, 0},
		"flag of two":              {0, 1, 1, 'x', 2, 0, 0, 0},
		"executor twice":           slices.Concat(name, []byte{2}, executor, executor, []byte{0, 0}),
		"one key, two executors":   slices.Concat(name, []byte{2}, executor, []byte{1, 'f', 0, 0, 1, 'k', 0, 1, 0, 0}, []byte{0, 0}),
		"no key that opens":        slices.Concat(name, []byte{1, 1, 'e', 0, 0, 0, 0, 1, 0, 0}, []byte{0, 0}),
		"removed, with a key":      slices.Concat(name, []byte{1, 1, 'e', 0, 0, 1, 'k', 0, 1, 1, 0}, []byte{0, 0}),
		"removed, with another's":  slices.Concat(name, []byte{2}, executor, []byte{1, 'f', 0, 0, 1, 'k', 0, 0, 1, 0}, []byte{0, 0}),
		"hears without a word":     slices.Concat(name, []byte{1, 1, 'e', 0, 0, 1, 'k', 0, 1, 0, 2}, []byte{0, 0}),
		"hears too much":           slices.Concat(name, []byte{1, 1, 'e', 0, 0, 1, 'k', 0, 1, 0, 8}, []byte{0, 0}),
		"half removed":             slices.Concat(name, []byte{1, 1, 'e', 0, 0, 1, 'k', 0, 1, 2, 0}, []byte{0, 0}),
		"thread twice":             slices.Concat(name, []byte{0, 2}, thread, thread, []byte{0}),
		"thread without a place":   slices.Concat(name, []byte{0, 1, 1, 'r', 0, 0, 0, 0, x, x, x, x, x, 0, 0}),
		"thread before another":    slices.Concat(name, []byte{0, 2}, thread, []byte{1, 's', 0, 0, 0, 1, x, x, x, x, x, 0, 0}),
		"thread too far":           slices.Concat(name, []byte{0, 2, 1, 'r', 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, x, x, x, x, x, 0}, []byte{1, 's', 0, 0, 0, 4, x, x, x, x, x, 0, 0}),
		"thread without a ref":     slices.Concat(name, []byte{0, 1, 0, 0, 0, 0, 2, x, x, x, x, x, 0, 0}),
		"thread without a status":  slices.Concat(name, []byte{0, 1, 1, 'r', 0, 0, 0, 2, 0, x, x, x, x, 0, 0}),
		"name that is not there":   slices.Concat(name, []byte{0, 1, 1, 'r', 0, 0, 0, 2, x, x, x, x, 2, 0, 0}),
		"number that does not end": bytes.Repeat([]byte{0xff}, 20),
		"no number of terms":       alone(),
		"terms of no thread":       alone([]byte{1, 2}, terms[1:]),
		"terms of thread 0":        alone([]byte{1, 0}, terms[1:]),
		"terms twice":              alone([]byte{2}, terms, []byte{0}, terms[1:]),
		"terms of another thread":  alone([]byte{2}, terms, terms),
		"attachments cut off":      alone([]byte{0}, none, []byte{2}, bytes.Repeat([]byte{7}, 15)),
		"no number of attachments": alone([]byte{0}, none),
		"terms without any":        alone([]byte{1, 1, 0, 0, 0, 0, 0}),
		"import of no thread":      slices.Concat(said, []byte{1, 2, 1, 0, 0}),
		"import of thread 0":       slices.Concat(said, []byte{1, 0, 1, 0, 0}),
		"import twice":             slices.Concat(said, []byte{2, 1, 1, 0, 1, 0, 0}),
		"import without a place":   slices.Concat(name, []byte{0, 1}, thread, []byte{0, 1, 1, 1, 0, 0}),
		"import of too many":       slices.Concat(said, []byte{1, 1, 0x80, 0x80, 0x80, 0x80, 8, 0, 0}),
		"no number of imports":     said,
		"no history":               slices.Concat(said, []byte{0}),
		"import and history":       slices.Concat(said, []byte{1, 1, 1, 1, 0, x, x, 0, 0}, []byte{1}),
		"history without a status": slices.Concat(said, []byte{0, 1, 0, 0, x, 0, 0}),
		"history by nobody known":  slices.Concat(said, []byte{0, 1, 0, x, 2, 0, 0}),
		"terms with unknown flags": alone([]byte{1, 1, 1<<5 | 1<<2, 0, 0, 0, 0}),
	} {
		b = append(append(b, 0, 0), noOutbox...) // no answers, nobody idle
		if _, err := exchange.Decode(bytes.NewReader(b)); (err == nil) != (what == "") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// noOutbox is a snapshot's outbox in which nothing ever was.
var noOutbox = make([]byte, 8)

// What is cut off, has a byte too many, or comes from a reader that fails is refused.
func TestDecodeWantsAllOfIt(t *testing.T) {
	all := encoded(t, replayed(facts(3, 30, 5)).Freeze())
	for n := range all {
		if _, err := exchange.Decode(bytes.NewReader(all[:n])); err == nil {
			t.Fatalf("%d of %d bytes were taken for a state", n, len(all))
		}
	}
	if _, err := exchange.Decode(bytes.NewReader(append(bytes.Clone(all), 0))); err == nil {
		t.Error("a byte too many was passed over")
	}
	broken := errors.New("broken")
	for n := range len(all) + 1 {
		r := io.MultiReader(bytes.NewReader(all[:n]), iotest.ErrReader(broken))
		if _, err := exchange.Decode(r); !errors.Is(err, broken) {
			t.Fatalf("a reader that broke after %d bytes gives: %v", n, err)
		}
	}
	if _, err := exchange.Decode(iotest.OneByteReader(bytes.NewReader(all))); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
}

// failing takes so many bytes and then breaks.
type failing struct{ left int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		n := f.left
		f.left = 0
		return n, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

func TestEncodeReportsWhatTheWriterSays(t *testing.T) {
	f := replayed(facts(4, 4000, 2000)).Freeze()
	size := len(encoded(t, f))
	for _, left := range []int{0, size / 2, size - 1} {
		if err := f.Encode(&failing{left}); !errors.Is(err, errFull) {
			t.Errorf("room for %d of %d bytes: %v", left, size, err)
		}
	}
	if err := f.Encode(&failing{size}); err != nil {
		t.Errorf("room for all of it: %v", err)
	}
}

// No bytes make Decode panic or take much memory, and what it takes for a state is one: it can be
// listed, goes on, and is encoded to what gives the same state again.
func FuzzDecode(f *testing.F) {
	for seed := range int64(4) {
		var b bytes.Buffer
		if err := replayed(facts(seed, 30, 4)).Freeze().Encode(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := exchange.Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := encoded(t, s.Freeze())
		if diff := exchange.Difference(s, decoded(t, again), equalPlaces); diff != "" {
			t.Fatal(diff)
		}
		listed := s.Threads(exchange.Filter{})
		for _, thread := range listed {
			s.Apply(exchange.Event{Seq: 1, Thread: thread.Ref, Type: exchange.StatusChanged, Payload: []byte(`{"new_status":"held"}`)})
		}
		if got := s.Threads(exchange.Filter{Status: "held"}); len(got) != len(listed) {
			t.Fatalf("%d threads of %d went on", len(got), len(listed))
		}
	})
}
