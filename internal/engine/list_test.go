package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// page asks for a page that is not known.
func page(t *testing.T, e *Engine, c Caller, f exchange.Filter) List {
	t.Helper()
	list, err := e.ListUnless(t.Context(), c, f, func(ListVersion) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func refsOf(threads []exchange.Thread) (refs []string) {
	for _, t := range threads {
		refs = append(refs, t.Ref)
	}
	return refs
}

// Ensure that pages go on where they ended at another replica, and in an exchange that was put away and read
// again, whatever was changed in between.
func TestPagesGoOnAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		key, c := enroll(t, e, "home", "agent")
		var refs []string
		for i := range 20 {
			refs = append(refs, post(t, e, c, fmt.Sprint("intent ", i)))
		}
		slices.Reverse(refs)
		f := exchange.Filter{Limit: 5}
		var shown []string
		for i := range 4 {
			list := page(t, e, c, f)
			shown = append(shown, refsOf(list.Threads)...)
			if f.Beyond = list.Next; (f.Beyond == 0) != (i == 3) {
				t.Fatalf("page %d leads to %d", i+1, f.Beyond)
			}
			last := list.Threads[len(list.Threads)-1].Ref
			if err := e.Update(t.Context(), c, &exchange.Update{Ref: last, Mess: []json.RawMessage{json.RawMessage(`{"ack":{}}`)}}); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				shut(t, e)
			}
			e = launch(t, bucket.Store(true))
			c = letIn(t, e, "home", key)
		}
		if !slices.Equal(shown, refs) {
			t.Errorf("shown %v, want %v", shown, refs)
		}
	})
}

// Ensure that what a list is made of is the same just while the list is, and that it is not made for who has it.
func TestListUnless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, c := enroll(t, e, "home", "agent")
		empty := page(t, e, c, exchange.Filter{})
		if !empty.Version.Updated.IsZero() || len(empty.Threads) > 0 {
			t.Errorf("an empty exchange: %+v", empty)
		}
		later := time.Now().Add(time.Minute).UTC()
		cmd := &exchange.Create{Intent: "later", Request: json.RawMessage(`{"constraints":{"timing":{"not_before":"` + later.Format(time.RFC3339) + `"}}}`)}
		if err := e.Create(t.Context(), c, cmd); err != nil {
			t.Fatal(err)
		}
		mine := exchange.Filter{Eligible: "agent", Limit: 3}
		early := page(t, e, c, mine)
		if len(early.Threads) > 0 || !early.Until.Equal(later.Truncate(time.Second)) || early.Version.Head <= empty.Version.Head || !early.Version.Now.Equal(time.Now()) {
			t.Errorf("before its time: %+v", early)
		}
		known, err := e.ListUnless(t.Context(), c, mine, func(v ListVersion) bool { return v == early.Version })
		if err != nil || known.Threads != nil || known.Version != early.Version {
			t.Errorf("what is known: %+v, %v", known, err)
		}
		time.Sleep(time.Minute)
		if got := page(t, e, c, mine); len(got.Threads) != 1 || got.Version.Head != early.Version.Head || !got.Until.IsZero() {
			t.Errorf("in its time: %+v", got)
		}
		if _, err := e.ListUnless(t.Context(), Caller{Exchange: "home", Caller: exchange.Caller{Executor: "agent", KeyHash: "x"}}, mine, func(ListVersion) bool {
			t.Error("a stranger is told what there is")
			return true
		}); err == nil {
			t.Error("a stranger gets a list")
		}
	})
}

// Ensure that a thread that is known is not read from the log.
func TestThreadUnless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		key, c := enroll(t, e, "home", "agent")
		ref := post(t, e, c, "cold")
		shut(t, e)
		store := bucket.Store(false)
		e = launch(t, store)
		c = letIn(t, e, "home", key)
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Get {
				t.Error("the store is asked for what is known")
			}
			return faultblob.None
		})
		got, err := e.ThreadUnless(t.Context(), c, ref, func(th *exchange.Thread) bool { return th.Ref == ref && th.Messages == 1 })
		if err != nil || got.Ref != ref || got.Messages != nil {
			t.Errorf("got %+v, %v", got, err)
		}
		store.OnCall(nil)
		_, err = e.ThreadUnless(t.Context(), c, "2026-02-01-NONE", func(*exchange.Thread) bool { return true })
		wantCode(t, err, exchange.CodeThreadNotFound)
		if got, err := e.Thread(t.Context(), c, ref); err != nil || len(got.Messages) != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
