package exchange

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// Difference says in words what differs first in two states that are no forks, and "" where they show
// the same in every way. same tells whether two places hold the same event: they may be of a log before
// and after something in it was moved.
func Difference(a, b *State, same func(a, b At) bool) string {
	for _, differ := range []func() string{
		func() string { return differs("", "read-only since", a.readOnly, b.readOnly) },
		func() string { return differentExecutors(a, b) },
		func() string { return differentThreads(a, b, same) },
		func() string { return differentLists(a, b) },
		func() string { return differentDue(a, b) },
		func() string { return differentActors(a, b) },
		func() string { return differentAnswers(a, b) },
		func() string { return differentIdle(a, b) },
		func() string { return differentAttachments(a, b) },
		func() string { return differentOutboxes(a, b) },
	} {
		if d := differ(); d != "" {
			return d
		}
	}
	return ""
}

// differs compares one value of two states.
func differs[T comparable](of, what string, a, b T) string {
	if a == b {
		return ""
	}
	if of != "" {
		of += ": "
	}
	return fmt.Sprintf("%s%s %#v and %#v", of, what, a, b)
}

// first returns the first that is not empty.
func first(differences ...string) string {
	for _, d := range differences {
		if d != "" {
			return d
		}
	}
	return ""
}

func differentExecutors(a, b *State) string {
	for i := range max(len(a.register.ids), len(b.register.ids)) {
		x, y := a.register.nth(i), b.register.nth(i)
		of := fmt.Sprintf("executor %s", x.ID)
		d := first(
			differs("", fmt.Sprintf("executor number %d is", i+1), x.ID, y.ID),
			differs(of, "display name", x.DisplayName, y.DisplayName),
			differs(of, "capabilities", fmt.Sprintf("%q", x.Capabilities), fmt.Sprintf("%q", y.Capabilities)),
			differs(of, "key hash", x.KeyHash, y.KeyHash),
			differs(of, "has the key", a.register.opens(x), b.register.opens(y)),
			differs(of, "created", stamp(x.CreatedAt), stamp(y.CreatedAt)),
			differs(of, "removed", x.removed, y.removed),
			differs(of, "notifications", x.Notify, y.Notify),
		)
		if d != "" {
			return d
		}
	}
	return ""
}

// nth returns an executor, or one without anything past the last.
func (r *register) nth(i int) *Executor {
	if i >= len(r.ids) {
		return &Executor{}
	}
	return r.executors[r.ids[i]]
}

func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

func differentActors(a, b *State) string {
	actors := slices.Concat(a.table.names.list, b.table.names.list)
	slices.Sort(actors)
	for _, actor := range slices.Compact(actors) {
		if d := differs("actor "+actor, "last event", stamp(a.LastEvent(actor)), stamp(b.LastEvent(actor))); d != "" {
			return d
		}
	}
	return ""
}

// differentThreads walks both lists of all, and finds each thread by its ref too.
func differentThreads(a, b *State, same func(a, b At) bool) string {
	next, stop := iter.Pull(b.list())
	defer stop()
	for x := range a.list() {
		y, _ := next()
		if d := differentThread(x, y); d != "" {
			return d
		}
		if d := differentTerms("thread "+x.Ref, a.Terms(x.Ref), b.Terms(x.Ref)); d != "" {
			return d
		}
		for _, s := range []*State{a, b} {
			if found, _ := s.Thread(x.Ref); found.Ref != x.Ref {
				return fmt.Sprintf("thread %s: not found by its ref in one of them", x.Ref)
			}
		}
		if d := differentPast(a, b, x.Ref, same); d != "" {
			return d
		}
		at, bt := a.Messages(x.Ref), b.Messages(x.Ref)
		for i := range at {
			if !same(at[i], bt[i]) {
				return fmt.Sprintf("thread %s: message %d is at %x and %x", x.Ref, i+1, at[i], bt[i])
			}
		}
	}
	if y, more := next(); more {
		return differentThread(Thread{}, y)
	}
	return ""
}

// differentPast compares where a thread came from and what has happened to it.
func differentPast(a, b *State, ref string, same func(a, b At) bool) string {
	of := "thread " + ref
	at, imported := a.Imported(ref)
	bt, alsoImported := b.Imported(ref)
	if d := differs(of, "imported", imported, alsoImported); d != "" {
		return d
	}
	if imported && !same(at, bt) {
		return fmt.Sprintf("%s: its import is at %x and %x", of, at, bt)
	}
	x, y := a.History(ref), b.History(ref)
	if slices.Equal(x, y) {
		return ""
	}
	return fmt.Sprintf("%s: history %v and %v", of, x, y)
}

func (s *State) list() iter.Seq[Thread] {
	return func(yield func(Thread) bool) {
		s.walk(&query{state: s}, func(t *Thread, _ *Terms, _ int64) bool { return yield(*t) })
	}
}

func differentThread(x, y Thread) string {
	if x == y {
		return ""
	}
	of := "thread " + x.Ref
	return first(
		differs("", "the next thread of the list is", x.Ref, y.Ref),
		differs(of, "status", x.Status, y.Status),
		differs(of, "status set by", x.StatusBy, y.StatusBy),
		differs(of, "intent", x.Intent, y.Intent),
		differs(of, "requestor", x.Requestor, y.Requestor),
		differs(of, "executor", x.Executor, y.Executor),
		differs(of, "priority", x.Priority, y.Priority),
		differs(of, "created", stamp(x.CreatedAt), stamp(y.CreatedAt)),
		differs(of, "updated", stamp(x.UpdatedAt), stamp(y.UpdatedAt)),
		differs(of, "seq", x.Seq, y.Seq),
		differs(of, "messages", x.Messages, y.Messages),
	)
}

func differentTerms(of string, x, y Terms) string {
	if x.equal(&y) {
		return ""
	}
	return first(
		differs(of, "requires", fmt.Sprintf("%q", x.Requires), fmt.Sprintf("%q", y.Requires)),
		differs(of, "needed by", stamp(x.NeededBy), stamp(y.NeededBy)),
		differs(of, "not before", stamp(x.NotBefore), stamp(y.NotBefore)),
		differs(of, "depends on", fmt.Sprintf("%q", x.DependsOn), fmt.Sprintf("%q", y.DependsOn)),
		differs(of, "confirm before", x.ConfirmBefore, y.ConfirmBefore),
		differs(of, "confirmed", x.Confirmed, y.Confirmed),
		differs(of, "reserved for", x.ReservedFor, y.ReservedFor),
		differs(of, "status before", x.Before, y.Before),
		differs(of, "a no cancels", x.DenialCancels, y.DenialCancels),
	)
}

// differentDue compares which threads expire, in order.
func differentDue(a, b *State) string {
	next, stop := iter.Pull(b.dueThreads())
	defer stop()
	for x := range a.dueThreads() {
		if y, _ := next(); x != y {
			return differs("", "the next thread to expire is", x.ref, y.ref)
		}
	}
	y, _ := next()
	return differs("", "the next thread to expire is", "", y.ref)
}

func (s *State) dueThreads() iter.Seq[due] {
	return func(yield func(due) bool) { s.eachDue(yield) }
}

// differentLists looks whether each of two states, whose lists of all are known to be equal, has filed its
// threads as it should: then all other lists are equal too.
func differentLists(a, b *State) string {
	return first(a.table.misfiled(), b.table.misfiled())
}
