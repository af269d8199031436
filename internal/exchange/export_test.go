package exchange

import (
	"fmt"
	"time"
)

// AnswerTo tells tests what a state knows of a key; "" for nothing.
func AnswerTo(s *State, executor string, o Once, now time.Time) string {
	a, ok := s.answered(executor, o, now)
	if !ok {
		return ""
	}
	return fmt.Sprint(a.status, a.code, a.sentence, a.result, a.once.request == o.request)
}

// Payload is what a note_answered says of one.
func (o Once) Payload(status int, code Code, sentence string, r Result) string {
	d, refusal := noteAnswered(o, "x", status, r, nil)
	if code != "" {
		d, refusal = noteAnswered(o, "x", status, r, &Error{Code: code, Message: sentence})
	}
	if refusal != nil {
		panic(refusal)
	}
	return string(d.Payload)
}

// AnswersKept tells tests how many answers take memory.
func AnswersKept(s *State) int {
	n := 0
	for _, chunk := range s.table.answers.chunks {
		n += len(chunk)
	}
	return n
}
