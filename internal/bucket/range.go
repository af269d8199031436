package bucket

import (
	"context"
	"io"

	"gocloud.dev/blob"
)

// ReadRange returns length bytes of an object from start on, fewer where the object ends before that, by
// a reader of the portable type: for stores that have no cheaper way.
func ReadRange(ctx context.Context, b *blob.Bucket, key string, start, length int64) ([]byte, error) {
	r, err := b.NewRangeReader(ctx, key, start, length, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, max(0, min(length, r.Size()-start)))
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data, nil
}
