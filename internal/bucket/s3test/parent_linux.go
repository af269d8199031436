package s3test

import "syscall"

// endWithParent makes the kernel end the server with the test, also when the test is killed.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
