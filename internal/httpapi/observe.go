package httpapi

import (
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
)

// Unmatched is the operation of a request that is none of the contract's: other paths and methods, preflights, the
// contract itself and its page.
const Unmatched = "unmatched"

// Observe returns what is to be told of the answers to an operation. It is called once for each of the contract's,
// by its operationId, and for Unmatched, when the handler is made. So what it is told has few names.
type Observe func(operation string) Answered

// Answered is told of an answer when it was given to the connection: its status, 0 where the connection was cut
// without one, and how long that took from the request's header on. waited: the request asked to wait for
// something to happen, or for a stream, so its time says nothing about the server. It must be quick.
type Answered func(status int, took time.Duration, waited bool)

func unobserved(string) Answered { return func(int, time.Duration, bool) {} }

// withoutKeys returns a text that may stand in the log: clients put keys where none belong, into a path or a
// request id, and what looks like one is taken out.
func withoutKeys(text string) string {
	const sign, instead = "mess_", "[key]"
	if !strings.Contains(text, sign) {
		return text
	}
	parts := strings.Split(text, "/")
	for i, part := range parts {
		at := strings.Index(part, sign)
		if at < 0 {
			continue
		}
		if _, _, ok := auth.Parse(part[at:]); ok || strings.Count(part[at:], "_") > 1 {
			parts[i] = part[:at] + instead
		}
	}
	return strings.Join(parts, "/")
}
