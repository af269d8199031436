package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// compact merges the closed days of every log in the storage, deletes the attachments that no event names, and
// prints a line for each. A server does so by itself; this is for a directory that no server has open, whose lock
// it takes, and for a bucket, where servers may run meanwhile. What it does is safe to be killed at any moment.
func compact(ctx context.Context, c *config, stdout io.Writer) (err error) {
	store, err := c.openStore(ctx, false, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ids, err := engine.Exchanges(ctx, store, nil)
	if err != nil {
		return err
	}
	days := 0
	for _, id := range ids {
		r, err := eventlog.Compact(ctx, store, id)
		days += len(r.Days)
		for _, d := range r.Days {
			fmt.Fprintf(stdout, "%s: merged %s: %d bytes, %d objects deleted\n", id, d.Day, d.Bytes, d.Deleted)
		}
		for _, kept := range r.Kept {
			fmt.Fprintf(stdout, "%s: left as it is: %s\n", id, kept)
		}
		switch {
		case errors.Is(err, eventlog.ErrNotFound):
			continue // nothing of it is this server's
		case err != nil:
			return fmt.Errorf("compact %s: %w", id, err)
		}
		collected, err := engine.Collect(ctx, store, id)
		if err != nil {
			return fmt.Errorf("collect attachments of %s: %w", id, err)
		}
		if collected.Deleted > 0 {
			fmt.Fprintf(stdout, "%s: deleted %d attachments that no event names: %d bytes\n", id, collected.Deleted, collected.Bytes)
		}
	}
	fmt.Fprintf(stdout, "ok: %d days merged in %d exchanges\n", days, len(ids))
	return nil
}
