// Command bench measures the built server from outside, beside yardsticks in the same run. Machines differ
// and are noisy; the ratios are what counts.
//
//	go run ./internal/e2e/bench -server PATH-TO-BINARY
//
// It prints, in this order:
//
//   - the rate at which the disk takes durable files;
//   - the server against a bare net/http handler that has the server's own answers to reads ready, and
//     commits what is posted with the same group commit and nothing else (bare.go); one table for each
//     number of -threads;
//   - creates on an S3 server against the rate of its single PUTs (s3.go), with the server here and
//     as if it were some milliseconds away (distance.go), unless -s3=false;
//   - with -scale, what requests cost with that many threads against a hundred, what a thread takes of memory
//     that nobody asks for, and how long a start takes with that many events (scale.go).
//
// Every figure is the median of several rounds, in which those that are compared take turns. The bare handler
// is this program again, started with the argument "bare". Threads that are there before a measurement begins
// were written into the log without a server (history.go).
package main
