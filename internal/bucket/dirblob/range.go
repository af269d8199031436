package dirblob

import (
	"container/list"
	"context"
	"errors"
	"io"
	"os"
	"sync"
)

// maxOpenFiles bounds the objects that are kept open for ReadRange. Objects that parts are read of are
// mostly whole days of a log, so few files serve many readers.
const maxOpenFiles = 64

// ReadRange returns length bytes of an object from start on, fewer where the object ends before that. An
// object that was read before costs one system call. Where one is overwritten or deleted while it is read, this
// and later calls may read what it held before, if that is long enough.
func (d *Dir) ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	const op = "read"
	path, err := d.find(ctx, op, key)
	if err != nil {
		return nil, named(err, key)
	}
	data := make([]byte, length)
	if f := d.opened.get(path); f != nil {
		if n, _ := f.ReadAt(data, start); n == len(data) {
			return data, nil
		}
		d.opened.drop(path) // closed meanwhile, too short, or unreadable: what is there now counts
	}
	f, _, err := d.open(ctx, op, key)
	if err != nil {
		return nil, named(err, key)
	}
	n, err := f.ReadAt(data, start)
	if err != nil && !errors.Is(err, io.EOF) {
		_ = f.Close()
		return nil, &Error{kind: definite, op: op, key: key, err: cause(err)}
	}
	d.opened.put(path, f)
	return data[:n], nil
}

// openFiles are objects kept open, those read last. A file that is closed while it is being read is closed
// once that is over. The zero value is ready.
type openFiles struct {
	mu     sync.Mutex
	files  map[string]*list.Element // of *openFile, by path
	recent list.List                // the last used in front
	closed bool
}

type openFile struct {
	path string
	file *os.File
}

func (o *openFiles) get(path string) *os.File {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.files[path]
	if !ok {
		return nil
	}
	o.recent.MoveToFront(at)
	return at.Value.(*openFile).file
}

// put takes a file, and closes it once it is not kept any more.
func (o *openFiles) put(path string, f *os.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(path)
	if o.closed {
		_ = f.Close()
		return
	}
	if o.files == nil {
		o.files = map[string]*list.Element{}
	}
	if len(o.files) >= maxOpenFiles {
		o.remove(o.recent.Back().Value.(*openFile).path)
	}
	o.files[path] = o.recent.PushFront(&openFile{path, f})
}

// drop closes the file of an object that was overwritten or deleted.
func (o *openFiles) drop(path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(path)
}

// remove is drop for who holds o.mu.
func (o *openFiles) remove(path string) {
	if at, ok := o.files[path]; ok {
		delete(o.files, path)
		_ = o.recent.Remove(at).(*openFile).file.Close()
	}
}

func (o *openFiles) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for path := range o.files {
		o.remove(path)
	}
}
