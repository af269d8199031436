//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package dirblob

import (
	"errors"
	"os"
)

const openFlags = os.O_RDONLY

// flock fails: without flock(2), and with an fsync that says nothing of folders, this system cannot
// hold the data safely.
func flock(*os.File) error {
	return errors.New("this system has no flock(2); run the server in its container, or store on S3")
}

func unlock(*os.File) error { return nil }

func isLocked(error) bool { return false }
