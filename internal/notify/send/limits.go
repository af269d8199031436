package send

import "time"

const (
	// attemptTime is for all of an attempt: the name, the connection, the request, the answer.
	attemptTime = 15 * time.Second
	// connectTime is for the connection, and once more for TLS. Whoever is there answers sooner.
	connectTime = 5 * time.Second
	// maxAnswer is how much of an answer is read. What is looked for is an id in a small document.
	maxAnswer = 64 << 10
	// maxAnswerHeader is how much of an answer's header is read.
	maxAnswerHeader = 32 << 10

	// perHost is how many attempts run at one host at once; chat services allow about one a second.
	perHost = 4
	// atOnce is how many run together. One that hangs takes three goroutines and their buffers, 29 KiB.
	atOnce = 512
	// Of these, at most so many may be at hosts that nothing is known of, and at hosts that did not answer the last
	// time. What is left is for hosts that did.
	atUnknown = 256
	atSilent  = 128

	// maxWaiting is how many requests wait for a place, and maxWaitingAtHost how many of them for one host. Who
	// comes later is sent away (ErrFull) and has the outbox to wait in.
	maxWaiting       = 10_000
	maxWaitingAtHost = 1_000
	// maxKnown is of how many hosts it is remembered whether they answer.
	maxKnown = 10_000

	// idleTime is how long a connection is kept for the next request.
	idleTime = 90 * time.Second

	// maxRetryAfter is how long a receiver may make a request wait: as long as the schedule does at the most.
	maxRetryAfter = 24 * time.Hour
)
