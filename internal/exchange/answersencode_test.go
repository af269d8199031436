package exchange_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Damage of the answers in a snapshot, and of who has done nothing yet, that leaves the shape as it is.
func TestDecodeRefusesAnswersThatCannotBe(t *testing.T) {
	const x = 1 // the number of the only name
	name := []byte{0, 1, 1, 'x', 0}
	executor := []byte{1, 'e', 0, 0, 1, 'k', 0, 1, 0, 0}
	thread := []byte{1, 'r', 0, 0, 0, 2, x, x, x, x, x, 0}
	digests := bytes.Repeat([]byte{7}, 32)
	answer := slices.Concat([]byte{2, x}, digests, []byte{200, 1, 0, 0, 1, 'r', x}) // of HTTP status 200, about the thread
	other := slices.Concat([]byte{2, x}, make([]byte, 32), []byte{153, 3, x, 1, 's', 0, 0})
	answers := func(rest ...[]byte) []byte {
		return slices.Concat(name, []byte{1}, executor, []byte{1}, thread, []byte{0, 0, 0, 0}, slices.Concat(rest...))
	}
	for what, b := range map[string][]byte{
		"":                        answers([]byte{2}, answer, other, []byte{1, 1}),
		"no number of answers":    answers(),
		"answer twice":            answers([]byte{2}, answer, answer, []byte{0}),
		"answer to nobody":        answers([]byte{1, 2, 0}, answer[2:], []byte{0}),
		"answer to no name":       answers([]byte{1, 2, 9}, answer[2:], []byte{0}),
		"answer of a huge status": answers([]byte{1}, answer[:34], []byte{0x80, 0x80, 4}, answer[36:], []byte{0}),
		"answer about no thread":  answers([]byte{1}, answer[:38], []byte{'q', x, 0}),
		"no number of idle ones":  answers([]byte{0}),
		"idle nobody":             answers([]byte{0, 1, 2}),
		"idle twice":              answers([]byte{0, 2, 1, 0}),
	} {
		if _, err := exchange.Decode(bytes.NewReader(append(b, noOutbox...))); (err == nil) != (what == "") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
