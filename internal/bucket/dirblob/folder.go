package dirblob

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// folderSet holds folders whose entry, with those of all folders above, is known to be on the disk.
// Forgetting one costs a sync, so the set is emptied when it has grown.
type folderSet struct {
	mu      sync.Mutex
	folders map[string]struct{}
}

const maxFolders = 10_000

func (s *folderSet) has(folder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.folders[folder]
	return ok
}

func (s *folderSet) add(folders []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folders == nil || len(s.folders)+len(folders) > maxFolders {
		s.folders = make(map[string]struct{})
	}
	for _, f := range folders {
		s.folders[f] = struct{}{}
	}
}

func (s *folderSet) remove(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.folders, folder)
}

// readFolder is the folder that files are being read from, kept open.
type readFolder struct {
	mu   sync.Mutex
	path string   // of the last file's folder
	root *os.Root // that folder, nil where it was not worth it yet
}

// enter returns a folder, or nil: the first file of a folder is opened by its whole path, and so is any where
// the folder can't be opened. A folder that is left is closed, which the calls in flight on it survive.
func (r *readFolder) enter(top *os.Root, folder string) *os.Root {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path != folder {
		r.leave()
		r.path = folder
		return nil
	}
	if r.root == nil && folder != "." {
		r.root, _ = top.OpenRoot(folder)
	}
	return r.root
}

// leave closes the folder. r.mu must be held.
func (r *readFolder) leave() {
	if r.root != nil {
		_ = r.root.Close()
	}
	r.path, r.root = "", nil
}

func (r *readFolder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave()
}

// openedFolders are those that must be synced to make an object durable, the object's own first, then
// upwards.
type openedFolders struct {
	dir   *Dir
	files []*os.File
	names []string // the folders that are settled once all files are synced
}

// openFolders opens an object's folder, made where it is missing, and every folder above it that holds
// an entry not known to be on the disk (docs/storage.md: "every parent up to the first one that
// existed before"; see invariant 3 for why that is not asked of the disk).
func (d *Dir) openFolders(folder string) (*openedFolders, error) {
	f, err := d.disk.openDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.makeFolders(folder); err != nil {
			return nil, err
		}
		f, err = d.disk.openDir(folder)
	}
	if err != nil {
		return nil, err
	}
	o := &openedFolders{dir: d, files: []*os.File{f}}
	for ; folder != "." && !d.settled.has(folder); folder = parentOf(folder) {
		f, err := d.disk.openDir(parentOf(folder))
		if err != nil {
			o.close()
			return nil, err
		}
		o.files = append(o.files, f)
		o.names = append(o.names, folder)
	}
	return o, nil
}

func (d *Dir) makeFolders(folder string) error {
	for i := 0; i >= 0; {
		made := folder
		if next := strings.IndexByte(folder[i:], '/'); next >= 0 {
			made = folder[:i+next]
			i += next + 1
		} else {
			i = -1
		}
		switch err := d.disk.mkdir(made); {
		case err == nil:
			d.settled.remove(made) // someone had removed it
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return nil
}

func (o *openedFolders) sync() error {
	for _, f := range o.files {
		if err := o.dir.disk.sync(f); err != nil {
			return err
		}
	}
	o.dir.settled.add(o.names)
	return nil
}

func (o *openedFolders) close() {
	for _, f := range o.files {
		_ = o.dir.disk.close(f)
	}
	o.files = nil
}

// keyLocks let one at a time change an object (invariant 6).
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	mu    sync.Mutex
	users int
}

func (l *keyLocks) lock(key string) (unlock func()) {
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		if l.held == nil {
			l.held = make(map[string]*keyLock)
		}
		k = &keyLock{}
		l.held[key] = k
	}
	k.users++
	l.mu.Unlock()
	k.mu.Lock()
	return func() {
		k.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, key)
		}
	}
}
