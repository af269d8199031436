//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkLimit is how long the search for an order of one thread's calls may take. Most take microseconds.
const checkLimit = 2 * time.Minute

// pictures is how many violations are drawn.
const pictures = 10

// record is the history of a run: which call was made when, and what it was answered.
//
// It is checked one thread (and one executor) at a time. For calls about one thread that loses
// nothing: a history is linearizable exactly if the history of each object is. A list is about every
// thread of its exchange at once; it is cut into one read of each, with the list's own begin and end.
// So every thread in it, and every one missing from it, must be as it was at a moment of that list, and
// what was acknowledged before the list began can't be missing or older. What is not checked is that
// it was the same moment for all of them.
type record struct {
	begun time.Time
	mu    sync.Mutex
	calls map[object][]porcupine.Operation
	lists map[string][]listing // by exchange
	count int                  // calls, a list being one
	fates map[string]int       // of calls: how many were answered, unknown …
	wrong []string             // what no order could excuse
}

// object is what a history is about: a thread, by its intent, or an executor.
type object struct{ exchange, kind, name string }

// listing is one answer that shows all objects of a kind.
type listing struct {
	kind, status string
	client       int
	call, end    int64
	shown        map[string]threadState
	more         bool // it was a page of a longer list, so that what is missing may be on the next one
}

func newRecord() *record {
	return &record{begun: time.Now(), calls: map[object][]porcupine.Operation{}, lists: map[string][]listing{}, fates: map[string]int{}}
}

// now is the time of the record: of one monotonic clock, the same for all clients.
func (r *record) now() int64 { return time.Since(r.begun).Nanoseconds() }

// mayExpire notes that a thread may expire from a moment on.
func (r *record) mayExpire(o object, from int64) {
	r.add(o, -1, from, deed{kind: "expire"}, happened{unknown: true})
}

// know makes an object one that may be listed, before the first call that could make it.
func (r *record) know(o object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.calls[o]; !known {
		r.calls[o] = nil
	}
}

// add notes a call that began at a moment and has just ended.
func (r *record) add(o object, client int, call int64, in deed, out happened) {
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: r.now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if out.unknown {
		op.Return = math.MaxInt64 // it may still take effect after everything else
	}
	r.calls[o] = append(r.calls[o], op)
}

func (r *record) list(exchange string, l listing) {
	l.end = r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists[exchange] = append(r.lists[exchange], l)
}

// tally counts a call and what became of it.
func (r *record) tally(fate string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.fates[fate]++
}

func (r *record) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// fault notes what can't be right, whatever else happened.
func (r *record) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// history is all that was seen of an object.
func (r *record) history(o object) []porcupine.Operation {
	ops := slices.Clone(r.calls[o])
	first := int64(math.MaxInt64)
	for _, op := range ops {
		first = min(first, op.Call)
	}
	seen := deed{kind: "listed"}
	if o.kind == "executor" {
		seen = deed{kind: "present"}
	}
	for _, l := range r.lists[o.exchange] {
		now, there := l.shown[o.name]
		if l.kind != o.kind || !there && (l.more || l.end < first) {
			continue // it is on another page, or nobody had asked for it yet: it could not be there
		}
		seen.status = l.status
		ops = append(ops, porcupine.Operation{ClientId: l.client, Input: seen, Output: happened{there: there, now: now}, Call: l.call, Return: l.end})
	}
	return ops
}

// check searches for an order of the calls of each object that explains all answers, and returns what
// has none. Pictures of those are kept in a folder.
func (r *record) check(folder string) (violations []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	violations = append(violations, r.wrong...)
	for exchange, lists := range r.lists {
		for _, l := range lists {
			for name := range l.shown {
				if _, known := r.calls[object{exchange, l.kind, name}]; !known {
					violations = append(violations, fmt.Sprintf("%s: a list shows the %s %q, which nobody asked for", exchange, l.kind, name))
				}
			}
		}
	}
	for o := range r.calls {
		model := threadModel
		if o.kind == "executor" {
			model = executorModel
		}
		ops := r.history(o)
		result := porcupine.CheckOperationsTimeout(model, ops, checkLimit)
		if result == porcupine.Ok {
			continue
		}
		excerpt := ""
		if result == porcupine.Illegal {
			excerpt = shortest(model, ops)
		}
		violations = append(violations, fmt.Sprintf("%s %q of %s: no order of its %d calls explains the answers (%s):\n%s",
			o.kind, o.name, o.exchange, len(ops), result, excerpt))
		if len(violations) > pictures {
			continue
		}
		_, info := porcupine.CheckOperationsVerbose(model, ops, checkLimit)
		picture := filepath.Join(folder, o.exchange+"-"+o.name+".html")
		if err := porcupine.VisualizePath(model, info, picture); err != nil {
			violations = append(violations, err.Error())
		}
	}
	return violations
}

// shortest is a history without what its fault does not need: the shortest beginning that has no
// explanation, without the reads and refusals that can be left out.
func shortest(model porcupine.Model, ops []porcupine.Operation) string {
	bad := func(ops []porcupine.Operation) bool {
		return porcupine.CheckOperationsTimeout(model, ops, checkLimit) == porcupine.Illegal
	}
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	var begun []porcupine.Operation
	for n := range ops {
		if begun = until(ops, ops[n].Return); bad(begun) {
			break
		}
	}
	for i := len(begun) - 1; i >= 0; i-- {
		if !looks(begun[i].Input.(deed).kind) && begun[i].Output.(happened).code == "" {
			continue
		}
		if without := slices.Delete(slices.Clone(begun), i, i+1); bad(without) {
			begun = without
		}
	}
	slices.SortFunc(begun, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var all strings.Builder
	for _, op := range begun {
		end := "        …"
		if op.Return != math.MaxInt64 {
			end = fmt.Sprintf("%9.3f", float64(op.Return)/1e9)
		}
		fmt.Fprintf(&all, "  %9.3f –%s s  client %d  %s\n", float64(op.Call)/1e9, end, op.ClientId, describe(op.Input, op.Output))
	}
	return all.String()
}

// until is the history up to a moment: what had begun by then, and is unknown where it had not returned.
func until(ops []porcupine.Operation, moment int64) []porcupine.Operation {
	var begun []porcupine.Operation
	for _, op := range ops {
		switch {
		case op.Return <= moment:
			begun = append(begun, op)
		case op.Call <= moment && !looks(op.Input.(deed).kind):
			op.Return, op.Output = math.MaxInt64, happened{unknown: true}
			begun = append(begun, op)
		}
	}
	return begun
}

// looks reports whether a call of that kind changes nothing.
func looks(kind string) bool { return kind == "read" || kind == "listed" || kind == "present" }
