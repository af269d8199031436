//go:build js

package httpapi

// A Worker has 128 MB for everything, the program included.
const (
	maxBodies   = 16 << 20
	mostImports = 1
)
