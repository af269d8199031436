package exchange

import (
	"bytes"
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
	Mess json.RawMessage // a JSON list of blocks, exactly as sent but for the data of Attachments
	// Attachments are what was taken out of Mess, or is named by it, in the order of Mess.
	Attachments []Attachment
}

// MessageOf returns what a message_added event says. What is no list of blocks becomes a list of one.
func MessageOf(e Event) Message {
	return Message{From: e.Actor, TS: e.TS, Mess: list(messIn(e.Payload)), Attachments: AttachmentsOf(e)}
}

// MessagesOf returns what an event says that Messages has given as a place: one message, or all of an import.
func MessagesOf(e Event) []Message {
	if e.Type == ThreadImported {
		return importedMessages(e)
	}
	return []Message{MessageOf(e)}
}

// messIn returns the member mess of a payload. As this server writes it, it mostly is the only one, and needs no
// decoding: what is left of a JSON object without it is either that value alone, or no JSON.
func messIn(payload json.RawMessage) json.RawMessage {
	if rest, ok := bytes.CutPrefix(payload, []byte(`{"mess":`)); ok {
		if mess, ok := bytes.CutSuffix(rest, []byte("}")); ok && json.Valid(mess) {
			return bytes.TrimSpace(mess)
		}
	}
	return object[struct {
		Mess json.RawMessage `json:"mess"`
	}](payload).Mess
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
