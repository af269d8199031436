// Package bucket opens the bucket of a storage type: a directory, S3, R2 or memory. It is the only package
// that knows which one it is. Everything else works on a *blob.Bucket and on what a Store adds to it:
// what an error means, replace-if-unchanged, the store's clock, whether others can write there.
//
// # What every storage type gives
//
//   - A writer closed without error is durable, and an object appears complete or not at all.
//   - Of any number of writers that create one key, exactly one succeeds (docs/storage.md, rule 2).
//   - Reads see every write that finished before they began; listings are complete, in key order.
//   - Every error is one of: exists, no such key, changed, definite, fatal, or unknown
//     (docs/storage.md, rule 4). An answer that leaves a doubt is unknown, never definite.
//
// Package buckettest holds the suite that proves it for each of them.
//
// # Files
//
//	store.go       the Store
//	open.go        Config and Open
//	filesystem.go  a directory, by package dirblob
//	memory.go      gocloud's memblob, for tests
//	s3.go          gocloud's s3blob: client, load and replace
//	s3error.go     what an S3 error means, over all attempts the SDK made
//	clock.go       the store's time, from the Date of its answers
//	probe.go       what an S3 bucket must show before it is used
//	r2.go          the binding of a Cloudflare Worker, by package r2blob; then there is none of the others but memory
package bucket
