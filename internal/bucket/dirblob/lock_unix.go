//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package dirblob

import (
	"errors"
	"os"
	"syscall"
)

// openFlags keep an open from waiting for the other end of a pipe that someone put among the objects.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// flock takes an exclusive lock on an open file, without waiting. The kernel drops it with the file,
// so with the process, however it ends.
func flock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// unlock gives the lock up for every holder of the open file, such as a child that this process is
// just starting, for which a mere close would leave it held.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

func isLocked(err error) bool { return errors.Is(err, syscall.EWOULDBLOCK) }
