//go:build !js

package bucket

import (
	"context"
	"fmt"
)

// Config names a bucket.
type Config struct {
	Type string // "filesystem", "s3" or "memory"
	Path string // of the directory, for "filesystem"
	S3   S3     // for "s3"
	// ReadOnly opens what exists for reading: a directory without its lock, beside a server or on a
	// read-only disk; a bucket without trying whether it can hold the log.
	ReadOnly bool
	// Observe is told of each call; nil for nobody.
	Observe Observe
}

// S3 names a bucket on S3 or a server that speaks its protocol.
type S3 struct {
	Endpoint  string // URL of the server; "" is AWS
	Bucket    string
	AccessKey string // both keys, or neither: then the AWS SDK looks for credentials
	SecretKey string
	Region    string // "" is "auto" with an Endpoint, else what the AWS SDK finds
}

// Open opens a bucket and makes sure that it can hold the log: a directory is locked and its file
// system tried, an S3 bucket is tried (at most 8 s), unless it is only to be read. Every error is one
// sentence for the operator.
func Open(ctx context.Context, c Config) (*Store, error) {
	switch c.Type {
	case "filesystem":
		return openFilesystem(c.Path, c.ReadOnly, c.Observe)
	case "s3":
		return openS3(ctx, c.S3, c.ReadOnly, c.Observe)
	case "memory":
		return NewMemory().Store(false), nil
	}
	return nil, fmt.Errorf("the storage type must be filesystem, s3 or memory, not %q", c.Type)
}
