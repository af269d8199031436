//go:build e2e

package e2e

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

// small is a history of a few calls.
type small struct {
	name string
	ok   bool // the model explains it
	ops  []porcupine.Operation
}

func explains(t *testing.T, histories []small) {
	t.Helper()
	for _, h := range histories {
		if got := porcupine.CheckOperations(threadModel, h.ops); got != h.ok {
			t.Errorf("%s: explained: %v, want %v", h.name, got, h.ok)
		}
	}
}

// The calls of those histories.

func answeredTo(kind, who, status string, call, end int64, now string, code int) porcupine.Operation {
	return porcupine.Operation{Input: deed{kind: kind, who: who, status: status}, Call: call, Return: end,
		Output: happened{status: code, now: threadState{status: now}}}
}

var createdByAnn = answeredTo("create", "ann", "", 0, 1, "", 201)

func claimedBy(who string, call, end int64) porcupine.Operation {
	return answeredTo("update", who, "claimed", call, end, "claimed", 200)
}

func perhaps(op porcupine.Operation) porcupine.Operation {
	op.Return, op.Output = math.MaxInt64, happened{unknown: true}
	return op
}

func refusedTo(who, code string, call, end int64) porcupine.Operation {
	return porcupine.Operation{Input: deed{kind: "update", who: who, status: "claimed"}, Call: call, Return: end, Output: happened{status: 409, code: code}}
}

func sawIt(kind, status, holder string, call, end int64) porcupine.Operation {
	return porcupine.Operation{Input: deed{kind: kind}, Call: call, Return: end,
		Output: happened{there: status != "", now: threadState{requestor: "ann", status: status, holder: holder}}}
}

// TestModel holds the model to small histories: what must be explained, and what can't be.
func TestModel(t *testing.T) {
	explains(t, []small{
		{"a claim, read", true, []porcupine.Operation{createdByAnn, claimedBy("bob", 2, 3), sawIt("read", "claimed", "bob", 4, 5)}},
		{"a stale read", false, []porcupine.Operation{createdByAnn, claimedBy("bob", 2, 3), sawIt("read", "pending", "", 4, 5)}},
		{"a read beside the claim", true, []porcupine.Operation{createdByAnn, claimedBy("bob", 2, 6), sawIt("read", "pending", "", 4, 5)}},
		{"two winners", false, []porcupine.Operation{createdByAnn, claimedBy("bob", 2, 3), claimedBy("cleo", 2, 3)}},
		{"a winner and a loser", true, []porcupine.Operation{createdByAnn, claimedBy("bob", 2, 3), refusedTo("cleo", "already_claimed", 2, 3)}},
		{"a loser before the winner began", false, []porcupine.Operation{createdByAnn, refusedTo("cleo", "already_claimed", 2, 3), claimedBy("bob", 4, 5)}},
		{"an unknown claim, seen late", true, []porcupine.Operation{createdByAnn, perhaps(claimedBy("bob", 2, 3)), sawIt("read", "pending", "", 4, 5), sawIt("read", "claimed", "bob", 6, 7)}},
		{"an unknown claim, never seen", true, []porcupine.Operation{createdByAnn, perhaps(claimedBy("bob", 2, 3)), claimedBy("cleo", 4, 5)}},
		{"an unknown claim, seen and undone", false, []porcupine.Operation{createdByAnn, perhaps(claimedBy("bob", 2, 3)), sawIt("read", "claimed", "bob", 4, 5), sawIt("read", "pending", "", 6, 7)}},
		{"a claim that was refused as not stored, seen", false, []porcupine.Operation{createdByAnn, sawIt("read", "claimed", "bob", 4, 5)}},
		{"missing from a list", false, []porcupine.Operation{createdByAnn, sawIt("listed", "", "", 2, 3)}},
		{"missing from a list beside its creation", true, []porcupine.Operation{answeredTo("create", "ann", "", 0, 5, "", 201), sawIt("listed", "", "", 2, 3)}},
		{"listed with an old status", false, []porcupine.Operation{createdByAnn, claimedBy("bob", 2, 3), sawIt("listed", "pending", "", 4, 5)}},
		{"listed, then missing", false, []porcupine.Operation{perhaps(createdByAnn), sawIt("listed", "pending", "", 2, 3), sawIt("listed", "", "", 4, 5)}},
	})
}

// TestModelOfExpiry: the same for threads that expire.
func TestModelOfExpiry(t *testing.T) {
	timed, invalid := createdByAnn, createdByAnn
	timed.Input = deed{kind: "create", who: "ann", timed: true}
	invalid.Input, invalid.Output = timed.Input, happened{status: 400, code: "invalid"}
	expires := func(from int64) porcupine.Operation {
		return perhaps(porcupine.Operation{Input: deed{kind: "expire"}, Call: from})
	}
	late := func(op porcupine.Operation) porcupine.Operation {
		in := op.Input.(deed)
		in.late = true
		op.Input = in
		return op
	}
	explains(t, []small{
		{"expired, after its time", true, []porcupine.Operation{timed, expires(2), sawIt("read", "pending", "", 3, 4), sawIt("read", "expired", "", 5, 6)}},
		{"expired, before its time", false, []porcupine.Operation{timed, expires(5), sawIt("read", "expired", "", 3, 4)}},
		{"expired and pending again", false, []porcupine.Operation{timed, expires(2), sawIt("read", "expired", "", 3, 4), sawIt("read", "pending", "", 5, 6)}},
		{"expired while it is held", false, []porcupine.Operation{timed, expires(2), claimedBy("bob", 3, 4), sawIt("read", "expired", "bob", 5, 6)}},
		{"expired without a needed_by", false, []porcupine.Operation{createdByAnn, expires(2), sawIt("read", "expired", "", 3, 4)}},
		{"a claim beside the expiry", true, []porcupine.Operation{timed, expires(2), claimedBy("bob", 3, 4), sawIt("read", "claimed", "bob", 5, 6)}},
		{"a claim of what has expired", false, []porcupine.Operation{timed, expires(2), sawIt("read", "expired", "", 3, 4), claimedBy("bob", 5, 6)}},
		{"a claim that came too late", false, []porcupine.Operation{timed, expires(2), late(claimedBy("bob", 5, 6))}},
		{"a refusal that came too late", true, []porcupine.Operation{timed, expires(2), late(refusedTo("bob", "thread_closed", 5, 6)), sawIt("read", "expired", "", 7, 8)}},
		{"too late for its creation", true, []porcupine.Operation{invalid, sawIt("listed", "", "", 2, 3)}},
		{"too late for its creation, and there", false, []porcupine.Operation{invalid, sawIt("listed", "pending", "", 2, 3)}},
	})
}
