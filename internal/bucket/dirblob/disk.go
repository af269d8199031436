package dirblob

import (
	"os"
)

// disk is every system call by which a Dir changes the directory, one method each, so that a test can
// see their order, make any of them fail, and end the process between any two. Names are relative to
// the root.
type disk interface {
	create(name string) (*os.File, error) // exclusively, for writing
	write(f *os.File, p []byte) (int, error)
	openDir(name string) (*os.File, error)
	sync(f *os.File) error // of a file or a folder
	close(f *os.File) error
	mkdir(name string) error
	link(from, to string) error
	rename(from, to string) error
	unlink(name string) error
}

// Objects are not for everyone on the machine, because profiles hold the secrets of notification
// channels; the group may run queries. The umask can only take away.
const (
	fileMode   = 0o640
	folderMode = 0o750
)

type rootDisk struct{ root *os.Root }

func (d rootDisk) create(name string) (*os.File, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}
func (d rootDisk) write(f *os.File, p []byte) (int, error) { return f.Write(p) }
func (d rootDisk) openDir(name string) (*os.File, error)   { return d.root.Open(name) }
func (d rootDisk) sync(f *os.File) error                   { return f.Sync() }
func (d rootDisk) close(f *os.File) error                  { return f.Close() }
func (d rootDisk) mkdir(name string) error                 { return d.root.Mkdir(name, folderMode) }
func (d rootDisk) link(from, to string) error              { return d.root.Link(from, to) }
func (d rootDisk) rename(from, to string) error            { return d.root.Rename(from, to) }
func (d rootDisk) unlink(name string) error                { return d.root.Remove(name) }
