package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// mostImported is what an import may take in the log: one commit (docs/storage.md, rule 3). The log itself
// holds to it; here it is known before anything is stored.
const mostImported = 15 << 20

// filesTime bounds storing the attachments of an import, fileWriters how many are written at once. Storing them
// may take longer than answerTime: 64 MiB of them have to get to a store.
const (
	filesTime   = time.Minute
	fileWriters = 8
)

// Import takes threads over, all of them or none, and returns their refs and statuses in that order. What
// they say becomes one event for each thread, so the cost is that of one commit of that size.
func (e *Engine) Import(ctx context.Context, c Caller, threads []*messeaf.Thread) ([]exchange.ThreadState, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	cmd, err := importOf(threads, nil)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(threads, func(t *messeaf.Thread) bool { return len(t.Attachments()) > 0 }) {
		if cmd, err = x.importWithFiles(ctx, c, threads, cmd); err != nil {
			return nil, err
		}
	}
	cmd.Caller = c.Caller
	err = x.submit(ctx, cmd)
	if refusal, ok := errors.AsType[*exchange.Error](err); ok && refusal.Code == exchange.CodeTooLarge {
		return nil, errImportTooLarge(len(threads))
	}
	if err != nil {
		return nil, err
	}
	return cmd.Result.Threads, nil
}

// importOf is the command for threads. kept are their attachments, where these have been stored.
func importOf(threads []*messeaf.Thread, kept [][]exchange.Attachment) (*exchange.Import, error) {
	cmd := &exchange.Import{}
	size := 0
	for i, t := range threads {
		var attachments []exchange.Attachment
		if kept != nil {
			attachments = kept[i]
		}
		one, refusal := exchange.NewImported(t.Ref(), t.Documents(), attachments)
		if refusal != nil {
			return nil, refusal
		}
		if size += one.Size(); size > mostImported {
			return nil, errImportTooLarge(len(threads))
		}
		cmd.Threads = append(cmd.Threads, one)
	}
	return cmd, nil
}

// importWithFiles stores the attachments of threads, and returns the command with their places. What would
// be refused is not stored; what is refused later, or cut off, leaves objects that no event names, which are
// collected.
func (x *running) importWithFiles(ctx context.Context, c Caller, threads []*messeaf.Thread, bare *exchange.Import) (*exchange.Import, error) {
	bare.Caller = c.Caller
	if err := x.rehearse(ctx, bare); err != nil {
		return nil, err
	}
	soon, cancel := context.WithTimeout(ctx, filesTime)
	defer cancel()
	kept := make([][]exchange.Attachment, len(threads))
	writers, soon := errgroup.WithContext(soon)
	writers.SetLimit(fileWriters)
	for i, t := range threads {
		kept[i] = make([]exchange.Attachment, len(t.Attachments()))
		for j, a := range t.Attachments() {
			writers.Go(func() error {
				one, err := x.keepAttachment(soon, t.Ref(), a.Name, mediaTypeOf(a), bytes.NewReader(a.Bytes))
				one.Name = a.FileName()
				kept[i][j] = one
				return err
			})
		}
	}
	if err := writers.Wait(); err != nil {
		return nil, x.engine.unreadable(ctx, err)
	}
	return importOf(threads, kept)
}

// mediaTypeOf is what a file is, by its name and its kind.
func mediaTypeOf(a messeaf.Attachment) string {
	if known := mime.TypeByExtension(strings.ToLower(path.Ext(a.Name))); known != "" {
		return known
	}
	return "application/octet-stream"
}

// errImportTooLarge says what can be done about it.
func errImportTooLarge(threads int) *exchange.Error {
	todo := "move its large media out of the messages, into files beside them (MESSE-AF v2)"
	if threads > 1 {
		todo = "import fewer threads at once"
	}
	return refuse(exchange.CodeTooLarge, fmt.Sprintf("The import takes more than %d MiB in the log; %s. Nothing was stored", mostImported>>20, todo))
}
