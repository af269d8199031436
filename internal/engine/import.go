package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// mostImported is what an import may take in the log: one commit (docs/storage.md, rule 3). The log itself
// holds to it; here it is known before anything is stored.
const mostImported = 15 << 20

// Import takes threads over, all of them or none, and returns their refs and statuses in that order. What
// they say becomes one event for each thread, so the cost is that of one commit of that size.
func (e *Engine) Import(ctx context.Context, c Caller, threads []*messeaf.Thread) ([]exchange.ThreadState, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	cmd := &exchange.Import{Caller: c.Caller}
	size := 0
	for _, t := range threads {
		one, refusal := exchange.NewImported(t.Ref(), t.Documents(), nil)
		if refusal != nil {
			return nil, refusal
		}
		if size += one.Size(); size > mostImported {
			return nil, errImportTooLarge(len(threads))
		}
		cmd.Threads = append(cmd.Threads, one)
	}
	err = x.submit(ctx, cmd)
	if refusal, ok := errors.AsType[*exchange.Error](err); ok && refusal.Code == exchange.CodeTooLarge {
		return nil, errImportTooLarge(len(threads))
	}
	if err != nil {
		return nil, err
	}
	return cmd.Result.Threads, nil
}

// errImportTooLarge says what can be done about it.
func errImportTooLarge(threads int) *exchange.Error {
	todo := "move its large media out of the messages, into files beside them (MESSE-AF v2)"
	if threads > 1 {
		todo = "import fewer threads at once"
	}
	return refuse(exchange.CodeTooLarge, fmt.Sprintf("The import takes more than %d MiB in the log; %s. Nothing was stored", mostImported>>20, todo))
}
