package dirblob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// Dir is a bucket on a directory that this process has locked. It is a gocloud driver, to be opened
// with blob.NewBucket, plus what the portable type cannot say: Load, Replace, ReadRange, Settle, Spelling.
// It is safe for concurrent use.
type Dir struct {
	root     *os.Root
	disk     disk
	lock     *os.File
	lockInfo fs.FileInfo
	lockPath string // absolute

	readOnly bool // opened without the lock: nothing is changed
	pid      string
	temps    atomic.Uint64 // with pid, names the next temporary file
	settled  folderSet
	reading  readFolder
	opened   openFiles
	keys     keyLocks
	failed   atomic.Pointer[Error]
	mu       sync.RWMutex // held to read by every call that changes something, so that Close waits
	isClosed bool
}

var _ driver.Bucket = (*Dir)(nil)

// settings are what only tests set.
type settings struct {
	shared bool            // do not lock
	wrap   func(disk) disk // stand between the Dir and the disk
}

// Open locks a directory, making it where it is missing, and removes what a killed process left in
// .tmp. Errors say in one sentence what the operator can do: the directory is in use by another
// process, cannot be written, or its file system lacks link(2), flock(2) or fsync of a folder.
func Open(path string) (*Dir, error) { return open(path, settings{}) }

func open(path string, s settings) (_ *Dir, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the directory %q: %w", path, err)
	}
	if err := makeRoot(path); err != nil {
		return nil, fmt.Errorf("making the directory %s: %w", path, cause(err))
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the directory %s: %w", path, cause(err))
	}
	d := &Dir{root: root, disk: rootDisk{root}, lockPath: filepath.Join(path, lockFile), pid: strconv.Itoa(os.Getpid())}
	if s.wrap != nil {
		d.disk = s.wrap(d.disk)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	if err := d.acquire(path, s.shared); err != nil {
		return nil, err
	}
	if s.shared {
		return d, nil
	}
	if err := d.sweep(); err != nil {
		return nil, fmt.Errorf("writing to the directory %s: %w", path, cause(err))
	}
	if err := d.probe(); err != nil {
		return nil, fmt.Errorf("the directory %s is on a file system that cannot hold the data: %w", path, err)
	}
	return d, nil
}

// OpenReadOnly opens a directory that exists, to read it beside the process that holds its lock, or where
// nothing can be written. Every call that would change something fails, definitely.
func OpenReadOnly(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the directory %s: %w", path, cause(err))
	}
	return &Dir{root: root, disk: rootDisk{root}, readOnly: true}, nil
}

