package dirblob

import (
	"container/heap"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"gocloud.dev/blob/driver"
)

// defaultPage is the page of a caller that names none. A page reads every folder it touches whole, so
// big ones are cheaper: a million names in one folder are read five times.
const defaultPage = 200_000

// ListPaged implements driver.Bucket. Keys come in the order of their bytes, in which a folder's name
// counts with the slash at its end: "exchange=home-2/" is before "exchange=home/". A page token is the
// last key before the page; from it the page seeks down the tree, so its cost is that of the folders
// it touches. Empty folders are not objects and make no "directory".
func (d *Dir) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	const op = "list"
	after := afterKey(o.PageToken)
	if o.BeforeList != nil {
		if err := o.BeforeList(func(i any) bool {
			p, ok := i.(**afterKey)
			if ok {
				*p = &after
			}
			return ok
		}); err != nil {
			return nil, err
		}
	}
	d.mu.RLock()
	err := d.ready(ctx, op)
	d.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	l := &listing{dir: d, ctx: ctx, prefix: o.Prefix, delimiter: o.Delimiter, after: string(after), size: o.PageSize}
	if l.size <= 0 {
		l.size = defaultPage
	}
	folder, path, ok := l.start()
	if !ok {
		return &driver.ListPage{}, nil
	}
	if err := l.walk(folder, path); err != nil && err != errFull {
		return nil, d.unmade(op, err)
	}
	page := &driver.ListPage{Objects: l.found}
	if l.more {
		page.NextPageToken = []byte(l.found[len(l.found)-1].Key)
	} else if len(l.found) == 0 {
		if gone := d.alive(); gone != nil {
			return nil, d.fail(op, gone)
		}
	}
	return page, nil
}

// After returns a BeforeList that makes a listing begin behind a key. A later page begins where the one before
// ended.
func After(key string) func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var after *afterKey
		if as(&after) {
			*after = max(*after, afterKey(key))
		}
		return nil
	}
}

// afterKey is what a BeforeList can have of a listing: the key it begins behind.
type afterKey string

// errFull ends a walk whose page is full and that has seen one more key.
var errFull = errors.New("the page is full")

type listing struct {
	dir       *Dir
	ctx       context.Context
	prefix    string
	delimiter string
	after     string // keys up to this one, and under it where it is a "directory", are not wanted
	size      int

	found []*driver.ListObject
	more  bool
}

// start returns the deepest folder that holds all keys of the prefix, as key ("" or ending in "/")
// and as path; false where no such folder can be.
func (l *listing) start() (folder, path string, ok bool) {
	i := strings.LastIndexByte(l.prefix, '/')
	if i < 0 {
		return "", ".", true
	}
	if i == 0 {
		return "/", nameOf("", true), true
	}
	path, ok = pathOf(l.prefix[:i])
	return l.prefix[:i+1], path, ok
}

