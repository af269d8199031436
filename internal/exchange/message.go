package exchange

import (
	"encoding/json"
	"slices"
	"time"
)

// At says where the log keeps an event. It means nothing to the rules, which only remember it.
type At = [24]byte

// Message is one entry of a thread.
type Message struct {
	From string
	TS   time.Time
	Mess json.RawMessage // a JSON list of blocks, exactly as sent
}

// MessageOf returns what a message_added event says. What is no list of blocks becomes a list of one.
func MessageOf(e Event) Message {
	p := object[struct {
		Mess json.RawMessage `json:"mess"`
	}](e.Payload)
	return Message{From: e.Actor, TS: e.TS, Mess: list(p.Mess)}
}

func list(mess json.RawMessage) json.RawMessage {
	switch {
	case len(mess) == 0 || string(mess) == "null":
		return json.RawMessage("[]")
	case mess[0] != '[':
		return slices.Concat(json.RawMessage("["), mess, json.RawMessage("]"))
	}
	return mess
}
