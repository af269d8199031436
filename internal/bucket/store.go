package bucket

import (
	"context"
	"time"

	"gocloud.dev/blob"
)

// Store is an open bucket. It is safe for concurrent use.
type Store struct {
	backend
	kind   string
	bucket *blob.Bucket
	shared bool
	close  func() error
}

// backend is what differs between storage types.
type backend interface {
	// Exists reports that a create was refused because the key exists. On S3 the object met may be the
	// writer's own, where the SDK repeated a request whose answer was lost.
	Exists(err error) bool
	// NoSuchKey reports that the bucket answered and holds no such object. A missing bucket, a redirect
	// or a refused permission is not it. S3 answers a HEAD without naming the reason, so an error of
	// Attributes, Exists or Delete is never it there: read the object.
	NoSuchKey(err error) bool
	// Changed reports that a Replace met another version.
	Changed(err error) bool
	// Definite reports that the call changed nothing and never will, for another reason than these.
	Definite(err error) bool
	// Fatal reports that what the disk holds is unknown to the process for good.
	Fatal(err error) bool

	// ListAfter returns options for a listing of a prefix in which keys up to the one given may be missing:
	// they are, but in a bucket in memory.
	ListAfter(prefix, key string) *blob.ListOptions

	// ReadRange returns length bytes of an object from start on, fewer where the object ends before
	// that. On a directory it may read what the object held before it was overwritten or deleted, where
	// that has as many bytes. It costs less than a reader of the Bucket, which tells more.
	ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error)

	// Now is the store's time: on S3 the Date of its answers, carried forward by the machine's
	// monotonic clock; else the machine's.
	Now() time.Time
	// Dated returns a context for one call, and a function that tells the store's time of its answer
	// once the call has returned: on S3 the Date of that answer (of the last one, where there were
	// several), zero where it had none; else the machine's time.
	Dated(ctx context.Context) (context.Context, func() time.Time)
	// Load returns an object and its version, a word that changes with the content.
	Load(ctx context.Context, key string) (data []byte, version string, err error)
	// Replace overwrites an object that still has a version, or with version "" creates it. It is
	// durable when it returns nil. Where another one, or none, is there: Changed, NoSuchKey, Exists.
	Replace(ctx context.Context, key, version string, data []byte) error
	// Settle makes a visible object durable, with the folders above it. Only a directory needs it.
	Settle(ctx context.Context, key string) error
	// Spelling returns a name in a folder ("" or ending in "/") that differs from name in case only,
	// or "". Only a directory looks, because its data may move to a file system that takes both for one.
	Spelling(ctx context.Context, folder, name string) (string, error)
}

// Bucket returns the bucket. Errors of its calls are to be shown to the Store.
func (s *Store) Bucket() *blob.Bucket { return s.bucket }

// Kind is the storage type: "filesystem", "s3", "r2" or "memory".
func (s *Store) Kind() string { return s.kind }

// Shared reports whether other processes may write to the bucket.
func (s *Store) Shared() bool { return s.shared }

// Close gives the bucket back. A directory can be opened by another process after it.
func (s *Store) Close() error { return s.close() }
