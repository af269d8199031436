//go:build js

package r2blob

import (
	"context"
	"errors"

	"gocloud.dev/gcerrors"
)

var (
	errExists  = errors.New("there is an object of that key")
	errAbsent  = errors.New("no such object")
	errChanged = errors.New("the object has another version")
	errUnsent  = errors.New("nothing was sent")
)

// Exists reports a create that was refused because there is an object of that key.
func Exists(err error) bool { return errors.Is(err, errExists) }

// NotFound reports that the bucket holds no such object.
func NotFound(err error) bool { return errors.Is(err, errAbsent) }

// Changed reports a Replace that met another version, or nothing.
func Changed(err error) bool { return errors.Is(err, errChanged) }

// Definite reports a call that was never sent.
func Definite(err error) bool { return errors.Is(err, errUnsent) }

// ErrorCode implements driver.Bucket.
func (*Bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case Exists(err), Changed(err):
		return gcerrors.FailedPrecondition
	case NotFound(err):
		return gcerrors.NotFound
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	return gcerrors.Unknown
}
