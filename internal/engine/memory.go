//go:build !js

package engine

// What takes memory, which a Worker (memory_js.go) has less of.
const (
	// maxReading bounds the bytes of messages that are read from the log for calls in progress, those of calls
	// for up to freeReading not counted. A thread longer than that is read alone.
	maxReading = 256 << 20
)
