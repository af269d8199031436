package exchange_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// roundOf is a round's payload with count outcomes, each of another executor, which is named by format.
func roundOf(event, round int64, count int, format, rest string) string {
	outcomes := make([]string, count)
	for i := range outcomes {
		outcomes[i] = fmt.Sprintf(`{"executor":%q,"channel":"channel 0 ntfy","attempt":1,%s}`, fmt.Sprintf(format, i), rest)
	}
	return fmt.Sprintf(`{"event":%d,"round":%d,"told":1,"outcomes":[%s]}`, event, round, strings.Join(outcomes, ","))
}

const retryRest = `"outcome":"retry","next":"2026-02-01T00:01:00Z"`

// Ensure that what is to be tried again is bounded in all events together: the oldest is given up.
func TestTriesAreBounded(t *testing.T) {
	const each, events = 1 << 13, 33 // one event more than there is room for
	s := outboxOf(events)
	for i := range int64(events) {
		happen(s, 100+i, exchange.NoteDelivery, "", "-", roundOf(2+i, 1, each, "e%d", retryRest))
	}
	if got := s.Outbox(); got != (exchange.Outbox{Events: events - 1, Tries: each * (events - 1), Lost: 1}) {
		t.Errorf("%+v", got)
	}
	if _, open := s.Undelivered(2); open {
		t.Error("the oldest is still open")
	}
}

// Ensure that the newest ids of things elsewhere are kept, and no others.
func TestExternalIDsAreBounded(t *testing.T) {
	const most = 1 << 14
	s := outboxOf(3)
	for i, count := range []int{most / 2, most / 2, 1} {
		rest := fmt.Sprintf(`"outcome":"delivered","external_id":"x%d"`, i)
		happen(s, int64(10+i), exchange.NoteDelivery, "", "-", roundOf(int64(2+i), 1, count, fmt.Sprintf("e%d-%%d", i), rest))
	}
	for key, want := range map[[2]string]string{
		{"e0-0", "2026-02-01-0"}: "", {"e0-1", "2026-02-01-0"}: "x0", {"e1-0", "2026-02-01-1"}: "x1", {"e2-0", "2026-02-01-2"}: "x2",
	} {
		if got := s.ExternalID(key[0], key[1]); got != want {
			t.Errorf("what %s has elsewhere is %q, want %q", key[0], got, want)
		}
	}
}

// Ensure that the profiles kept as they were are bounded: beyond it, an event goes by the oldest that is left.
func TestFormerProfilesAreBounded(t *testing.T) {
	const most, more = 1 << 12, 5
	s := outboxOf(1)
	for i := range most + more {
		happen(s, int64(3+i), exchange.ExecutorUpdated, "", "phone", fmt.Sprintf(`{"display_name":"name %d"}`, i))
	}
	u, open := s.Undelivered(2)
	if !open {
		t.Fatal("the event is not open")
	}
	// The first profile, named by its id, and the next four are forgotten.
	if all := s.Roll(u).Executors(); len(all) != 1 || all[0].DisplayName != fmt.Sprintf("name %d", more-1) {
		t.Errorf("the roll is %+v", all)
	}
	if d := exchange.Difference(s, decoded(t, encoded(t, s.Freeze())), equalPlaces); d != "" {
		t.Error(d)
	}
}

// Ensure that neither a fork nor what comes from the original server opens anything, however it is folded.
func TestWhatOpensNothing(t *testing.T) {
	s := outboxOf(1)
	fork := s.Fork()
	happen(fork, 3, exchange.ExecutorRegistered, "", "robot", `{"api_key_hash":"r","notify":["channels","hooks"]}`)
	happen(fork, 3, exchange.ThreadCreated, "2026-02-01-F", "agent", `{"intent":"look"}`)
	happen(fork, 4, exchange.StatusChanged, "2026-02-01-0", "robot", `{"new_status":"claimed","executor_id":"robot"}`)
	happen(s, 0, exchange.ThreadCreated, "2026-02-01-Z", "agent", `{"intent":"look"}`)
	if got := s.Outbox(); got != (exchange.Outbox{Events: 1}) {
		t.Errorf("%+v", got)
	}
}

