package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// filed is a thread in a folder: the one file of v1, or the files of v2.
type filed struct {
	ref   string
	name  string   // of the file, or of its folder
	files []string // of v2
}

// importFolder sends every thread below a folder to a running server, one by one, so that the limits of an
// import are those of one thread. Those that the exchange has are left alone: so a second run goes on where the
// first has ended. The oldest refs go first, since lists begin with what came in last.
func importFolder(ctx context.Context, c *config, stdout, stderr io.Writer) error {
	r, err := c.Import.remote(c)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(c.Import.Dir)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	threads, others, err := findThreads(root.FS())
	if err != nil {
		return err
	}
	if others > 0 {
		fmt.Fprintf(stdout, "left alone: %d files that are no threads\n", others)
	}
	t := newTally("imported", "already there", len(threads), stdout, stderr)
	for _, thread := range threads {
		err := r.importThread(ctx, root.FS(), thread)
		refused, _ := errors.AsType[*refusal](err)
		switch {
		case ctx.Err() != nil:
			return t.finish(ctx, nil)
		case err == nil:
			t.count(&t.done)
		case refused != nil && refused.code == "thread_exists":
			t.count(&t.skips)
		case refused != nil && refused.everywhere():
			return t.finish(ctx, err)
		default:
			t.fail(thread.name, err)
		}
	}
	return t.finish(ctx, nil)
}

func (r *remote) importThread(ctx context.Context, root fs.FS, t filed) error {
	if t.files == nil {
		content, err := fs.ReadFile(root, t.name)
		if err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		_, err = r.ask(ctx, http.MethodPost, "/import", "application/yaml", content)
		return err
	}
	var files []messeaf.File
	for _, name := range t.files {
		content, err := fs.ReadFile(root, path.Join(t.name, name))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		files = append(files, messeaf.File{Name: path.Join(t.ref, name), Content: content})
	}
	archive, err := messeaf.Zip(files)
	if err != nil {
		return err
	}
	_, err = r.ask(ctx, http.MethodPost, "/import", "application/zip", archive)
	return err
}

// findThreads returns the threads in a tree of folders, by their refs, and how many files in it belong to
// none. What begins with a dot is not looked at.
func findThreads(root fs.FS) (threads []filed, others int, err error) {
	folders := map[string][]string{} // of v2 threads
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return fmt.Errorf("read the folder: %w", err)
		case name != "." && strings.HasPrefix(base, "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			others++
			return nil
		}
		switch kind, ref := messeaf.Kind(base); kind {
		case messeaf.FileV1:
			threads = append(threads, filed{ref: ref, name: name})
		case messeaf.FileV2, messeaf.FileAttachment:
			folders[path.Dir(name)] = append(folders[path.Dir(name)], base)
		default:
			others++
		}
		return nil
	})
	for folder, files := range folders {
		t := filed{ref: path.Base(folder), name: folder, files: files}
		if folder == "." { // the folder that was named is the thread's own
			_, t.ref = messeaf.Kind(files[0])
		}
		threads = append(threads, t)
	}
	slices.SortFunc(threads, func(a, b filed) int { return cmp.Or(cmp.Compare(a.ref, b.ref), cmp.Compare(a.name, b.name)) })
	return threads, others, err
}