// walk finds the wanted keys of a folder, in order. A folder that is not there, or no longer, is empty.
func (l *listing) walk(folder, path string) error {
	root, err := l.dir.root.OpenRoot(path)
	if absent(err) {
		return nil
	} else if err != nil {
		return err
	}
	defer root.Close()
	queue, err := l.read(root, folder)
	if err != nil {
		return err
	}
	for queue.Len() > 0 {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		e := heap.Pop(queue).(entry)
		if e.folder {
			err = l.enter(folder+e.element+"/", join(path, e.name))
		} else {
			err = l.look(root, queue, e, folder, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entry is a name in a folder. What it is, is looked up when its turn has come: it is queued as a file
// and, where it turns out to be a folder, again as one.
type entry struct {
	name    string // of the file
	element string // of the key
	folder  bool
}

type entryHeap []entry

func (h entryHeap) Len() int      { return len(h) }
func (h entryHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *entryHeap) Push(e any)   { *h = append(*h, e.(entry)) }
func (h *entryHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
func (h entryHeap) Less(i, j int) bool { return before(h[i], h[j]) }

// before compares elements as they stand in a key, a folder's with its slash.
func before(a, b entry) bool {
	n := min(len(a.element), len(b.element))
	if a.element[:n] != b.element[:n] {
		return a.element < b.element
	}
	switch {
	case len(a.element) > n:
		return b.folder && a.element[n] < '/'
	case len(b.element) > n:
		return !a.folder || '/' < b.element[n]
	}
	return !a.folder && b.folder
}

// read queues the names of a folder that can hold wanted keys.
func (l *listing) read(root *os.Root, folder string) (*entryHeap, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	rest := ""
	if len(folder) < len(l.prefix) {
		rest = l.prefix[len(folder):]
	}
	after, behind := strings.CutPrefix(l.after, folder)
	queue := make(entryHeap, 0, len(names))
	for _, name := range names {
		if folder == "" && reserved(name) {
			continue
		}
		e := entry{name: name, element: elementOf(name, folder == "")}
		if !strings.HasPrefix(e.element, rest) {
			continue
		}
		if behind && isBehind(e.element, after) {
			continue
		}
		queue = append(queue, e)
	}
	heap.Init(&queue)
	return &queue, nil
}

// isBehind reports whether whatever an element turns out to be, file or folder, all its keys are before
// after. A folder that after leads through is not behind.
func isBehind(element, after string) bool {
	rest, begins := strings.CutPrefix(after, element)
	if !begins {
		return element < after
	}
	return rest != "" && '/' < rest[0]
}

// look finds out what an entry is.
func (l *listing) look(root *os.Root, queue *entryHeap, e entry, folder, path string) error {
	info, err := root.Lstat(e.name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		// Links that lead out of the directory, nowhere, or to a folder are no objects.
		if info, err = l.dir.root.Stat(join(path, e.name)); err != nil || info.IsDir() {
			return nil
		}
	}
	switch {
	case absent(err):
		return nil // deleted since
	case err != nil:
		return err
	case info.IsDir():
		e.folder = true
		heap.Push(queue, e)
		return nil
	case info.Mode().IsRegular() && folder+e.element != "": // "%" at the top has no key
		return l.add(folder+e.element, info)
	}
	return nil
}

// enter lists a folder, or adds the "directory" in which all of its keys are.
func (l *listing) enter(folder, path string) error {
	directory, ok := l.directory(folder)
	if !ok {
		return l.walk(folder, path)
	}
	if l.skips(directory) || l.has(directory) {
		return nil
	}
	switch some, err := l.occupied(path); {
	case err != nil:
		return err
	case !some:
		return nil
	}
	return l.append(&driver.ListObject{Key: directory, IsDir: true})
}

// add adds an object, or the "directory" it is in.
func (l *listing) add(key string, info fs.FileInfo) error {
	directory, ok := l.directory(key)
	switch {
	case !ok && l.skips(key):
		return nil
	case !ok:
		return l.append(&driver.ListObject{Key: key, ModTime: info.ModTime(), Size: info.Size()})
	case l.skips(directory) || l.has(directory):
		return nil
	}
	return l.append(&driver.ListObject{Key: directory, IsDir: true})
}

// directory cuts a key, or a folder's beginning of keys, after the first delimiter behind the prefix.
func (l *listing) directory(key string) (string, bool) {
	if l.delimiter == "" || len(key) < len(l.prefix) {
		return "", false
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.prefix)+i+len(l.delimiter)], true
}

func (l *listing) skips(key string) bool { return l.after != "" && key <= l.after }

// has reports whether a "directory" is the last thing found; its keys follow each other.
func (l *listing) has(directory string) bool {
	return len(l.found) > 0 && l.found[len(l.found)-1].Key == directory
}

func (l *listing) append(o *driver.ListObject) error {
	if len(l.found) == l.size {
		l.more = true
		return errFull
	}
	l.found = append(l.found, o)
	return nil
}

// occupied reports whether there is an object in a folder or below it.
func (l *listing) occupied(path string) (bool, error) {
	f, err := l.dir.root.Open(path)
	if absent(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(64)
		if err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
		for _, name := range names {
			below := join(path, name)
			info, err := l.dir.root.Lstat(below)
			if err == nil && info.Mode()&fs.ModeSymlink != 0 {
				info, err = l.dir.root.Stat(below)
				if err == nil && info.IsDir() {
					continue
				}
			}
			switch {
			case err != nil:
				continue
			case info.Mode().IsRegular():
				return true, nil
			case info.IsDir():
				if some, err := l.occupied(below); some || err != nil {
					return some, err
				}
			}
		}
	}
}

func join(folder, name string) string {
	if folder == "." {
		return name
	}
	return folder + "/" + name
}
