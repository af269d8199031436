package dirblob

import (
	"errors"
	"maps"
	"os"
	"path"
	"strings"
	"sync"
)

// faultDisk stands between a Dir and the disk. It keeps the order of the calls, can refuse any one of
// them, and knows what a power cut would leave if nothing survived that was not synced.
type faultDisk struct {
	disk disk

	mu    sync.Mutex
	calls []call
	// refuse is asked before each call; where it returns an error the call is not made.
	refuse func(n int, c call) error

	names   map[*os.File]string
	visible map[string]*inode // by path, as a reader sees it
	durable map[string]*inode // by path, for entries whose folder was synced since
}

// call is one system call; to is the new name of a link or rename, or the name itself.
type call struct{ op, from, to string }

func (c call) String() string { return strings.TrimSpace(c.op + " " + c.from + " " + c.to) }

type inode struct {
	folder  bool
	content []byte
	synced  []byte // what fsync of the file has seen; nil before
}

func newFaultDisk(d disk) *faultDisk {
	return &faultDisk{disk: d, names: map[*os.File]string{}, visible: map[string]*inode{}, durable: map[string]*inode{}}
}

// do makes one call, unless it is refused.
func (f *faultDisk) do(op, from, to string, make func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := call{op, from, to}
	n := len(f.calls)
	f.calls = append(f.calls, c)
	if f.refuse != nil {
		if err := f.refuse(n, c); err != nil {
			return err
		}
	}
	return make()
}

func (f *faultDisk) create(name string) (file *os.File, err error) {
	err = f.do("create", "", name, func() error {
		if file, err = f.disk.create(name); err == nil {
			f.names[file] = name
			f.visible[name] = &inode{}
		}
		return err
	})
	return file, err
}

func (f *faultDisk) write(file *os.File, p []byte) (n int, err error) {
	err = f.do("write", "", f.nameOf(file), func() error {
		n, err = f.disk.write(file, p)
		if in := f.visible[f.names[file]]; in != nil {
			in.content = append(in.content, p[:n]...)
		}
		return err
	})
	return n, err
}

func (f *faultDisk) openDir(name string) (file *os.File, err error) {
	err = f.do("open", "", name, func() error {
		if file, err = f.disk.openDir(name); err == nil {
			f.names[file] = name
		}
		return err
	})
	return file, err
}

func (f *faultDisk) sync(file *os.File) error {
	name := f.nameOf(file)
	return f.do("sync", "", name, func() error {
		if err := f.disk.sync(file); err != nil {
			return err
		}
		if in := f.visible[name]; in != nil && !in.folder {
			in.synced = append([]byte{}, in.content...)
			return nil
		}
		// A folder: its entries are on the disk as they are now.
		maps.DeleteFunc(f.durable, func(p string, _ *inode) bool { return path.Dir(p) == name && f.visible[p] == nil })
		for p, in := range f.visible {
			if path.Dir(p) == name {
				f.durable[p] = in
			}
		}
		return nil
	})
}

func (f *faultDisk) close(file *os.File) error {
	return f.do("close", "", f.nameOf(file), func() error { return f.disk.close(file) })
}

func (f *faultDisk) mkdir(name string) error {
	return f.do("mkdir", "", name, func() error {
		err := f.disk.mkdir(name)
		if err == nil {
			f.visible[name] = &inode{folder: true}
		}
		return err
	})
}

func (f *faultDisk) link(from, to string) error {
	return f.do("link", from, to, func() error {
		err := f.disk.link(from, to)
		if err == nil {
			f.visible[to] = f.visible[from]
		}
		return err
	})
}

func (f *faultDisk) rename(from, to string) error {
	return f.do("rename", from, to, func() error {
		err := f.disk.rename(from, to)
		if err == nil {
			f.visible[to] = f.visible[from]
			delete(f.visible, from)
		}
		return err
	})
}

func (f *faultDisk) unlink(name string) error {
	return f.do("unlink", "", name, func() error {
		err := f.disk.unlink(name)
		if err == nil {
			delete(f.visible, name)
		}
		return err
	})
}

func (f *faultDisk) nameOf(file *os.File) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[file]
}

// afterPowerCut returns what the disk would hold under a name if only synced things survived.
func (f *faultDisk) afterPowerCut(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := path.Dir(name); p != "."; p = path.Dir(p) {
		if f.durable[p] == nil {
			return nil, errors.New("folder " + p + " is lost")
		}
	}
	in := f.durable[name]
	switch {
	case in == nil:
		return nil, errors.New("the name is lost")
	case in.synced == nil:
		return nil, errors.New("the content is lost")
	}
	return in.synced, nil
}

func (f *faultDisk) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s []string
	for _, c := range f.calls {
		s = append(s, c.String())
	}
	return s
}