// makeRoot makes the directory and those above it, each durable in the one above.
func makeRoot(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeRoot(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// acquire opens .lock and takes it (docs/storage.md: flock on an open file, never its existence).
func (d *Dir) acquire(path string, shared bool) (err error) {
	d.lock, err = d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("writing to the directory %s: %w", path, cause(err))
	}
	if d.lockInfo, err = d.lock.Stat(); err != nil {
		return fmt.Errorf("reading %s: %w", d.lockPath, cause(err))
	}
	if shared {
		return nil
	}
	if err := flock(d.lock); isLocked(err) {
		return fmt.Errorf("the directory %s is in use by another process: only one server can run on it", path)
	} else if err != nil {
		return fmt.Errorf("locking %s: %w: the directory must be on a file system with flock(2)", d.lockPath, err)
	}
	if err := d.alive(); err != nil {
		return fmt.Errorf("locking %s: %w", d.lockPath, err)
	}
	return nil
}

// sweep makes .tmp and removes what is in it. Only the holder of the lock may.
func (d *Dir) sweep() error {
	if err := d.disk.mkdir(tempFolder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := d.root.Open(tempFolder)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.root.RemoveAll(tempFolder + "/" + name); err != nil {
			return err
		}
	}
	if err := d.root.Remove(probeFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// probe tries the three system calls that not every file system has.
func (d *Dir) probe() error {
	again, err := d.root.OpenFile(lockFile, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer again.Close()
	if err := flock(again); !isLocked(err) {
		return errors.New("its flock(2) lets two hold one lock")
	}
	temp := tempFolder + "/probe"
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE, fileMode)
	if err != nil {
		return cause(err)
	}
	defer d.root.Remove(temp)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("fsync(2) of a file: %w", err)
	}
	if err := d.root.Link(temp, probeFile); err != nil {
		return fmt.Errorf("link(2): %w", cause(err))
	}
	defer d.root.Remove(probeFile)
	if err := d.root.Link(temp, probeFile); !errors.Is(err, fs.ErrExist) {
		return errors.New("its link(2) overwrites")
	}
	top, err := d.root.Open(".")
	if err != nil {
		return cause(err)
	}
	defer top.Close()
	if err := top.Sync(); err != nil {
		return fmt.Errorf("fsync(2) of a folder: %w", err)
	}
	return nil
}

// cause strips the call and the path from a file error; the sentence around it names them.
func cause(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

// begin starts a call that changes something: end must be called when it is over. It fails where
// nothing may be changed any more.
func (d *Dir) begin(ctx context.Context, op string) (end func(), err error) {
	d.mu.RLock()
	if err := d.ready(ctx, op); err != nil {
		d.mu.RUnlock()
		return nil, err
	}
	if d.readOnly {
		d.mu.RUnlock()
		return nil, &Error{kind: definite, op: op, err: errReadOnly}
	}
	if err := d.alive(); err != nil {
		d.mu.RUnlock()
		return nil, d.fail(op, err)
	}
	return d.mu.RUnlock, nil
}

// ready refuses a call on a Dir that is closed or has failed, or whose context has ended.
func (d *Dir) ready(ctx context.Context, op string) error {
	if failed := d.failed.Load(); failed != nil {
		return failed
	}
	if d.isClosed {
		return &Error{kind: definite, op: op, err: errClosed}
	}
	if err := ctx.Err(); err != nil {
		return &Error{kind: definite, op: op, err: err}
	}
	return nil
}

// alive looks whether the lock at the directory's path is still the one this process holds. A reader
// holds none; it sees what is there.
func (d *Dir) alive() error {
	if d.readOnly {
		return nil
	}
	info, err := os.Stat(d.lockPath)
	switch {
	case err == nil && os.SameFile(info, d.lockInfo):
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return errGone
	}
	return nil // not to be told now, such as EACCES; the call itself will meet it
}

// fail makes the Dir refuse every later call.
func (d *Dir) fail(op string, err error) error {
	e := &Error{kind: fatal, op: op, err: err}
	if !d.failed.CompareAndSwap(nil, e) {
		return d.failed.Load()
	}
	return e
}

// missing is the error for a name under which nothing was found, which counts only in a directory that
// is still the right one.
func (d *Dir) missing(op string, err error) error {
	if gone := d.alive(); gone != nil {
		return d.fail(op, gone)
	}
	return &Error{kind: notFound, op: op, err: cause(err)}
}

// tempName returns a new name in .tmp, which was swept at start.
func (d *Dir) tempName() string {
	return tempFolder + "/" + d.pid + "-" + strconv.FormatUint(d.temps.Add(1), 10)
}

// Close waits for the calls in flight and unlocks the directory. Writers that are still open fail.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed {
		return &Error{kind: definite, op: "close", err: errClosed}
	}
	d.isClosed = true
	return d.release()
}

func (d *Dir) release() error {
	var err error
	if d.lock != nil {
		err = errors.Join(unlock(d.lock), d.lock.Close())
	}
	err = errors.Join(err, d.root.Close())
	d.reading.close()
	d.opened.close()
	return err
}

// ErrorCode implements driver.Bucket.
func (d *Dir) ErrorCode(err error) gcerrors.ErrorCode { return code(err) }

// As implements driver.Bucket; there is nothing to convert to.
func (d *Dir) As(any) bool { return false }

// ErrorAs implements driver.Bucket.
func (d *Dir) ErrorAs(err error, i any) bool { return errors.As(err, i) }

// SignedURL implements driver.Bucket; a directory has no URLs.
func (d *Dir) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errNoURL
}

func parentOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}
