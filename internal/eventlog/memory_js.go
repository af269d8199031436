//go:build js

package eventlog

// A Worker has 128 MB for everything, the program included.
const (
	maxMerged   = 12 << 20
	maxSnapshot = 24 << 20
	replayBytes = 8 << 20
)
