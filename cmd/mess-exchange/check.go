package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

// check reads everything in the storage and prints a line for each thing that is wrong, and for each oddity
// that every server reads past. It writes nothing and takes no lock, so it may run beside a server. Where
// anything is wrong it returns an error, which names the object of the first finding.
func check(ctx context.Context, c *config, stdout io.Writer) error {
	store, err := c.openStore(ctx, true, nil)
	if err != nil {
		return err
	}
	defer store.Close() // nothing was written
	ids, err := engine.Exchanges(ctx, store, func(key string) {
		fmt.Fprintf(stdout, "note: %s is no exchange\n", key)
	})
	if err != nil {
		return err
	}
	wrong, first := 0, ""
	for _, id := range ids {
		r, err := engine.Check(ctx, store, id)
		if errors.Is(err, eventlog.ErrNotFound) {
			fmt.Fprintf(stdout, "%s: note: it has executors and no log yet\n", id)
			continue
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", id, err)
		}
		if wrong == 0 {
			first = r.First
		}
		wrong += len(r.Findings)
		printReport(stdout, r)
	}
	if wrong > 0 {
		return fmt.Errorf("%d findings in %d exchanges, the first in %s", wrong, len(ids), first)
	}
	fmt.Fprintf(stdout, "ok: nothing is wrong in %d exchanges\n", len(ids))
	return nil
}

func printReport(w io.Writer, r eventlog.Report) {
	for _, note := range r.Notes {
		fmt.Fprintf(w, "%s: note: %s\n", r.Exchange, note)
	}
	for _, finding := range r.Findings {
		fmt.Fprintf(w, "%s: FINDING: %s\n", r.Exchange, finding)
	}
	fmt.Fprintf(w, "%s: %d commits, %d events, %d objects of the original server, %d findings\n", r.Exchange, r.Objects, r.Events, r.Legacy, len(r.Findings))
}
