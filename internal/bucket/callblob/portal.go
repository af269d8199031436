// Package callblob makes a bucket of five calls, for the stores that tests are made of: what stands between
// them and the portable type is here, once, and each of them says what becomes of a call.
package callblob

import (
	"context"
	"errors"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
)

// What a call may fail with. Any other error leaves it unknown whether it was carried out.
var (
	ErrExists    = errors.New("the key exists")
	ErrNoSuchKey = errors.New("no such key")
	ErrChanged   = errors.New("the object has another version")
	ErrRefused   = errors.New("the store refuses")
	// ErrCut: the connection was cut. A Get that has an object nevertheless got its head and the first line
	// of what was asked for, which looks like an object of its own.
	ErrCut = errors.New("the connection was cut")
)

// Object is what a store keeps under a key.
type Object struct {
	Data []byte // nil: none
	Mod  time.Time
	ETag string
}

// Calls are what a store does. Each is one call of the portable type, in its caller's goroutine.
type Calls interface {
	// Get returns an object, of which the bytes from one on are asked for. The data is not changed.
	Get(ctx context.Context, key string, from int64) (Object, error)
	// Stat returns an object of which the data itself does not count.
	Stat(ctx context.Context, key string) (Object, error)
	// Put writes an object, where absent says so only if there is none. data may be kept.
	Put(ctx context.Context, key string, data []byte, absent bool) error
	Delete(ctx context.Context, key string) error
	// List returns a page of the keys behind o.PageToken, and the token of the next page; nil is the last.
	List(ctx context.Context, o *driver.ListOptions) (page []*driver.ListObject, next []byte, err error)
}

// Portal is what a store of Calls is made of to be one that the log and the engine can use.
type Portal struct{ bucket *blob.Bucket }

// Open returns the way to a store.
func Open(c Calls) Portal { return Portal{blob.NewBucket(driverBucket{c})} }

// Bucket returns the store as a portable bucket.
func (p Portal) Bucket() *blob.Bucket { return p.bucket }

// ListAfter returns options for a listing of the keys of a prefix behind the one given.
func (p Portal) ListAfter(prefix, key string) *blob.ListOptions {
	return &blob.ListOptions{Prefix: prefix, BeforeList: func(as func(any) bool) error {
		var after *string
		if as(&after) {
			*after = max(*after, key)
		}
		return nil
	}}
}

// ReadRange reads a part of an object.
func (p Portal) ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	return bucket.ReadRange(ctx, p.bucket, key, start, length)
}

// Is reports whether an error of the store, or of its portable bucket, is one that a call failed with.
func (p Portal) Is(err, target error) bool {
	var own error
	return errors.Is(err, target) || p.bucket.ErrorAs(err, &own) && errors.Is(own, target)
}

// Exists reports a create refused because the key exists.
func (p Portal) Exists(err error) bool { return p.Is(err, ErrExists) }

// NoSuchKey reports that there is no such object.
func (p Portal) NoSuchKey(err error) bool { return p.Is(err, ErrNoSuchKey) }

// Changed reports a replace that met another version.
func (p Portal) Changed(err error) bool { return p.Is(err, ErrChanged) }

// Definite reports a write that was not done and never will be.
func (p Portal) Definite(err error) bool { return p.Is(err, ErrRefused) }
