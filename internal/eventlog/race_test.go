//go:build race

package eventlog

// Under the race detector a test takes some five times as long, and each seed has every kind of fault in it.
func init() { *chaosSeeds = 10 }
