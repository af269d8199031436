//go:build !js

package eventlog

// What takes memory, which a Worker (memory_js.go) has less of.
const (
	// maxMerged bounds the bytes of a merged day, which a reader and the one who merges hold in memory.
	maxMerged = 64 << 20
	// maxSnapshot bounds the bytes of a snapshot, which is held in memory while it is written and read; a
	// million events were 15 MB in a measurement.
	maxSnapshot = 512 << 20
	// replayBytes bounds the bytes of the objects that are read at once at a start: decoded they take a few
	// times as much.
	replayBytes = 64 << 20
)
