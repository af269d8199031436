// Package e2e tests the built program from outside, as its users meet it: a process with an
// environment, a port, a folder or a bucket. Nothing here imports the server's packages, its
// generated client least of all: what a test expects is written down a second time, from the
// contract (docs/protocol.md, docs/storage.md), so that a mistake in the server can't excuse itself.
//
// The tests carry the build tag e2e and are run by `make e2e`; `go test ./...` stays quick without
// them. They start the program in three ways: on a folder, on a bucket of a real S3 server
// (internal/bucket/s3test), and twice on one bucket, as two replicas. They stop it in two:
// SIGTERM, after which it must leave with code 0 and everything answered stored, and SIGKILL, after
// which everything answered must be stored too.
//
// Tests that mostly wait begin with t.Parallel, and run some at a time. What is measured, or keeps the machine busy by
// itself, runs alone before them.
//
// What the server does behind its answers is killed in its middle, at moments spread over all its steps
// (crash_linux_test.go, on a log that age_test.go has made old), and a replica is stopped while a day is
// merged behind its back (sleep_test.go).
//
// Storage that fails is a proxy before the S3 server that hangs, cuts, fails or refuses (outage_s3_test.go),
// and a small disk that is filled or made read-only (outage_linux_test.go). The disk is mounted in a
// namespace of its own, which needs root or a kernel that lets users make namespaces.
//
// Beside the answers they read the stored log with a small reader of their own (log_test.go), run
// the commands of README.md and docs/operations.md as a reader would paste them (readme_test.go,
// operations_linux_test.go), query the folder with DuckDB (duckdb_test.go, with the program in
// duckdb/, a module of its own because it needs cgo) and open the documentation page in Chromium (browser_test.go, with the script in browser/).
//
// What operators watch with is tried as they use it (prometheus_test.go): a real Prometheus scrapes two replicas, each
// panel of the dashboard in deploy/grafana has data, and promtool tests the alert rules in deploy/prometheus.
//
// Notifications go to a server of these tests that records what it is sent, byte by byte, and misbehaves as it is told
// (receiver_test.go). Who hears of what and what becomes of it is in notifications_test.go, what is sent to each kind of
// channel and hook in testdata/notifications, where it must not lead in notifyguard_test.go. The process that delivers is
// killed again and again, and what arrived is held to the log (notifykill_linux_test.go, `make notify`).
//
// TestTorture (torture_test.go) does all of it at once, for as long as it is told (`make torture`):
//
//	torture_test.go   the run and its verdict
//	caller_test.go    who calls, and how an answer is read: stored, not stored, or nobody knows
//	faults_test.go    what goes wrong with servers, store and clock, drawn from a seed
//	line_test.go      what goes wrong between one server and the store, request by request
//	model_test.go     docs/protocol.md as a model, independent of the server's code
//	record_test.go    the history, and how it is held to the model (with porcupine)
//	keyed_test.go     calls that are sent again with their Idempotency-Key until they are answered
//	mutants_test.go   servers with one rule broken, each of which must be caught
//
// MESS_EXCHANGE_BIN names a program to test instead of one built from the tree.
package e2e
