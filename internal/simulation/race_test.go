//go:build race

package simulation

func init() { usualSeeds, usualRepeats = 25, 2 }
