//go:build !js

package httpapi

// What takes memory, which a Worker (memory_js.go) has less of.
const (
	// maxBodies bounds the bytes of all bodies that are being read or worked on, those of up to freeBody not
	// counted. A body takes up to four times its size while it is parsed.
	maxBodies = 128 << 20
	// mostImports is how many imports are read at once: each may take some hundred MB for a second or two
	// (package messeaf).
	mostImports = 2
)
