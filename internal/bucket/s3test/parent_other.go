//go:build unix && !linux

package s3test

import "syscall"

// endWithParent has no counterpart here: a test that is killed leaves its server behind.
func endWithParent() *syscall.SysProcAttr { return nil }
