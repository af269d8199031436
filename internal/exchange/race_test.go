//go:build race

package exchange_test

// Under the race detector a test takes some five times as long, and each seed does the same.
func init() { outboxSeeds, historySeeds, pageSeeds = 3, 10, 2 }
