package eventlog

import (
	"context"
	"time"

	"gocloud.dev/blob"
)

// Store is the bucket that holds the logs, with what the portable type cannot say: what an
// error means, what time it is at the store, and whether anyone else can write there.
// internal/bucket implements it for every storage type.
//
// The four questions about an error are asked of errors returned by the same Store, or its Bucket.
// An error for which all of them answer no is *unknown*: the request may have been applied, or
// may still be applied later.
type Store interface {
	// Bucket returns the bucket. A Writer closed without error is durable; one with IfNotExist
	// creates the object atomically or not at all, and exactly one of any number of racing
	// writers succeeds. Reads see every write that finished before they began. A listing is
	// complete and in key order.
	Bucket() *blob.Bucket

	// ListAfter returns options for a listing of a prefix in which keys up to the one given may be
	// missing. It costs about as much as there are keys behind it, where the store can do that.
	ListAfter(prefix, key string) *blob.ListOptions

	// ReadRange returns length bytes of an object from start on, fewer where the object ends before that.
	// Where an object was overwritten or deleted, they may still be what it held, if that had as many.
	ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error)

	// Exists reports that a create with IfNotExist was refused because the key exists. Where the
	// driver retries by itself, the object met may be the writer's own.
	Exists(err error) bool
	// NoSuchKey reports that the bucket answered and holds no such object. A missing bucket, a
	// redirect or a refused permission is not it.
	NoSuchKey(err error) bool
	// Definite reports that the request was certainly not applied and never will be.
	Definite(err error) bool
	// Fatal reports that the state of the disk is unknown to the process for good (an fsync
	// failed after the object became visible): nothing may be answered any more.
	Fatal(err error) bool

	// Now is the store's time where it has a clock (S3: its Date headers carried forward by the
	// local monotonic clock), the machine's where it has none.
	Now() time.Time
	// Dated returns a context for one call of the bucket, and a function that says, once the call has
	// returned, what time it was at the store when it gave its answer: on S3 the Date of that very
	// answer, however long ago that was. The zero time where the answer did not say.
	Dated(ctx context.Context) (context.Context, func() time.Time)
	// Shared reports whether other processes may write to the bucket (S3, R2) or this process is
	// its only one (a locked directory, memory).
	Shared() bool
	// Settle makes an object that is visible durable, with every folder above it. It is called
	// before the first answer after a start: a process killed between link and fsync leaves a
	// commit that readers see and a power cut would still take away. A no-op where visible means
	// durable.
	Settle(ctx context.Context, key string) error
}
