package exchange

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// A thread, a message and an answer take what is said of them, and the garbage collector has nothing to
// look for in them, but for the sentence of a refusal. Pages of them fill what the allocator gives.
func TestSlotsHoldNoPointers(t *testing.T) {
	for _, c := range []struct {
		of    reflect.Type
		size  uintptr
		page  uintptr
		class uintptr // of the allocator
	}{
		{reflect.TypeFor[slot](), 96, 1 << slotShift, 24576},
		{reflect.TypeFor[said](), 28, 1 << saidShift, 28672},
		{reflect.TypeFor[keptAnswer](), 80, answersChunk, 20480},
	} {
		if c.of.Size() != c.size || c.of.Size()*c.page != c.class {
			t.Errorf("%v takes %d bytes, a page %d; want %d and %d", c.of, c.of.Size(), c.of.Size()*c.page, c.size, c.class)
		}
		if path := pointerIn(c.of); path != "" && path != "sentence string" {
			t.Errorf("%v has a pointer: %s", c.of, path)
		}
	}
}

// pointerIn returns where a type has a pointer, or "".
func pointerIn(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if p := pointerIn(t.Field(i).Type); p != "" {
				return t.Field(i).Name + " " + p
			}
		}
		return ""
	case reflect.Array:
		return pointerIn(t.Elem())
	case reflect.Int64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		return ""
	}
	return t.String()
}

// Threads whose refs share a hash, and so a place in the index, are told apart by the refs.
func TestIndexTellsEqualHashesApart(t *testing.T) {
	x := newIndex()
	const same, other = 7<<32 | 5, 9<<32 | 5 // the upper half decides on nothing but the part
	for n := uint32(1); n <= 1000; n++ {
		hash := uint64(same)
		if n%2 == 0 {
			hash = other
		}
		x.add(hash, n)
	}
	for n := uint32(1); n <= 1000; n++ {
		if got := x.find(same, func(number uint32) bool { return number == n }); got != n {
			t.Fatalf("found %d for %d", got, n)
		}
	}
	if got := x.find(same, func(number uint32) bool { return number > 1000 }); got != 0 {
		t.Errorf("found %d, which is not there", got)
	}
	if got := x.find(6, func(uint32) bool { return true }); got != 0 {
		t.Errorf("found %d under another hash", got)
	}
}

// A leaf is there while one of its threads has terms, however often they were replaced, and a frozen copy
// keeps its own.
func TestSparseKeepsOnlyLeavesInUse(t *testing.T) {
	var x sparse
	const one, other, far = 3, 5, 5 << leafShift
	for _, n := range []uint32{one, far, one, other, other} {
		x.set(n, &Terms{ConfirmBefore: true})
	}
	frozen := x.freeze()
	x.set(one, nil)
	x.set(one, nil)
	if x.at(one) != nil || x.at(other) == nil || x.leaves[0] == nil {
		t.Error("one of two was removed, and that shows in the other")
	}
	x.set(other, nil)
	x.set(far+1, nil)
	if x.leaves[0] != nil || x.at(far) == nil {
		t.Error("a leaf is there without terms, or one with terms is not")
	}
	for n, want := range map[uint32]bool{one: true, other: true, far: true, far + 1: false, 1000 << leafShift: false} {
		if got := frozen.at(n) != nil; got != want {
			t.Errorf("frozen, %d has terms: %v", n, got)
		}
	}
}

// A long text does not end the chunk that shorter ones are being added to.
func TestLongTextHasAChunkOfItsOwn(t *testing.T) {
	var x arena
	long := strings.Repeat("long ", mostChunk/5)
	first := x.add(appendEntry(nil, "first", "short"))
	at := x.add(appendEntry(nil, "second", long))
	third := x.add(appendEntry(nil, "third", "short"))
	if first.chunk != third.chunk || at.chunk == first.chunk {
		t.Errorf("in chunks %d, %d and %d; want only the long one elsewhere", first.chunk, at.chunk, third.chunk)
	}
	if ref, intent := x.both(at); ref != "second" || intent != long {
		t.Errorf("the long text comes back as %q and %d bytes", ref, len(intent))
	}
}

// Difference does not rely on lists and the index to be right, since a snapshot may have been read wrong.
func TestDifferenceLooksAtListsAndIndex(t *testing.T) {
	build := func() *State {
		s := New()
		for i, ref := range []string{"a", "b", "c"} {
			s.Apply(Event{Seq: int64(i + 1), Thread: ref, Type: ThreadCreated, Actor: "agent", Payload: json.RawMessage(`{}`)})
		}
		return s
	}
	for want, damage := range map[string]func(t *table){
		"": func(*table) {},
		"thread c: it is not where it belongs among those of its status and priority":         func(t *table) { t.slots.change(3).links[ofStatus].older = 1 },
		"thread b: it is not where it belongs among those of its requestor":                   func(t *table) { t.slots.change(2).links[ofRequestor].older = 0 },
		"thread a: it is not where it belongs among those of its executor or with its demand": func(t *table) { t.slots.change(1).links[ofDoer].older = 1 },
		"thread c: it is not where it belongs among all":                                      func(t *table) { t.slots.change(2).links[ofAll].newer, t.slots.change(1).links[ofAll].newer = 0, 3 },
		"of 3 threads that belong into a list of those of its status and priority it has 2":   func(t *table) { t.byStatus[classPending][1].count-- },
		"of 3 threads that belong into a list of those of its requestor it has 3":             func(t *table) { c := t.chains(1)[ofRequestor]; c.marks = append(c.marks, 1) },
		"of 0 threads that belong into a list of all it has 1":                                func(t *table) { t.person(1).work.of(3).count++ },
		"thread c: not found by its ref in one of them":                                       func(t *table) { t.index = newIndex() },
	} {
		s := build()
		damage(s.table)
		if got := Difference(build(), s, func(a, b At) bool { return a == b }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Nor does it rely on the threads that expire to be the ones whose terms say so.
func TestDifferenceLooksAtWhatExpires(t *testing.T) {
	build := func() *State {
		s := New()
		for i, ref := range []string{"a", "b"} {
			s.Apply(Event{Seq: int64(i + 1), Thread: ref, Type: ThreadCreated, Actor: "agent", Payload: json.RawMessage(`{}`)})
			s.Apply(Event{Seq: int64(i + 1), Thread: ref, Type: MessageAdded, Actor: "agent", Payload: json.RawMessage(`{"mess":[{"request":{"needed_by":"2026-02-01T22:00:00Z"}}]}`)})
		}
		return s
	}
	for want, damage := range map[string]func(d *deadlines){
		"": func(*deadlines) {},
		`the next thread to expire is "a" and "b"`: func(d *deadlines) { d.remove(1) },
		`the next thread to expire is "b" and ""`:  func(d *deadlines) { d.remove(2) },
	} {
		s := build()
		damage(&s.table.deadlines)
		if got := Difference(build(), s, func(a, b At) bool { return a == b }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s := build()
	s.table.deadlines.remove(2)
	if got := Difference(s, build(), func(a, b At) bool { return a == b }); got != `the next thread to expire is "" and "b"` {
		t.Errorf("got %q", got)
	}
}
