// Package httpapi answers HTTP: the operations of the contract (api/openapi.yaml), the
// contract itself and a page to try it. Handlers are thin: one file per resource turns a request into
// a call of the engine and its result into an answer, and decides nothing.
//
// # The way of a request
//
//	frame     request id, CORS, time limits, log, panics; OPTIONS is answered here   middleware.go, answer.go
//	router    chi; 404 and 405, after the key was looked at                          httpapi.go, absent.go
//	validate  limits of an address, key, registration token, body, parameters        access.go, attempts.go, validate.go, body.go
//	gen       binds parameters                                                       gen/server
//	handler   calls the engine                                                       requests.go, page.go, executors.go …
//
// # What must stay true
//
//   - The order of refusals (docs/protocol.md): 429 of an address and 401 before anything else under an
//     exchange's path, also for unknown paths there and before a body is read; then 403 for a key of another exchange, 404
//     for the path, 405, 413, 415, 400, and only then what the engine refuses.
//   - A handler sees only what the contract allows. Nothing but validate reads a body, once (but for uploads, whose
//     bytes nobody understands: attachments.go passes them on as they come), and a
//     test proves that it refuses whatever the stock middleware for kin-openapi refuses; the
//     leniencies of the protocol are listed in lenient.go and nowhere else.
//   - What a message holds is never decoded into a model and encoded again: blocks travel as the bytes
//     that were sent, less white space between tokens.
//   - A 304 is an answer like any other: the key and the head of the log were looked at before (etag.go). What
//     depends on who asks, or on the time, is kept for that one and that long only (lists.go).
//   - What an Idempotency-Key compares is the body as it came, before anything was read into it (idempotency.go).
//   - Every error leaves through refuse, and errors.go is the only table from codes to statuses. A
//     client never sees an internal message, and the log never sees a key.
//   - An address that is over its limit costs the storage nothing, and does not lock out those who share it: a key
//     that is known still opens. What is remembered of addresses is bounded.
//   - Neither a line of the log nor a metric holds what only a client knows: no key, wherever it was put, no query
//     and no name as a label (observe.go).
//   - The registration token is kept as a hash, compared in constant time, and never logged.
//   - What follows /a/ in a path is a secret (claimlink.go): it is in no line of the log and in no answer.
//   - Somebody's file is never run by a browser: its type is not guessed, what may hold a script is for saving, and a
//     sandbox is around all of it. No file and no thread's photos are in memory at once (stream.go).
//   - No request keeps a connection for longer than the limits of limits.go allow, but for streams (events.go), which
//     have no end while their client takes what is sent, and reads that wait for a change (wait.go). Neither holds
//     anything while it waits that others may need.
//
// # Measured choices
//
// One token walk checks a body and builds the value that the schema is applied to (body.go). It uses
// jsontext, the tokenizer of encoding/json/v2 as a module, because that refuses invalid UTF-8, lone
// surrogates and names given twice by itself; without GOEXPERIMENT=jsonv2 the standard library has no
// such thing. BenchmarkBody: on a body of 300 bytes it costs 1.3 times what json.Unmarshal alone does,
// after which all of those checks would still be to come, and on one of 1 MB a third.
//
// Schemas are applied by kin-openapi's VisitJSON to a document of version 3.0.3; for 3.1 it compiles
// each schema anew on every use (190 µs for a GET instead of 5). Operations are found by the pattern
// that chi has matched, not by a second router.
//
// Threads and lists are written by appending (encode.go). BenchmarkList: a list of 100 costs a third
// of what generated models through encoding/json cost, and one allocation instead of 203.
// A list that is asked for again before anything has happened is answered with the same bytes (lists.go);
// a query that has passed once is not checked again (memo.go). Both are bounded.
//
// Of a GET's time on the server a fifth is spent in this package and below; the rest is net/http's and the
// kernel's. What a request needs is made in one allocation (call) or comes from a pool, since a collector
// that runs ever so often was the largest single cost.
package httpapi
