//go:build e2e

package e2e

import (
	"bytes"
	endian "encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// watch tells of each change below a folder, in the order in which the kernel saw them (inotify(7)): a file
// that appeared, that was written to its end, that took another one's place, or that was deleted. changed
// is called from one goroutine, with the path below the folder, from before watch returns until stop is
// called. What happens in a folder that is made meanwhile is told from soon after its beginning.
func watch(t *testing.T, root string, changed func(path string)) (stop func()) {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatalf("watching %s: %v", root, err)
	}
	w := watcher{events: os.NewFile(uintptr(fd), "inotify"), fd: fd, root: root, folders: map[int32]string{}}
	if err := w.add(root); err != nil {
		t.Fatalf("watching %s: %v", root, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.follow(changed)
	}()
	return func() {
		_ = w.events.Close() // which ends follow
		<-ended
	}
}

// watcher is used by one goroutine.
type watcher struct {
	events  *os.File
	fd      int
	root    string
	folders map[int32]string // by the number that events have for them
}

const watched = syscall.IN_CREATE | syscall.IN_CLOSE_WRITE | syscall.IN_MOVED_TO | syscall.IN_DELETE

// add watches a folder and all in it.
func (w *watcher) add(folder string) error {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		number, err := syscall.InotifyAddWatch(w.fd, path, watched|syscall.IN_ONLYDIR)
		w.folders[int32(number)] = path
		return err
	})
}

func (w *watcher) follow(changed func(path string)) {
	root, err := filepath.EvalSymlinks(w.root)
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := w.events.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) > 0; {
			number, mask := int32(endian.NativeEndian.Uint32(rest)), endian.NativeEndian.Uint32(rest[4:])
			end := syscall.SizeofInotifyEvent + int(endian.NativeEndian.Uint32(rest[12:]))
			path := filepath.Join(w.folders[number], string(bytes.TrimRight(rest[syscall.SizeofInotifyEvent:end], "\x00")))
			rest = rest[end:]
			if mask&syscall.IN_ISDIR != 0 {
				_ = w.add(path) // gone already
				continue
			}
			if below, err := filepath.Rel(root, path); err == nil && mask&syscall.IN_IGNORED == 0 {
				changed(below)
			}
		}
	}
}
