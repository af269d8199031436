//go:build race

package engine

// Under the race detector a test takes some five times as long. What it looks for is in each cell of a table alike.
func init() { faultStride, manyExecutors = 5, 2_000 }
