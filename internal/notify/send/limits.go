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

	// idleTime is how long a connection is kept for the next request.
	idleTime = 90 * time.Second

	// maxRetryAfter is how long a receiver may make a request wait: as long as the schedule does at the most.
	maxRetryAfter = 24 * time.Hour
)
