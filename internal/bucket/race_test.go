//go:build race

package bucket_test

// Under the race detector a test takes some five times as long, and a key that is raced for is like the next.
func init() { suite.Races, suiteS3.Races = 20, 5 }
