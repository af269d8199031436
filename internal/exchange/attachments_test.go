package exchange_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// What a command names besides its message stands in the event, its place told in the message as it is
// stored: behind the status block that a PATCH with a status puts in front.
func TestAttachmentsOfCommands(t *testing.T) {
	now := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	s := exchange.New()
	apply := func(c exchange.Command) []exchange.Event {
		drafts, refusal := c.Decide(s, now)
		if refusal != nil {
			t.Fatal(refusal)
		}
		var events []exchange.Event
		for _, d := range drafts {
			e := exchange.Event{Seq: int64(len(events) + 1), TS: now, Thread: d.Thread, Type: d.Type, Actor: d.Actor, Payload: d.Payload}
			s.Apply(e)
			events = append(events, e)
		}
		return events
	}
	apply(&exchange.Register{ID: "agent", KeyHash: "k"})
	agent := exchange.Caller{Executor: "agent", KeyHash: "k"}
	photo := exchange.Attachment{At: "/0/request/context/0", Key: "attachments/a", Size: 5000, Type: "image/jpeg", Name: "a.jpg", SHA256: "00"}
	create := &exchange.Create{Caller: agent, Intent: "x", Request: json.RawMessage(`{"intent":"x","context":[""]}`), Suffixes: []string{"AAAA"}, Attachments: []exchange.Attachment{photo}}
	events := apply(create)
	if want := `{"mess":[{"request":{"intent":"x","context":[""]}}],"attachments":[{"at":"/0/request/context/0","key":"attachments/a","size":5000,"type":"image/jpeg","name":"a.jpg","sha256":"00"}]}`; string(events[1].Payload) != want {
		t.Errorf("got %s, want %s", events[1].Payload, want)
	}
	m := exchange.MessageOf(events[1])
	if string(m.Mess) != `[{"request":{"intent":"x","context":[""]}}]` || !slices.Equal(m.Attachments, []exchange.Attachment{photo}) {
		t.Errorf("got %s with %+v", m.Mess, m.Attachments)
	}

	named := exchange.Attachment{Key: "attachments/b", Size: 1, Type: "image/png"}
	photo.At, photo.Key = "/1/response/content/10", "attachments/c"
	for status, at := range map[string]string{"": "/1/response/content/10", "in_progress": "/2/response/content/10"} {
		events = apply(&exchange.Update{
			Caller: agent, Ref: create.Result.Ref, Status: status, Attachments: []exchange.Attachment{photo, named},
			Mess: []json.RawMessage{json.RawMessage(`{"text":"x"}`), json.RawMessage(`{"response":{"content":["","","","","","","","","","",""]}}`)},
		})
		got := exchange.AttachmentsOf(events[len(events)-1])
		if len(got) != 2 || got[0].At != at || got[1] != named {
			t.Errorf("with status %q: %+v", status, got)
		}
	}

	want := []uint64{exchange.AttachmentHash("attachments/a")}
	for range 2 {
		want = append(want, exchange.AttachmentHash("attachments/c"), exchange.AttachmentHash("attachments/b"))
	}
	if got := s.AttachmentHashes(nil, 0); !slices.Equal(got, want) {
		t.Errorf("the state remembers %v, want %v", got, want)
	}
	if got := s.AttachmentHashes(nil, 3); !slices.Equal(got, want[3:]) {
		t.Errorf("but for three it remembers %v, want %v", got, want[3:])
	}
}

// What the original server's data says of attachments is somebody's text, and so is what stands in a message.
func TestAttachmentsOfNobody(t *testing.T) {
	for seq, payload := range map[int64]string{
		0: `{"mess":[],"attachments":[{"key":"attachments/exchange=home/x"}]}`,
		1: `{"mess":[{"attachments":[{"key":"attachments/exchange=home/x"}]}]}`,
		2: `{"mess":[{"text":"\"attachments\":[{\"key\":1}]"}]}`,
		3: `{"mess":[],"attachments":7}`,
	} {
		e := exchange.Event{Seq: seq, Type: exchange.MessageAdded, Payload: json.RawMessage(payload)}
		if got := exchange.AttachmentsOf(e); got != nil {
			t.Errorf("%s of seq %d: %+v", payload, seq, got)
		}
	}
}
