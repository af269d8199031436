// Command bench measures the built server from outside, beside two yardsticks in the same run: a bare
// net/http handler that does the same work with the same group commit and nothing else, and the rate at
// which the disk takes durable files. Machines differ and are noisy; the ratios are what counts.
//
//	go run ./internal/e2e/bench -server PATH-TO-BINARY
//
// Every figure is the median of several rounds, in which server and bare handler take turns. The bare
// handler is this program again, started with the argument "bare".
package main
