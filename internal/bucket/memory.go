package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
)

// Memory is a bucket in memory on which several Stores can be opened, as replicas do on S3.
type Memory struct {
	bucket    *blob.Bucket
	replacing sync.Mutex
}

// NewMemory returns an empty bucket.
func NewMemory() *Memory {
	return &Memory{bucket: memblob.OpenBucket(&memblob.Options{NoMD5: true})}
}

// Store opens the bucket; shared is what its Shared answers. Closing it leaves the objects.
func (m *Memory) Store(shared bool) *Store {
	return &Store{backend: memory{m}, kind: "memory", bucket: m.bucket, shared: shared, close: func() error { return nil }}
}

// memory is a backend. memblob creates exclusively under its lock, and knows no condition for an
// overwrite: replaces exclude each other here, but not a plain overwrite of the same key.
type memory struct{ *Memory }

var errChanged = errors.New("the object has another version")

// Exists: the other reasons for this code, a closed bucket and a wrong checksum, do not occur here.
func (memory) Exists(err error) bool    { return gcerrors.Code(err) == gcerrors.FailedPrecondition }
func (memory) NoSuchKey(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }
func (memory) Changed(err error) bool   { return errors.Is(err, errChanged) }
func (memory) Fatal(error) bool         { return false }
func (m memory) Definite(err error) bool {
	return err != nil && !m.Exists(err) && !m.NoSuchKey(err) && !m.Changed(err)
}

// ListAfter: memblob lists from the beginning.
func (memory) ListAfter(prefix, _ string) *blob.ListOptions { return &blob.ListOptions{Prefix: prefix} }

func (m memory) ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	return ReadRange(ctx, m.bucket, key, start, length)
}

func (memory) Now() time.Time { return time.Now() }

func (memory) Dated(ctx context.Context) (context.Context, func() time.Time) { return ctx, time.Now }

func (m memory) Load(ctx context.Context, key string) ([]byte, string, error) {
	data, err := m.bucket.ReadAll(ctx, key)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]), nil
}

func (m memory) Replace(ctx context.Context, key, version string, data []byte) error {
	m.replacing.Lock()
	defer m.replacing.Unlock()
	if version != "" {
		if _, current, err := m.Load(ctx, key); err != nil {
			return err
		} else if current != version {
			return fmt.Errorf("replacing %q: %w", key, errChanged)
		}
	}
	return m.bucket.WriteAll(ctx, key, data, &blob.WriterOptions{IfNotExist: version == ""})
}

func (memory) Settle(context.Context, string) error { return nil }

func (memory) Spelling(context.Context, string, string) (string, error) { return "", nil }
