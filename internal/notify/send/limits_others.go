//go:build !js

package send

// How much is done at once, of which a Worker (limits_js.go) can do less.
const (
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
)
