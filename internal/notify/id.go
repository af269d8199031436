package notify

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strconv"
)

// Way is how a notice reaches its executor: a channel, or a hook of a moment, by its place in the profile and
// its type.
type Way struct {
	Moment Moment // "" for a channel
	Index  int
	Type   string
}

// String is the way's name in delivery records: "channel 0 ntfy", "on_request_created 1 todoist".
func (w Way) String() string {
	list := "channel"
	if w.Moment != "" {
		list = w.Moment.Setting()
	}
	return list + " " + strconv.Itoa(w.Index) + " " + w.Type
}

// DeliveryID names what is sent because of one event to one executor on one way. It is the same for every attempt,
// at every replica and after a restart, so that a receiver can tell a repetition from something new. It says
// nothing about what it was made from, and has no dot in it, which would blur what a webhook's signature covers.
func DeliveryID(exchangeID string, seq int64, executor string, w Way) string {
	return DeliveryIDOf(exchangeID, seq, executor, w.String())
}

// DeliveryIDOf is DeliveryID for the name of a way, as it stands in delivery records.
func DeliveryIDOf(exchangeID string, seq int64, executor, way string) string {
	h := sha256.New()
	for _, part := range []string{exchangeID, strconv.FormatInt(seq, 10), executor, way} {
		// With its length in front of it, no part can run into the next.
		h.Write(binary.AppendUvarint(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return "msg_" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:20])
}
