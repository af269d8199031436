//go:build js

package engine

// A Worker has 128 MB for everything, the program included.
const (
	maxReading = 24 << 20

	maxTelling    = 256
	maxTellingAll = 512

	maxCachedSettings = 1 << 12
	maxCachedBytes    = 4 << 20

	maxTokens = 1 << 9
)
