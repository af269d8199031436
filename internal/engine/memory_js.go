//go:build js

package engine

// A Worker has 128 MB for everything, the program included.
const (
	maxReading = 24 << 20
)
