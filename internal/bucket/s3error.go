//go:build !js

package bucket

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The SDK repeats a request by itself and returns the error of the last attempt only. An earlier one
// may have been applied although its answer was lost, so a 403 at the end proves nothing. Each call
// therefore carries a record of its attempts, and its error says whether any of them is in doubt.

// callError is the error of an S3 call.
type callError struct {
	err     error
	doubted bool // an attempt was sent and its answer does not rule out that it was applied
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// refusals are the statuses of requests that were not applied and never will be: they are answers of
// the store or of something before it to this very request. Not among them are 408, 429 and 5xx (a
// proxy may answer while the store works on), and 409, S3's ConditionalRequestConflict, for which the
// same request is sent again.
var refusals = []int{
	http.StatusMovedPermanently, http.StatusNotModified,
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusLengthRequired, http.StatusPreconditionFailed,
	http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType,
	http.StatusRequestedRangeNotSatisfiable, http.StatusRequestHeaderFieldsTooLarge,
}

type attemptsKey struct{}

// attempts is the record of one call.
type attempts struct {
	mu      sync.Mutex
	doubted bool
}

func (a *attempts) doubt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.doubted = true
}

// watchCall starts the record and puts it into the error. o is told of the call.
func (o Observe) watchCall(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	a, begun := &attempts{}, time.Now()
	out, md, err := next.HandleInitialize(context.WithValue(ctx, attemptsKey{}, a), in)
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		err = &callError{err: err, doubted: a.doubted}
	}
	if operation, ok := operationOf(in.Parameters); ok && o != nil {
		o.done(operation, begun, s3Meaning{&s3Bucket{}}, err)
	}
	return out, md, err
}

// operationOf returns what a call of the SDK asks; false for those that ask for no object, such as a part of a
// large one that is given up.
func operationOf(parameters any) (Operation, bool) {
	switch parameters.(type) {
	case *s3.GetObjectInput:
		return OpRead, true
	case *s3.PutObjectInput, *s3.UploadPartInput, *s3.CreateMultipartUploadInput, *s3.CompleteMultipartUploadInput:
		return OpWrite, true
	case *s3.ListObjectsV2Input:
		return OpList, true
	case *s3.HeadObjectInput:
		return OpStat, true
	case *s3.DeleteObjectInput:
		return OpDelete, true
	}
	return "", false
}

// s3Meaning tells what an error of the SDK says that the portable type has not seen yet: a HEAD is answered
// without a reason, and a range behind the end or another version than expected are answers, too.
type s3Meaning struct{ *s3Bucket }

func (m s3Meaning) NoSuchKey(err error) bool {
	return m.s3Bucket.NoSuchKey(err) || answers(err, http.StatusNotFound, "NotFound") || statusOf(err) == http.StatusRequestedRangeNotSatisfiable
}

func (s3Meaning) full(err error) bool { return statusOf(err) == http.StatusInsufficientStorage }

// watchAttempt sees one attempt from its signing to its answer, and shows the answer to the clock. A
// request that never had a connection was certainly not sent.
func watchAttempt(c *clock) middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc("WatchAttempt", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		var connected atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
		})
		out, md, err := next.HandleFinalize(traced, in)
		response, answered := awsmiddleware.GetRawResponse(md).(*smithyhttp.Response)
		// Without an answer the SDK makes up one of status 0.
		if answered = answered && response != nil && response.Response != nil && response.StatusCode != 0; answered {
			c.answered(ctx, response.Header)
		}
		switch a, _ := ctx.Value(attemptsKey{}).(*attempts); {
		case err == nil || a == nil:
		case answered && slices.Contains(refusals, response.StatusCode):
		case answered || connected.Load():
			a.doubt()
		}
		return out, md, err
	})
}

// changedError marks the 412 of a replace, which S3 words like that of a create.
type changedError struct{ err error }

func (e *changedError) Error() string { return "the object has another version: " + e.err.Error() }
func (e *changedError) Unwrap() error { return e.err }

func (*s3Bucket) Exists(err error) bool {
	_, replace := errors.AsType[*changedError](err)
	return !replace && answers(err, http.StatusPreconditionFailed, "PreconditionFailed")
}

func (*s3Bucket) NoSuchKey(err error) bool { return answers(err, http.StatusNotFound, "NoSuchKey") }

// Changed: where an attempt before the last is in doubt, the version met may be the writer's own, and
// the outcome is unknown.
func (*s3Bucket) Changed(err error) bool {
	_, replace := errors.AsType[*changedError](err)
	return replace && !doubted(err)
}

func (s *s3Bucket) Definite(err error) bool {
	_, call := errors.AsType[*callError](err)
	_, replace := errors.AsType[*changedError](err)
	return call && !doubted(err) && !replace && !s.Exists(err) && !s.NoSuchKey(err)
}

func (*s3Bucket) Fatal(error) bool { return false }

func doubted(err error) bool {
	e, ok := errors.AsType[*callError](err)
	return ok && e.doubted
}

// answers reports whether an error is an answer with this status and this S3 error code.
func answers(err error, status int, code string) bool {
	return statusOf(err) == status && codeOf(err) == code
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}
