//go:build !js

package bucket

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"gocloud.dev/blob/driver"
)

// Operation is what a call asked of the storage.
type Operation string

// Failure is why a call failed; the empty one is for all that is an answer: done, exists, no such key, changed.
// So is the end of the caller's own context, which says nothing about the storage.
type Failure string

// The operations, and the failures. There are no others.
const (
	OpRead   Operation = "read"   // of an object, or of a part of one
	OpWrite  Operation = "write"  // of an object, or of a part of a large one
	OpList   Operation = "list"   // of one page
	OpStat   Operation = "stat"   // what is known of an object without reading it
	OpDelete Operation = "delete" // of one object

	FailFull        Failure = "full"        // the disk has no room
	FailRefused     Failure = "refused"     // certainly not done: not permitted, read-only, a mistake in the settings
	FailTimeout     Failure = "timeout"     // no answer in time
	FailUnreachable Failure = "unreachable" // no connection
	FailUnknown     Failure = "unknown"     // whether it was done is not known
	FailFatal       Failure = "fatal"       // what the disk holds is not known any more; the server stops
)

// Operations and Failures list them.
var (
	Operations = []Operation{OpRead, OpWrite, OpList, OpStat, OpDelete}
	Failures   = []Failure{FailFull, FailRefused, FailTimeout, FailUnreachable, FailUnknown, FailFatal}
)

// Observe is told of each call of a storage when it has ended: what it asked, how long it took, and why it failed.
// Of an S3 storage it is the time to the first byte of the answer, with the SDK's own repetitions. It is called
// in the caller's goroutine and must be quick. Nobody is told of a bucket in memory.
type Observe func(operation Operation, took time.Duration, failure Failure)

// meaning tells what the errors of a storage say.
type meaning interface {
	Exists(err error) bool
	NoSuchKey(err error) bool
	Changed(err error) bool
	Definite(err error) bool
	Fatal(err error) bool
	full(err error) bool // there is no room
}

// done tells what became of a call that began then.
func (o Observe) done(operation Operation, begun time.Time, of meaning, err error) {
	o.took(operation, time.Since(begun), of, err)
}

func (o Observe) took(operation Operation, took time.Duration, of meaning, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	o(operation, took, failure(of, err))
}

func failure(of meaning, err error) Failure {
	_, unreached := errors.AsType[*net.OpError](err)
	switch {
	case err == nil, errors.Is(err, io.EOF), of.Exists(err), of.NoSuchKey(err), of.Changed(err):
		return ""
	case of.Fatal(err):
		return FailFatal
	case errors.Is(err, context.DeadlineExceeded):
		return FailTimeout
	case of.full(err):
		return FailFull
	case unreached:
		return FailUnreachable
	case of.Definite(err):
		return FailRefused
	}
	return FailUnknown
}

// observedDir is a directory whose calls somebody is told of.
type observedDir struct {
	directory
	observe Observe
}

func (d observedDir) Attributes(ctx context.Context, key string) (_ *driver.Attributes, err error) {
	defer func(begun time.Time) { d.observe.done(OpStat, begun, d, err) }(time.Now())
	return d.Dir.Attributes(ctx, key)
}

func (d observedDir) ListPaged(ctx context.Context, o *driver.ListOptions) (_ *driver.ListPage, err error) {
	defer func(begun time.Time) { d.observe.done(OpList, begun, d, err) }(time.Now())
	return d.Dir.ListPaged(ctx, o)
}

func (d observedDir) Delete(ctx context.Context, key string, o *driver.DeleteOptions) (err error) {
	defer func(begun time.Time) { d.observe.done(OpDelete, begun, d, err) }(time.Now())
	return d.Dir.Delete(ctx, key, o)
}

func (d observedDir) ReadRange(ctx context.Context, key string, start, length int64) (_ []byte, err error) {
	defer func(begun time.Time) { d.observe.done(OpRead, begun, d, err) }(time.Now())
	return d.Dir.ReadRange(ctx, key, start, length)
}

func (d observedDir) Load(ctx context.Context, key string) (_ []byte, _ string, err error) {
	defer func(begun time.Time) { d.observe.done(OpRead, begun, d, err) }(time.Now())
	return d.Dir.Load(ctx, key)
}

func (d observedDir) Replace(ctx context.Context, key, version string, data []byte) (err error) {
	defer func(begun time.Time) { d.observe.done(OpWrite, begun, d, err) }(time.Now())
	return d.Dir.Replace(ctx, key, version, data)
}

// NewRangeReader counts the time that is spent in the reader, not that of who takes what it brings.
func (d observedDir) NewRangeReader(ctx context.Context, key string, offset, length int64, o *driver.ReaderOptions) (driver.Reader, error) {
	begun := time.Now()
	r, err := d.Dir.NewRangeReader(ctx, key, offset, length, o)
	if err != nil {
		d.observe.done(OpRead, begun, d, err)
		return nil, err
	}
	return &observedReader{Reader: r, dir: d, took: time.Since(begun)}, nil
}

type observedReader struct {
	driver.Reader
	dir  observedDir
	took time.Duration
	err  error // the first one
}

func (r *observedReader) Read(p []byte) (int, error) {
	begun := time.Now()
	n, err := r.Reader.Read(p)
	r.took += time.Since(begun)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

func (r *observedReader) Close() error {
	r.dir.observe.took(OpRead, r.took, r.dir, r.err)
	return r.Reader.Close()
}

// NewTypedWriter counts like NewRangeReader. What makes an object durable is the writer's Close.
func (d observedDir) NewTypedWriter(ctx context.Context, key, contentType string, o *driver.WriterOptions) (driver.Writer, error) {
	begun := time.Now()
	w, err := d.Dir.NewTypedWriter(ctx, key, contentType, o)
	if err != nil {
		d.observe.done(OpWrite, begun, d, err)
		return nil, err
	}
	return &observedWriter{Writer: w, dir: d, took: time.Since(begun)}, nil
}

// observedWriter tells of the first failure: the portable type does not close a writer whose first write failed.
type observedWriter struct {
	driver.Writer
	dir    observedDir
	took   time.Duration
	failed bool
}

func (w *observedWriter) Write(p []byte) (int, error) {
	begun := time.Now()
	n, err := w.Writer.Write(p)
	w.took += time.Since(begun)
	w.fail(err)
	return n, err
}

func (w *observedWriter) Close() error {
	begun := time.Now()
	err := w.Writer.Close()
	w.took += time.Since(begun)
	if err == nil {
		w.dir.observe.took(OpWrite, w.took, w.dir, nil)
	}
	w.fail(err)
	return err
}

func (w *observedWriter) fail(err error) {
	if err != nil && !w.failed {
		w.failed = true
		w.dir.observe.took(OpWrite, w.took, w.dir, err)
	}
}
