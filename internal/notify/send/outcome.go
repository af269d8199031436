package send

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Verdict is what comes of an attempt.
type Verdict int

// The four verdicts.
const (
	Delivered Verdict = iota
	TryAgain          // it may work later
	Failed            // it never will: the same request would be refused again
	Gone              // the receiver wants nothing of this kind any more: the channel is off
)

func (v Verdict) String() string { return [...]string{"delivered", "try again", "failed", "gone"}[v] }

// Outcome is what an attempt came to. It holds no secret, apart from Answer, which is not for records.
type Outcome struct {
	Verdict    Verdict
	Status     int           // of the answer; 0 where there was none
	Reason     string        // in fixed words; "" where it was delivered
	RetryAfter time.Duration // what the receiver asks to wait, at most maxRetryAfter; only with TryAgain
	Answer     []byte        // the beginning of the answer, where it was delivered
}

// Interrupted reports whether nothing is known of the attempt because the sender was closed.
func (o Outcome) Interrupted() bool { return o.Reason == interrupted }

// outcomeOf is what an answer means.
func outcomeOf(status int, header http.Header, now time.Time) Outcome {
	o := Outcome{Status: status, Verdict: Failed}
	switch {
	case status >= 200 && status < 300:
		o.Verdict = Delivered
	case status < 400:
		o.Reason = "the receiver redirects, which is not followed"
	case status == http.StatusGone:
		o.Verdict, o.Reason = Gone, "the receiver wants no more"
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		o.Verdict, o.Reason = TryAgain, "the receiver is not able to now"
		o.RetryAfter = retryAfter(header.Get("Retry-After"), now)
	default:
		o.Reason = "the receiver refuses the request"
	}
	return o
}

// The words for what keeps a request from being answered.
const (
	notAllowed  = "the address is not one that may be called"
	noURL       = "the URL can't be called"
	noAnswer    = "no answer in time"
	noName      = "the host's name is not known"
	noConnect   = "the host refuses the connection"
	noTrust     = "the host's certificate is not valid"
	broken      = "the connection broke"
	interrupted = "the server stopped meanwhile"
)

// outcomeWithout is what it means that there was no answer. The error itself names the URL, so nothing of it is kept.
func outcomeWithout(err error) Outcome {
	o := Outcome{Verdict: TryAgain, Reason: broken}
	var netError net.Error
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		o.Verdict, o.Reason = Failed, notAllowed
	case errors.Is(err, context.Canceled):
		o.Reason = interrupted
	case errors.As(err, &netError) && netError.Timeout():
		o.Reason = noAnswer
	case isA[*net.DNSError](err):
		o.Reason = noName
	case isA[*tls.CertificateVerificationError](err), isA[tls.RecordHeaderError](err):
		o.Reason = noTrust
	case errors.Is(err, syscall.ECONNREFUSED):
		o.Reason = noConnect
	}
	return o
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
