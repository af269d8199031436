package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// mostListings is how often an export begins the list again, in an exchange that never rests.
const mostListings = 10

// listed is a thread as lists tell it.
type listed struct{ Ref, Status string }

// exportFolder writes every thread of an exchange of a running server into the folders of their states. Files
// that are there with the same content are not written again, and those of a thread that has gone on are moved.
func exportFolder(ctx context.Context, c *config, stdout, stderr io.Writer) error {
	r, err := c.Export.remote(c)
	if err != nil {
		return err
	}
	threads, err := r.listAll(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Export.Dir, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	root, err := os.OpenRoot(c.Export.Dir) // whatever a server names its files, they stay below it
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	t := newTally("exported", "unchanged", len(threads), stdout, stderr)
	for _, thread := range threads {
		changed, err := r.exportThread(ctx, root, thread, c.Export.Format)
		refused, _ := errors.AsType[*refusal](err)
		switch {
		case ctx.Err() != nil:
			return t.finish(ctx, nil)
		case refused != nil && refused.everywhere():
			return t.finish(ctx, err)
		case err != nil:
			t.fail(thread.Ref, err)
		case changed:
			t.count(&t.done)
		default:
			t.count(&t.skips)
		}
	}
	return t.finish(ctx, nil)
}

// listAll returns every thread. A thread that moves to the front of the list between two pages may be on none
// of them, so the list is begun again until it shows nothing new, a few times where it always does.
func (r *remote) listAll(ctx context.Context) ([]listed, error) {
	var all []listed
	seen := map[string]bool{}
	for range mostListings {
		before := len(all)
		for cursor := ""; ; {
			page, next, err := r.listPage(ctx, cursor)
			if err != nil {
				return nil, fmt.Errorf("list the threads: %w", err)
			}
			known := len(all)
			for _, t := range page {
				if !seen[t.Ref] {
					seen[t.Ref] = true
					all = append(all, t)
				}
			}
			if next == "" || next == cursor || before > 0 && known == len(all) && len(page) > 0 {
				break
			}
			cursor = next
		}
		if len(all) == before {
			break
		}
	}
	return all, nil
}

// listPage returns a page of the list, and what leads to the next; "" where there is none, as with a server
// that answers the whole list at once.
func (r *remote) listPage(ctx context.Context, cursor string) ([]listed, string, error) {
	address := "/requests"
	if cursor != "" {
		address += "?cursor=" + url.QueryEscape(cursor)
	}
	answer, err := r.ask(ctx, http.MethodGet, address, "", nil)
	if err != nil {
		return nil, "", err
	}
	var page struct {
		Threads []listed
		Next    string `json:"next_cursor"`
	}
	if err := json.Unmarshal(answer, &page); err != nil {
		return nil, "", &refusal{status: http.StatusOK}
	}
	return page.Threads, page.Next, nil
}

// exported is the answer to an export.
type exported struct {
	Content *string
	Files   []struct{ Name, Content, Encoding string }
}

// exportThread writes a thread, and reports whether anything had to be written or removed.
func (r *remote) exportThread(ctx context.Context, root *os.Root, t listed, format string) (changed bool, err error) {
	if _, _, ok := exchange.ParseRef(t.Ref); !ok {
		return false, errors.New("its ref can't name a file")
	}
	address := "/export/" + url.PathEscape(t.Ref)
	if format != "" {
		address += "?format=" + url.QueryEscape(format)
	}
	answer, err := r.ask(ctx, http.MethodGet, address, "", nil)
	if err != nil {
		return false, err
	}
	files, err := filesIn(t.Ref, answer)
	if err != nil {
		return false, err
	}
	folder := messeaf.Folder(statusIn(files, t.Status))
	for i := range files {
		files[i].Name = path.Join(folder, files[i].Name)
	}
	// What is new is there before what is old goes, whatever happens in between.
	for _, f := range files {
		written, err := writeFile(root, f)
		if err != nil {
			return changed, err
		}
		changed = changed || written
	}
	removed, err := removeOthers(root, t.Ref, files)
	return changed || removed, err
}

// filesIn are the files of a thread in an answer, with the folder of a v2 thread. Their names are those of
// the format, whatever the answer says.
func filesIn(ref string, answer []byte) ([]messeaf.File, error) {
	var e exported
	if err := json.Unmarshal(answer, &e); err != nil || e.Content == nil && len(e.Files) == 0 {
		return nil, &refusal{status: http.StatusOK}
	}
	if e.Content != nil {
		return []messeaf.File{{Name: messeaf.NameV1(ref), Content: []byte(*e.Content)}}, nil
	}
	var files []messeaf.File
	for _, f := range e.Files {
		kind, of := messeaf.Kind(f.Name)
		if kind != messeaf.FileAttachment && (kind != messeaf.FileV2 || of != ref) {
			return nil, fmt.Errorf("the server names a file %q", printable(f.Name))
		}
		content := []byte(f.Content)
		if f.Encoding == "base64" {
			var err error
			if content, err = base64.StdEncoding.DecodeString(f.Content); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		files = append(files, messeaf.File{Name: path.Join(ref, f.Name), Content: content})
	}
	return files, nil
}

// statusIn is the status that the files tell, so that they lie where it says; before is that of the list, for a
// thread of older data that is none of the format.
func statusIn(files []messeaf.File, before string) string {
	threads, err := messeaf.ParseTree(files)
	if err != nil {
		return before
	}
	return threads[0].View().Status
}

// writeFile writes a file, as a whole or not at all, unless it is there with that content.
func writeFile(root *os.Root, f messeaf.File) (written bool, err error) {
	name := filepath.FromSlash(f.Name)
	if there, err := root.ReadFile(name); err == nil && bytes.Equal(there, f.Content) {
		return false, nil
	}
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(f.Name)), 0o755); err != nil {
		return false, fmt.Errorf("make a folder: %w", err)
	}
	unfinished := filepath.FromSlash(path.Join(path.Dir(f.Name), ".unfinished-"+path.Base(f.Name)))
	if err := root.WriteFile(unfinished, f.Content, 0o644); err != nil {
		return false, fmt.Errorf("write the file: %w", errors.Join(err, ignoreAbsent(root.Remove(unfinished))))
	}
	if err := root.Rename(unfinished, name); err != nil {
		return false, fmt.Errorf("write the file: %w", errors.Join(err, root.Remove(unfinished)))
	}
	return true, nil
}

