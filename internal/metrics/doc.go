// Package metrics turns what the other packages tell into metrics of Prometheus, and answers /metrics with them.
// It is the only one that knows Prometheus: the log, the engine, the storage and the handlers tell functions and
// interfaces of their own, or are asked for numbers that they keep anyway.
//
// # What must stay true
//
//   - No label has values that anybody outside can add to. Exchanges, executors, refs and paths are never labels;
//     operations are those of the contract, statuses are numbers of three digits, everything else is a list in the code.
//   - What is told on the way of a request costs some atomic additions: no lock, no allocation, no look-up by labels.
//     What is only asked for (gauges) costs nothing until somebody asks.
//   - Every combination of labels that is known beforehand is there from the start, as 0, so that the first failure
//     is an increase and a query never comes back empty for want of one.
//   - docs/operations.md has a row for each metric (TestDocumented).
//
// Requests that wait for something to happen, and streams, are counted, and are not in the histogram of latencies:
// they would say how long people take, not the server. How many there are is a gauge.
package metrics
