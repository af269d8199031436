package exchange_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

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
