//go:build !js

package bucket

import (
	"context"
	"errors"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/mess-exchange/mess-exchange/internal/bucket/dirblob"
)

// directory is a backend on a local directory that this process has locked, or only reads.
type directory struct{ *dirblob.Dir }

func openFilesystem(path string, readOnly bool, observe Observe) (*Store, error) {
	if path == "" {
		return nil, errors.New("the storage path is empty: name a directory (STORAGE_PATH)")
	}
	open := dirblob.Open
	if readOnly {
		open = dirblob.OpenReadOnly
	}
	dir, err := open(path)
	if err != nil {
		return nil, err
	}
	if observe == nil {
		b := blob.NewBucket(dir)
		return &Store{backend: directory{dir}, kind: "filesystem", bucket: b, close: b.Close}, nil
	}
	o := observedDir{directory{dir}, observe}
	b := blob.NewBucket(o)
	return &Store{backend: o, kind: "filesystem", bucket: b, close: b.Close}, nil
}

func (directory) Exists(err error) bool    { return dirblob.Exists(err) }
func (directory) NoSuchKey(err error) bool { return dirblob.NotFound(err) }
func (directory) Changed(err error) bool   { return dirblob.Changed(err) }
func (directory) Fatal(err error) bool     { return dirblob.Fatal(err) }

// Definite: a directory answers at once or not at all, so what is none of the others changed nothing.
// That includes what the portable type refuses by itself.
func (d directory) Definite(err error) bool {
	return err != nil && !d.Exists(err) && !d.NoSuchKey(err) && !d.Changed(err) && !d.Fatal(err)
}

func (d directory) full(err error) bool { return d.ErrorCode(err) == gcerrors.ResourceExhausted }

func (directory) ListAfter(prefix, key string) *blob.ListOptions {
	return &blob.ListOptions{Prefix: prefix, BeforeList: dirblob.After(key)}
}

func (directory) Now() time.Time { return time.Now() }

func (directory) Dated(ctx context.Context) (context.Context, func() time.Time) { return ctx, time.Now }
