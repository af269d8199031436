//go:build !race

package exchange_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// What holds of tens of thousands of things at once. One goroutine does it all, the same that the other tests have it
// do with few, so the race detector would see nothing more in minutes.

// Who holds more than one commit gives back leaves in several, and is there until the last.
func TestRemoveInParts(t *testing.T) {
	const threads = 25_000
	s := threadIn(exchange.StatusCompleted)
	seq := int64(10)
	apply := func(d exchange.Draft) {
		seq++
		s.Apply(exchange.Event{Seq: seq, Thread: d.Thread, Type: d.Type, Actor: d.Actor, Payload: d.Payload})
	}
	for i := range threads {
		ref := fmt.Sprintf("2026-02-02-%d", i)
		apply(exchange.Draft{Thread: ref, Type: exchange.ThreadCreated, Actor: "requestor", Payload: json.RawMessage(`{"intent":"x"}`)})
		apply(exchange.Draft{Thread: ref, Type: exchange.StatusChanged, Actor: "holder", Payload: json.RawMessage(`{"new_status":"claimed","executor_id":"holder"}`)})
	}
	cmd := &exchange.Remove{Caller: exchange.Caller{Executor: "holder", KeyHash: "key-holder"}, ID: "holder"}
	for part, want := range []int{10_000, 10_000, 5_001} {
		drafts, refusal := cmd.Decide(s, time.Time{})
		if refusal != nil || len(drafts) != want || cmd.Result.Left != (part < 2) {
			t.Fatalf("part %d: %d events, %v, left: %v", part+1, len(drafts), refusal, cmd.Result.Left)
		}
		size := 0
		for _, d := range drafts {
			apply(d)
			size += len(d.Payload) + len(d.Thread) + 250 // the rest of its line, ids of 64 characters included
		}
		if size > 8<<20 {
			t.Errorf("part %d takes %d bytes of the log", part+1, size)
		}
		if _, there := s.Executor("holder"); there != cmd.Result.Left {
			t.Fatalf("part %d: there: %v", part+1, there)
		}
	}
	if held := len(s.Threads(exchange.Filter{Status: exchange.StatusClaimed})); held > 0 {
		t.Errorf("%d threads are held by nobody", held)
	}
	if refs := s.Threads(exchange.Filter{Status: exchange.StatusPending, Limit: 1}); refs[0].Ref != fmt.Sprintf("2026-02-02-%d", threads-1) {
		t.Errorf("the order was lost: %s is in front", refs[0].Ref)
	}
}

// Ensure that the outbox is bounded: the oldest event is given up, and counted.
func TestOutboxIsBounded(t *testing.T) {
	const most = 1 << 16
	s := outboxOf(most + 10)
	if got := s.Outbox(); got.Events != most || got.Lost != 10 {
		t.Errorf("%+v", got)
	}
	if _, ok := s.Undelivered(11); ok {
		t.Error("the oldest is still open")
	}
	if next, ok := s.NextUndelivered(); !ok || next.Event != 12 {
		t.Errorf("the next is %+v", next)
	}
}

// Ensure that the last deliveries are remembered, that those of others don't show, and that a page is asked for from
// anywhere.
func TestDeliveriesAreTheLast(t *testing.T) {
	const most = 1 << 15
	s := outboxOf(3)
	number := 0
	rounds := func(event int64, executor string, count int) {
		for round := int64(1); count > 0; round++ {
			var outcomes []string
			for ; count > 0 && len(outcomes) < 1000; count-- {
				number++
				outcomes = append(outcomes, fmt.Sprintf(`{"executor":%q,"channel":"channel %d ntfy","attempt":1,"outcome":"delivered","status":200}`, executor, number))
			}
			happen(s, int64(number+100), exchange.NoteDelivery, "", "-", fmt.Sprintf(`{"event":%d,"round":%d,"told":0,"outcomes":[%s]}`, event, round, strings.Join(outcomes, ",")))
		}
	}
	rounds(2, "phone", 5)
	rounds(3, "tablet", most-2)
	all, more := s.Deliveries("phone", 0, 10)
	if len(all) != 2 || more != 0 || all[0].Way != "channel 5 ntfy" || all[1].Way != "channel 4 ntfy" {
		t.Errorf("the phone's: %+v, %d", all, more)
	}
	rounds(4, "tablet", 2)
	if all, more := s.Deliveries("phone", 0, 10); len(all)+int(more) != 0 {
		t.Errorf("the phone's, forgotten by now: %+v, %d", all, more)
	}
	page, more := s.Deliveries("tablet", 0, most-1)
	rest, end := s.Deliveries("tablet", more, 10)
	if len(page) != most-1 || len(rest) != 1 || end != 0 || rest[0].Way != "channel 6 ntfy" {
		t.Errorf("the tablet's: %d, then %+v and %d", len(page), rest, end)
	}
	if all, _ := s.Deliveries("tablet", 1, 10); len(all) != 0 {
		t.Errorf("from before what is forgotten: %+v", all)
	}
	if all, _ := s.Deliveries("tablet", 1<<40, 1); len(all) != 1 || all[0].Way != fmt.Sprintf("channel %d ntfy", number) {
		t.Errorf("from before what is to come: %+v", all)
	}
	again := decoded(t, encoded(t, s.Freeze()))
	if d := exchange.Difference(s, again, equalPlaces); d != "" {
		t.Error(d)
	}
	if all, _ := again.Deliveries("tablet", 0, 1); len(all) != 1 || all[0].Way != fmt.Sprintf("channel %d ntfy", number) {
		t.Errorf("from a snapshot: %+v", all)
	}
}

// Of a steady flow of keys those of a day are kept and no others, through freezes, and in a snapshot. What was
// frozen stays as it was.
func TestAnswersOfADay(t *testing.T) {
	const aDay = 300
	now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	s := exchange.New()
	once := func(n int) exchange.Once { return exchange.NewOnce(fmt.Sprint(n), "POST", "/", nil) }
	var frozen *exchange.Frozen
	var bytesThen []byte
	for n := range 5 * aDay {
		now = now.Add(exchange.KeyLife / aDay)
		s.Apply(exchange.Event{Seq: int64(n + 1), TS: now, Type: exchange.NoteAnswered, Actor: "agent",
			Payload: []byte(once(n).Payload(404, exchange.CodeThreadNotFound, fmt.Sprint("sentence ", n), exchange.Result{}))})
		for age, want := range map[int]bool{0: true, aDay - 1: true, aDay: false, aDay + 1: false} {
			if n < age {
				continue
			}
			if got := exchange.AnswerTo(s, "agent", once(n-age), now); (got != "") != want {
				t.Fatalf("after %d answers that of %d before is %q", n, age, got)
			}
		}
		if kept := exchange.AnswersKept(s); kept > aDay+256 {
			t.Fatalf("%d answers are kept", kept)
		}
		if n%97 == 0 {
			if frozen != nil && !bytes.Equal(encoded(t, frozen), bytesThen) {
				t.Fatal("later answers show in a frozen state")
			}
			frozen = s.Freeze()
			bytesThen = encoded(t, frozen)
			if diff := exchange.Difference(s, decoded(t, bytesThen), equalPlaces); diff != "" {
				t.Fatal(diff)
			}
		}
	}
	s.Apply(exchange.Event{Seq: 5*aDay + 1, TS: now.Add(exchange.KeyLife), Type: exchange.DayClosed})
	if kept := exchange.AnswersKept(s); kept != 0 {
		t.Fatalf("a day later %d answers are kept", kept)
	}
}
