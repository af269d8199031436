// Package s3test starts a real S3 server for tests: versitygw, an Apache-licensed gateway that keeps
// each bucket as a directory. Its conditional writes are exact, which makes it a fair stand-in for S3.
//
// The program is built once per machine, with the Go toolchain that runs the test, into the user's
// cache directory; test packages that run side by side wait for one build. A test that needs the
// server and cannot have it fails and says why: it is never skipped.
package s3test
