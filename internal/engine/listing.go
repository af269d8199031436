package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gocloud.dev/blob"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// Exchanges returns the ids of the exchanges in a store, sorted: those with a log, and those of the
// original server that have executors only. strange is told the key of each thing beside them that is
// no exchange; nil ignores those.
func Exchanges(ctx context.Context, store eventlog.Store, strange func(key string)) ([]string, error) {
	ids := map[string]struct{}{}
	for _, root := range []string{"events/", "executors/"} {
		it := store.Bucket().List(&blob.ListOptions{Prefix: root, Delimiter: "/"})
		for {
			obj, err := it.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("list the exchanges under %s: %w", root, err)
			}
			folder := strings.TrimPrefix(obj.Key, root)
			id, ok := strings.CutPrefix(strings.TrimSuffix(folder, "/"), "exchange=")
			switch {
			case eventlog.IsSchemaPartition(folder):
			case obj.IsDir && ok && id != "":
				ids[id] = struct{}{}
			case strange != nil:
				strange(obj.Key)
			}
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}
