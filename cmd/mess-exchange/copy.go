package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// copying is where a copy goes: the settings of a storage once more.
type copying struct {
	ToType      string `var:"TO_STORAGE_TYPE" name:"to-type" default:"filesystem" help:"Where the copy goes: filesystem (a directory) or s3 (a bucket)."`
	ToPath      string `var:"TO_STORAGE_PATH" name:"to-path" help:"The directory of the copy."`
	ToEndpoint  string `var:"TO_S3_ENDPOINT" name:"to-s3-endpoint" help:"Where the S3 service of the copy is; none is AWS."`
	ToBucket    string `var:"TO_S3_BUCKET" name:"to-s3-bucket" help:"The bucket of the copy. It must exist."`
	ToAccessKey string `var:"TO_S3_ACCESS_KEY" name:"to-s3-access-key" help:"Access key of that bucket; none is what the AWS SDK finds."`
	ToSecretKey string `var:"TO_S3_SECRET_KEY" name:"to-s3-secret-key" help:"Its secret; better not as a flag, which others can see."`
	ToRegion    string `var:"TO_S3_REGION" name:"to-s3-region" help:"Region of that bucket; none is auto with an endpoint, else what the AWS SDK finds."`
}

// target is the storage of the copy. What is wrong with its settings is named by them.
func (c *config) target() (bucket.Config, error) {
	to := bucket.Config{
		Type: c.Copy.ToType,
		Path: c.Copy.ToPath,
		S3: bucket.S3{
			Endpoint: c.Copy.ToEndpoint, Bucket: c.Copy.ToBucket, AccessKey: c.Copy.ToAccessKey, SecretKey: c.Copy.ToSecretKey, Region: c.Copy.ToRegion,
		},
	}
	switch {
	case to.Type != "filesystem" && to.Type != "s3":
		return to, fmt.Errorf("TO_STORAGE_TYPE: must be filesystem or s3, not %q", to.Type)
	case to.Type == "filesystem" && to.Path == "":
		return to, errors.New("TO_STORAGE_PATH: must be the directory of the copy")
	case to.Type == "s3" && to.S3.Bucket == "":
		return to, errors.New("TO_S3_BUCKET: must be the bucket of the copy")
	case to.Type == c.StorageType && to.Type == "filesystem" && samePath(to.Path, c.StoragePath),
		to.Type == c.StorageType && to.Type == "s3" && to.S3.Endpoint == c.S3Endpoint && to.S3.Bucket == c.S3Bucket:
		return to, errors.New("the copy can't be where the data is")
	}
	return to, nil
}

func samePath(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

// copyData copies all exchanges of the storage into another one, and prints a line for each. Servers may run on the
// first meanwhile, none on the second. Ended at any moment and started again, it goes on.
func copyData(ctx context.Context, c *config, stdout io.Writer) (err error) {
	to, err := c.target()
	if err != nil {
		return err
	}
	source, err := c.openStore(ctx, true, nil)
	if err != nil {
		return err
	}
	defer source.Close() // nothing was written
	opening, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	target, err := bucket.Open(opening, to)
	if err != nil {
		return fmt.Errorf("open the storage of the copy: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	ids, err := engine.Exchanges(ctx, source, nil)
	if err != nil {
		return err
	}
	for _, id := range ids {
		done, err := engine.Copy(ctx, source, target, id)
		if errors.Is(err, eventlog.ErrElsewhere) {
			return fmt.Errorf("%w: a copy is gone on with only where nothing was written to it but by copying", err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d objects of the log copied, %d bytes; %d were there\n", id, done.Objects, done.Bytes, done.Same)
	}
	fmt.Fprintf(stdout, "ok: %d exchanges copied\n", len(ids))
	return nil
}
