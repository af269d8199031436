package messeaf

import (
	"encoding/json"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// MessageRefs returns the ref of each message of the thread, "" for those without one: the request that
// begins the thread, whose ref is the thread's, and those that hold nothing but acks or versions. They
// follow from the messages alone, so they are the same whenever they are asked for.
func (v View) MessageRefs() []string {
	refs := make([]string, len(v.Messages))
	serial := 0
	for i, m := range v.Messages {
		said := readSaid(m.Mess)
		if said.kind == "" || i == 0 && said.request {
			continue
		}
		serial++
		refs[i] = MessageRef{Thread: v.Ref, Kind: said.kind, Serial: serial, ID: tokenize(said.id)}.String()
	}
	return refs
}

// said is what a message is about, by its blocks.
type said struct {
	kind    string // "" for nothing that has a ref
	id      string // that its sender gave it
	request bool
}

// rank orders the kinds: a message with blocks of several is of the first of these.
var rank = map[string]int{KindCancel: 1, KindClaim: 2, KindQuestion: 3, KindResponse: 4, KindAnswer: 5, KindStatus: 6, KindFollowup: 7}

func readSaid(mess json.RawMessage) (all said) {
	blocks, _ := items(mess)
	for _, block := range blocks {
		types, _ := members(block)
		for _, t := range types {
			if t.name == "v" || t.name == "ack" {
				continue
			}
			all.request = all.request || t.name == "request"
			kind := kindOf(t)
			if all.kind == "" || rank[kind] < rank[all.kind] {
				all.kind = kind
			}
			if all.id == "" {
				all.id = idOf(t.raw)
			}
		}
	}
	return all
}

func kindOf(block member) string {
	switch block.name {
	case "cancel":
		return KindCancel
	case "response":
		return KindResponse
	case "answer", "reply":
		return KindAnswer
	case "status":
		switch code, _ := exchange.ParseStatus(textOf(block.raw, "code")); code {
		case exchange.StatusClaimed:
			return KindClaim
		case exchange.StatusNeedsInput, exchange.StatusNeedsConfirmation:
			return KindQuestion
		}
		return KindStatus
	}
	return KindFollowup
}

// idOf is the id in a block, or that of the first question it asks.
func idOf(block json.RawMessage) string {
	if id := textOf(block, "id"); id != "" {
		return id
	}
	all, _ := members(block)
	questions, _ := items((&fields{members: all}).get("questions"))
	if len(questions) == 0 {
		return ""
	}
	return textOf(questions[0], "id")
}

// textOf is a member of an object that is a text, or "".
func textOf(object json.RawMessage, name string) string {
	all, _ := members(object)
	s, _ := unquote((&fields{members: all}).get(name))
	return s
}
