package exchange_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// asks decides a new request that asks for something.
func asks(s *exchange.State, request string) *exchange.Error {
	c := &exchange.Create{Caller: exchange.Caller{Executor: "other", KeyHash: "key-other"}, Intent: "x", Request: json.RawMessage(request), Suffixes: []string{"NEW1"}}
	_, refusal := c.Decide(s, aDay)
	return refusal
}

// What a request lists is bounded, since it is kept in memory while the thread is open.
func TestRequestsListAtMostSoMuch(t *testing.T) {
	s := threadIn(exchange.StatusPending)
	list := func(n int, entry string) string {
		return "[" + strings.Repeat(entry+",", n-1) + entry + "]"
	}
	for request, want := range map[string]string{
		`{"requires":` + list(100, `"see"`) + `}`:                             "",
		`{"requires":` + list(101, `"see"`) + `}`:                             "requires: must have at most 100 entries",
		`{"constraints":{"depends_on":` + list(101, `"`+scriptRef+`"`) + `}}`: "constraints.depends_on: must have at most 100 entries",
		`{"requires":["` + strings.Repeat("x", 256) + `"]}`:                   "",
		`{"requires":["` + strings.Repeat("x", 257) + `"]}`:                   "requires[0]: must be the name of a capability",
		`{"requires":[{"` + strings.Repeat("x", 257) + `":1}]}`:               "requires[0]: must be the name of a capability",
	} {
		refusal := asks(s, request)
		if want == "" && refusal != nil || want != "" && (refusal == nil || refusal.Code != exchange.CodeInvalid || !strings.HasPrefix(refusal.Message, want)) {
			t.Errorf("%.60s: %v", request, refusal)
		}
	}
}

const scriptRef = "2026-02-01-XY1Z"

// A refusal names ten of what is missing and says that there is more.
func TestRefusalsStayShort(t *testing.T) {
	var names []string
	for i := range 11 {
		names = append(names, fmt.Sprintf("%q", fmt.Sprint("c", i)))
	}
	for count, end := range map[int]string{10: "c9; you may", 11: "c9 and more; you may"} {
		s := threadIn(exchange.StatusPending)
		s.Apply(exchange.Event{Seq: 2, Thread: scriptRef, Type: exchange.MessageAdded, Payload: json.RawMessage(`{"mess":[{"request":{"requires":[` + strings.Join(names[:count], ",") + `]}}]}`)})
		_, refusal := (&exchange.Update{Caller: exchange.Caller{Executor: "other", KeyHash: "key-other"}, Ref: scriptRef, Status: "claimed"}).Decide(s, aDay)
		if refusal == nil || refusal.Code != exchange.CodeMissingCapability || !strings.Contains(refusal.Message, end) {
			t.Errorf("%d are missing: %v", count, refusal)
		}
	}
}

// Which threads one Expire takes, and in which order, depends on when they are due and their refs, not on
// how the state came about.
func TestExpireTakesTheFirstDue(t *testing.T) {
	const threads, most = 600, 256
	build := func(order func(i int) int) *exchange.State {
		s := exchange.New()
		for i := range threads {
			n := order(i)
			ref := exchange.NewRef(aDay, fmt.Sprintf("N%03d", n))
			due := aDay.Add(time.Duration(n/3) * time.Second).Format(time.RFC3339)
			s.Apply(exchange.Event{Seq: 1, TS: aDay, Thread: ref, Type: exchange.ThreadCreated, Actor: "agent", Payload: json.RawMessage(`{}`)})
			s.Apply(exchange.Event{Seq: 1, TS: aDay, Thread: ref, Type: exchange.MessageAdded, Actor: "agent", Payload: json.RawMessage(`{"mess":[{"request":{"needed_by":"` + due + `"}}]}`)})
		}
		return s
	}
	up := build(func(i int) int { return i })
	for name, s := range map[string]*exchange.State{
		"created in the order of time":      up,
		"created in the other order":        build(func(i int) int { return threads - 1 - i }),
		"created in no order":               build(func(i int) int { return i * 7 % threads }),
		"restored":                          decoded(t, encoded(t, up.Freeze())),
		"a fork of one that is half as old": halfForked(build(func(i int) int { return i }), threads),
	} {
		c := &exchange.Expire{}
		drafts, refusal := c.Decide(s, aDay.Add(time.Hour))
		if refusal != nil || len(drafts) != most || c.Result.Expired != most || !c.Result.More {
			t.Fatalf("%s: %d events, %+v, %v", name, len(drafts), c.Result, refusal)
		}
		for i, d := range drafts {
			if want := exchange.NewRef(aDay, fmt.Sprintf("N%03d", i)); d.Thread != want || d.Actor != "-" {
				t.Fatalf("%s: number %d is %s by %s, want %s", name, i, d.Thread, d.Actor, want)
			}
		}
	}
}

// halfForked returns a fork in which every second thread got a message.
func halfForked(s *exchange.State, threads int) *exchange.State {
	f := s.Fork()
	for i := threads - 2; i >= 0; i -= 2 {
		f.Apply(exchange.Event{Seq: 2, TS: aDay, Thread: exchange.NewRef(aDay, fmt.Sprintf("N%03d", i)), Type: exchange.MessageAdded, Actor: "agent", Payload: json.RawMessage(`{"mess":[]}`)})
	}
	return f
}
