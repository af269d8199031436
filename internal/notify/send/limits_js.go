//go:build js

package send

// A Worker may have six connections at once that wait for the header of an answer, reads and writes of R2 among
// them; the seventh waits its turn, whatever it is. So receivers that hang must never have all six: who asks the
// exchange something would wait for them, up to attemptTime. Two are left to R2. An attempt that waits is begun when
// another ends, so nothing is lost by this but speed: some tens of receivers a second where they answer at once.
const (
	perHost   = 2
	atOnce    = 4
	atUnknown = 3
	atSilent  = 1
)

// What waits takes memory, of which there are 128 MB for everything.
const (
	maxWaiting       = 1_000
	maxWaitingAtHost = 250
	maxKnown         = 1_000
)
