//go:build !js

package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
)

const (
	probeFolder  = "snapshots/-probe/"
	probeLimit   = 8 * time.Second
	cleanupLimit = 1 * time.Second
)

// staleETag is the ETag of no object that the probe writes.
const staleETag = `"00000000000000000000000000000000"`

// probe shows that the bucket keeps what the log is built on (docs/storage.md, "S3 and the start-up probe"): a
// store that ignores If-None-Match would fork the log, and one that cannot say NoSuchKey would never
// let a reader find its end. Every error is one sentence.
func (s *s3Bucket) probe(ctx context.Context) error {
	key := probeFolder + rand.Text()
	if err := s.probeMissing(ctx, key+"-missing"); err != nil {
		return err
	}
	defer func() {
		// Whoever may not delete leaves a few bytes that are never read.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
		defer cancel()
		_ = s.bucket.Delete(ctx, key)
	}()
	if err := s.probeCreate(ctx, key); err != nil {
		return err
	}
	return s.probeReplace(ctx, key)
}

// probeReading shows as much as a reader needs, without writing.
func (s *s3Bucket) probeReading(ctx context.Context) error {
	return s.probeMissing(ctx, probeFolder+rand.Text()+"-missing")
}

func (s *s3Bucket) probeMissing(ctx context.Context, key string) error {
	_, _, err := s.Load(ctx, key)
	switch {
	case s.NoSuchKey(err):
		return nil
	case err == nil:
		return s.fault("it answers a read of an object that was never written")
	case codeOf(err) == "NoSuchBucket":
		return s.fault("there is no such bucket")
	case codeOf(err) == "AccessDenied" || statusOf(err) == http.StatusForbidden && codeOf(err) == "Forbidden":
		return s.fault("a read of a missing object is refused with 403: grant s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject on its objects")
	case statusOf(err) == http.StatusNotFound:
		return s.fault("a missing object is answered with 404 but not NoSuchKey (%s): this is no S3 endpoint, or something between changes its answers", reason(err))
	}
	return s.refused(ctx, err)
}

func (s *s3Bucket) probeCreate(ctx context.Context, key string) error {
	create := func(data string) error {
		return s.bucket.WriteAll(ctx, key, []byte(data), &blob.WriterOptions{IfNotExist: true, ContentType: "text/plain"})
	}
	switch err := create("first"); {
	case err == nil:
	case statusOf(err) == http.StatusForbidden:
		return s.fault("a write is refused with 403: grant s3:PutObject on its objects")
	case statusOf(err) == http.StatusNotImplemented:
		return s.fault("it does not know conditional writes (If-None-Match), without which two servers would overwrite each other's events")
	default:
		return s.refused(ctx, err)
	}
	switch err := create("second"); {
	case s.Exists(err):
		return nil
	case err == nil:
		return s.fault("it ignores If-None-Match, so that two servers would overwrite each other's events: use a store with conditional writes")
	default:
		return s.refused(ctx, err)
	}
}

func (s *s3Bucket) probeReplace(ctx context.Context, key string) error {
	switch err := s.Replace(ctx, key, staleETag, []byte("stale")); {
	case s.Changed(err):
	case err == nil:
		return s.fault("it ignores If-Match, so that two servers would overwrite each other's changes: use a store with conditional writes")
	case statusOf(err) == http.StatusNotImplemented:
		return s.fault("it does not know conditional overwrites (If-Match), without which two servers would overwrite each other's changes")
	default:
		return s.refused(ctx, err)
	}
	data, version, err := s.Load(ctx, key)
	if err != nil {
		return s.refused(ctx, err)
	}
	if !bytes.Equal(data, []byte("first")) {
		return s.fault("an object does not read as it was written: is there a cache between?")
	}
	if err := s.Replace(ctx, key, version, []byte("last")); s.Changed(err) {
		return s.fault("it refuses to overwrite an object under its current ETag")
	} else if err != nil {
		return s.refused(ctx, err)
	}
	return nil
}

// fault is a sentence about the bucket.
func (s *s3Bucket) fault(format string, args ...any) error {
	return fmt.Errorf("the S3 bucket %q at %s cannot be used: %s", s.name, s.where, fmt.Sprintf(format, args...))
}

// refused is the sentence for an error that can come at any step.
func (s *s3Bucket) refused(ctx context.Context, err error) error {
	switch code := codeOf(err); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return s.fault("it does not answer (nothing within %v)", probeLimit)
	case ctx.Err() != nil:
		return s.fault("the start was cancelled")
	case code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken" || code == "ExpiredToken":
		return s.fault("the access key or the secret key is wrong (%s)", code)
	case code == "RequestTimeTooSkewed":
		return s.fault("the clocks of this machine and of S3 differ too much")
	case code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" || code == "IllegalLocationConstraintException" || statusOf(err) == http.StatusMovedPermanently:
		return s.fault("it is in another region: name it (S3_REGION)")
	case statusOf(err) != 0:
		return s.fault("it answers %s", reason(err))
	case strings.Contains(err.Error(), "get credentials"): // the SDK has no type for it
		return s.fault("no credentials were found: give S3_ACCESS_KEY and S3_SECRET_KEY, or what the AWS SDK looks for")
	}
	return s.fault("it does not answer: %s", reason(err))
}

// reason is the innermost of an SDK error that a person can use.
func reason(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() != "" {
		return fmt.Sprintf("%d %s", statusOf(err), e.ErrorCode())
	}
	if status := statusOf(err); status != 0 {
		return fmt.Sprintf("%d", status)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err + " " + e.Name
	}
	return innermost(err).Error()
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
			next = many.Unwrap()[0]
		}
		if next == nil {
			return err
		}
		err = next
	}
}
