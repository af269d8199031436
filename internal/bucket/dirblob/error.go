package dirblob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"gocloud.dev/gcerrors"
)

// kind is what an error says about the call that returned it.
type kind int

const (
	definite kind = iota + 1 // not applied, and never will be
	exists                   // a create met an object
	notFound                 // no such object
	changed                  // a replace met another version
	fatal                    // what the disk holds is unknown to this process for good
)

// Error is the error of every call of a Dir but those that are refused for their arguments' form. Ask
// the functions of this package what it means; they see through wrapping.
type Error struct {
	kind kind
	op   string // "create", "read", …
	key  string // "" where the portable type names it
	err  error
}

func (e *Error) Error() string {
	if e.key == "" {
		return fmt.Sprintf("%s: %v", e.op, e.err)
	}
	return fmt.Sprintf("%s %q: %v", e.op, e.key, e.err)
}

func (e *Error) Unwrap() error { return e.err }

func is(err error, k kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.kind == k
}

// Exists reports that a create was refused because there is an object of that key.
func Exists(err error) bool { return is(err, exists) }

// NotFound reports that there is no such object, in a directory that was certainly the right one.
func NotFound(err error) bool { return is(err, notFound) }

// Changed reports that a Replace met another version.
func Changed(err error) bool { return is(err, changed) }

// Definite reports that the call changed nothing and never will: a full or read-only disk, a cancelled
// context, a name that cannot be. Reads that fail are definite, too.
func Definite(err error) bool { return is(err, definite) }

// Fatal reports that the process can no longer know what the disk holds, or that the directory is not
// the one it locked. Every later call of the Dir fails so.
func Fatal(err error) bool { return is(err, fatal) }

var (
	errBadKey   = errors.New("no file can have this key")
	errFolder   = errors.New("there is a folder of this name")
	errClosed   = errors.New("the directory is closed")
	errReadOnly = errors.New("the directory was opened for reading only")
	errNoURL    = errors.New("a directory has no signed URLs")
	errGone     = errors.New("the directory or its .lock was removed or replaced while in use")
)

// absent tells the errors of a name under which there can be no object.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ELOOP)
}

// refused tells the errors with which link, rename and unlink say that they changed nothing. After any
// other one (EIO, an answer lost by a network file system) the name may or may not be there.
func refused(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EEXIST, syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.ELOOP,
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EMLINK,
		syscall.ENAMETOOLONG, syscall.EXDEV, syscall.EINVAL, syscall.EILSEQ, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EBUSY,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func code(err error) gcerrors.ErrorCode {
	if errors.Is(err, errNoURL) {
		return gcerrors.Unimplemented
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return gcerrors.Unknown
	case e.kind == exists || e.kind == changed:
		return gcerrors.FailedPrecondition
	case e.kind == notFound:
		return gcerrors.NotFound
	case e.kind == fatal:
		return gcerrors.Internal
	case errors.Is(err, errBadKey) || errors.Is(err, errFolder) || errors.Is(err, syscall.ENAMETOOLONG):
		return gcerrors.InvalidArgument
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return gcerrors.PermissionDenied
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return gcerrors.ResourceExhausted
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	return gcerrors.Unknown
}
