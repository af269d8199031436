//go:build js

package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"syscall/js"
	"time"

	"gocloud.dev/blob"

	"github.com/mess-exchange/mess-exchange/internal/bucket/r2blob"
)

// probeKey is created once in the life of a bucket, and refused at every start after the first.
const (
	probeKey   = "snapshots/-probe/r2"
	probeLimit = 8 * time.Second
)

// r2Bucket is a backend on the binding of a Worker.
type r2Bucket struct {
	*r2blob.Bucket
	bucket *blob.Bucket
}

// OpenR2 opens the bucket behind a binding, and makes sure that it can hold the log (at most 8 s): a key must not
// be created twice. Every error is one sentence for the operator.
//
// Others may write to the bucket: for a moment there may be two of the one object in which the server lives, and
// people copy exchanges with tools.
func OpenR2(ctx context.Context, binding js.Value) (*Store, error) {
	driver := r2blob.New(binding)
	s := r2Bucket{driver, blob.NewBucket(driver)}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	if err := s.probe(ctx); err != nil {
		return nil, fmt.Errorf("the R2 bucket cannot be used: %w", err)
	}
	return &Store{backend: s, kind: "r2", bucket: s.bucket, shared: true, close: s.bucket.Close}, nil
}

// probe costs a start one refused put.
func (s r2Bucket) probe(ctx context.Context) error {
	err := s.Replace(ctx, probeKey, "", []byte(rand.Text()))
	if err == nil {
		err = s.Replace(ctx, probeKey, "", []byte(rand.Text()))
	}
	switch {
	case err == nil:
		return errors.New("it creates an object that is there, so that two servers would overwrite each other's events")
	case s.Exists(err):
		return nil
	}
	return fmt.Errorf("it does not answer: %w", err)
}

func (r2Bucket) Exists(err error) bool    { return r2blob.Exists(err) }
func (r2Bucket) NoSuchKey(err error) bool { return r2blob.NotFound(err) }
func (r2Bucket) Changed(err error) bool   { return r2blob.Changed(err) }
func (r2Bucket) Definite(err error) bool  { return r2blob.Definite(err) }
func (r2Bucket) Fatal(error) bool         { return false }

func (r2Bucket) ListAfter(prefix, key string) *blob.ListOptions {
	return &blob.ListOptions{Prefix: prefix, BeforeList: r2blob.After(key)}
}

func (s r2Bucket) ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	return ReadRange(ctx, s.bucket, key, start, length)
}

// Now is the Worker's time, which is Cloudflare's as R2's is. It stands still while Go computes, and moves with
// each answer that it waits for.
func (r2Bucket) Now() time.Time { return time.Now() }

func (r2Bucket) Dated(ctx context.Context) (context.Context, func() time.Time) { return ctx, time.Now }

// Settle: what R2 shows is durable.
func (r2Bucket) Settle(context.Context, string) error { return nil }

// Spelling: R2 tells cases apart.
func (r2Bucket) Spelling(context.Context, string, string) (string, error) { return "", nil }