// removeOthers removes what else the folders of the states hold of a thread: an earlier export has left it
// there. Nothing but files of the format goes.
func removeOthers(root *os.Root, ref string, files []messeaf.File) (removed bool, err error) {
	keep := map[string]bool{}
	for _, f := range files {
		keep[f.Name] = true
	}
	for _, folder := range []string{messeaf.FolderReceived, messeaf.FolderExecuting, messeaf.FolderFinished, messeaf.FolderCanceled} {
		names := []string{path.Join(folder, messeaf.NameV1(ref))}
		own := path.Join(folder, ref)
		entries, err := fs.ReadDir(root.FS(), own)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("look for its former files: %w", err)
		}
		for _, entry := range entries {
			kind, _ := messeaf.Kind(strings.TrimPrefix(entry.Name(), ".unfinished-"))
			if !entry.IsDir() && kind != messeaf.FileOther {
				names = append(names, path.Join(own, entry.Name()))
			}
		}
		gone := false
		for _, name := range names {
			if keep[name] {
				continue
			}
			err := root.Remove(filepath.FromSlash(name))
			if ignoreAbsent(err) != nil {
				return removed, fmt.Errorf("remove a former file: %w", err)
			}
			gone = gone || err == nil
		}
		removed = removed || gone
		if gone {
			_ = root.Remove(filepath.FromSlash(own)) // fails where something is left in it, which stays
		}
	}
	return removed, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