// Ensure that a round that can't be is passed over, and that what one says too much of is cut: after each, the state
// can be written down and read.
func TestDamagedRounds(t *testing.T) {
	s := outboxOf(1)
	happen(s, 3, exchange.NoteDelivery, "", "-", roundOf(2, 1, 1, "phone", retryRest))
	for _, damaged := range []string{
		`{"event":2,"round":2,"told":0,"outcomes":[]}`, `{"event":2,"round":2,"told":2,"outcomes":[]}`, `{"event":2,"round":2,"told":-1,"outcomes":[]}`,
		`{"event":2,"round":1,"told":1,"outcomes":[]}`, `{"event":2,"round":3,"told":1,"outcomes":[]}`, `{"event":-2,"round":2,"told":1,"outcomes":[]}`,
		`{"event":"2","round":2,"told":1}`, `{"event":2,"round":2,"told":1,"outcomes":{}}`, `[]`, `null`,
	} {
		before, _ := s.Undelivered(2)
		happen(s, 4, exchange.NoteDelivery, "", "-", damaged)
		if after, open := s.Undelivered(2); !open || after != before {
			t.Fatalf("%s: %+v", damaged, after)
		}
	}
	long := strings.Repeat("x", 257)
	for i, outcome := range []string{
		`{"executor":"phone","channel":"channel 0 ntfy","attempt":99999999999,` + retryRest + `,"external_id":"` + long + `"}`,
		`{"executor":"phone","channel":"channel 0 ntfy","attempt":-7,` + retryRest + `,"status":-9}`,
	} {
		happen(s, int64(5+i), exchange.NoteDelivery, "", "-", fmt.Sprintf(`{"event":2,"round":%d,"told":1,"outcomes":[%s]}`, 2+i, outcome))
		if d := exchange.Difference(s, decoded(t, encoded(t, s.Freeze())), equalPlaces); d != "" {
			t.Error(d)
		}
	}
	if got := s.ExternalID("phone", "2026-02-01-0"); got != "" {
		t.Errorf("an id of %d bytes is kept", len(got))
	}
}

// Ensure that a frozen copy stays as it was, whatever becomes of the outbox.
func TestFrozenOutboxStays(t *testing.T) {
	s := outboxOf(2)
	happen(s, 4, exchange.NoteDelivery, "", "-", roundOf(2, 1, 1, "phone", retryRest+`,"external_id":"7"`))
	frozen := s.Freeze()
	before := encoded(t, frozen)
	happen(s, 5, exchange.NoteDelivery, "", "-", roundOf(2, 2, 1, "phone", `"outcome":"failed","external_id":"8"`))
	happen(s, 6, exchange.NoteDelivery, "", "-", roundOf(3, 1, 1, "phone", `"outcome":"delivered"`))
	happen(s, 7, exchange.NoteLease, "", "-", `{"holder":"x","duration_ms":1000}`)
	happen(s, 8, exchange.ThreadCreated, "2026-02-01-N", "agent", `{"intent":"look"}`)
	if !bytes.Equal(encoded(t, frozen), before) {
		t.Error("it is encoded in another way than before")
	}
}

// Ensure that it is known when what an event tells is of no use any more, and whom a new thread is for.
func TestStandingAndEligible(t *testing.T) {
	s := outboxOf(0)
	happen(s, 2, exchange.ExecutorUpdated, "", "phone", `{"capabilities":["see"],"notify":["hooks"]}`)
	happen(s, 3, exchange.ExecutorRegistered, "", "deaf", `{"api_key_hash":"d","notify":["hooks"]}`)
	const ref = "2026-02-01-S"
	happen(s, 4, exchange.ThreadCreated, ref, "agent", `{"intent":"look"}`)
	happen(s, 5, exchange.MessageAdded, ref, "agent", `{"mess":[{"request":{"intent":"look","requires":["see"]}}]}`)
	created, open := s.Undelivered(4)
	if !open {
		t.Fatal("the new thread is not open")
	}
	roll := s.Roll(created)
	var eligible []string
	for _, e := range roll.Executors() {
		if roll.Eligible(created.After, e) {
			eligible = append(eligible, e.ID)
		}
	}
	if fmt.Sprint(eligible) != "[phone]" {
		t.Errorf("it is for %v", eligible)
	}
	events := []*exchange.Undelivered{created}
	for i, step := range []struct{ status, standing, closed string }{
		{"", "[true]", "[false]"},
		{"claimed", "[false true]", "[false false]"},
		{"completed", "[false false true]", "[true true false]"},
	} {
		if seq := int64(6 + i); step.status != "" {
			payload, err := json.Marshal(map[string]string{"new_status": step.status, "executor_id": "phone"})
			if err != nil {
				t.Fatal(err)
			}
			happen(s, seq, exchange.StatusChanged, ref, "phone", string(payload))
			u, open := s.Undelivered(seq)
			if !open {
				t.Fatalf("%s is not open", step.status)
			}
			events = append(events, u)
		}
		var standing, closed []bool
		for _, u := range events {
			standing, closed = append(standing, s.Standing(u)), append(closed, s.ClosedSince(u))
		}
		if fmt.Sprint(standing) != step.standing || fmt.Sprint(closed) != step.closed {
			t.Errorf("after %q: standing %v, closed since %v", step.status, standing, closed)
		}
	}
}
