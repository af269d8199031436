package dirblob

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"gocloud.dev/blob/driver"
)

// writer writes one object to a temporary file and publishes it when it is closed.
type writer struct {
	dir    *Dir
	ctx    context.Context
	op     string
	key    string
	path   string
	create bool // else overwrite

	temp string
	file *os.File // nil before the first write and once closed
	err  error    // the first failure; nothing is published after it
}

// NewTypedWriter implements driver.Bucket. The content type and all options but IfNotExist and
// BeforeWrite are dropped.
func (d *Dir) NewTypedWriter(ctx context.Context, key, _ string, o *driver.WriterOptions) (driver.Writer, error) {
	w, err := d.newWriter(ctx, key, o.IfNotExist)
	if err == nil && o.BeforeWrite != nil {
		err = o.BeforeWrite(func(any) bool { return false })
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (d *Dir) newWriter(ctx context.Context, key string, create bool) (*writer, error) {
	w := &writer{dir: d, ctx: ctx, op: "overwrite", key: key, create: create}
	if create {
		w.op = "create"
	}
	path, ok := pathOf(key)
	if !ok {
		return nil, &Error{kind: definite, op: w.op, err: errBadKey}
	}
	w.path = path
	end, err := d.begin(ctx, w.op)
	if err != nil {
		return nil, err
	}
	end()
	return w, nil
}

// Write makes the temporary file with the first bytes. After an error there is none: the portable type
// does not close a writer whose first write failed.
func (w *writer) Write(p []byte) (n int, err error) {
	if w.err == nil && w.file == nil {
		w.err = w.open()
	}
	if w.err == nil {
		if n, err = w.dir.disk.write(w.file, p); err != nil {
			w.err = &Error{kind: definite, op: w.op, err: cause(err)}
		}
	}
	if w.err != nil {
		w.abandon()
	}
	return n, w.err
}

// open makes the temporary file, and .tmp again where someone removed it. A create that has lost
// already ends here.
func (w *writer) open() error {
	if w.create {
		unlock := w.dir.keys.lock(w.key) // waits for the winner to be durable
		lost := w.dir.isObject(w.path)
		unlock()
		if lost {
			return &Error{kind: exists, op: w.op, err: fs.ErrExist}
		}
	}
	end, err := w.dir.begin(w.ctx, w.op)
	if err != nil {
		return err
	}
	defer end()
	w.temp = w.dir.tempName()
	w.file, err = w.dir.disk.create(w.temp)
	if errors.Is(err, fs.ErrNotExist) {
		if err := w.dir.disk.mkdir(tempFolder); err != nil && !errors.Is(err, fs.ErrExist) {
			return w.dir.unmade(w.op, err)
		}
		w.file, err = w.dir.disk.create(w.temp)
	}
	if err != nil {
		w.temp = ""
		return w.dir.unmade(w.op, err)
	}
	return nil
}

// Close publishes the object, unless a write failed or the context has ended. An object that is
// returned without error is durable.
func (w *writer) Close() error {
	if w.err == nil && w.file == nil { // an empty object
		_, _ = w.Write(nil)
	}
	defer w.dir.keys.lock(w.key)()
	return w.finish()
}

// finish is Close for one who holds the key.
func (w *writer) finish() error {
	end, err := w.dir.begin(w.ctx, w.op)
	if err != nil {
		w.abandon()
		return err
	}
	defer end()
	if w.err == nil {
		w.err = w.publish()
	}
	if w.err != nil {
		w.abandon()
	}
	return w.err
}

// abandon removes the temporary file. Where even that fails, the next start sweeps it.
func (w *writer) abandon() {
	if w.file != nil {
		_ = w.dir.disk.close(w.file)
		w.file = nil
	}
	if w.temp != "" {
		_ = w.dir.disk.unlink(w.temp)
		w.temp = ""
	}
}

// publish makes the object visible and durable. All that can fail for an outer reason, such as too
// many open files, comes before the name exists; after it only the syncs are left.
func (w *writer) publish() error {
	disk := w.dir.disk
	if w.create && w.dir.isObject(w.path) {
		return &Error{kind: exists, op: w.op, err: fs.ErrExist} // spares who lost the race a sync
	}
	if err := disk.sync(w.file); err != nil {
		return &Error{kind: definite, op: w.op, err: cause(err)}
	}
	file := w.file
	w.file = nil
	if err := disk.close(file); err != nil {
		return &Error{kind: definite, op: w.op, err: cause(err)}
	}
	folders, err := w.dir.openFolders(parentOf(w.path))
	if err != nil {
		return w.dir.unmade(w.op, err)
	}
	defer folders.close()
	if err := w.ctx.Err(); err != nil {
		return &Error{kind: definite, op: w.op, err: err}
	}
	if err := w.place(); err != nil {
		return err
	}
	// From here on the object is visible, and a failure is fatal (invariant 4).
	if err := folders.sync(); err != nil {
		return w.dir.fail(w.op, cause(err))
	}
	return nil
}

// place gives the temporary file its name.
func (w *writer) place() error {
	call := w.dir.disk.rename
	if w.create {
		call = w.dir.disk.link
	}
	err := call(w.temp, w.path)
	switch {
	case err != nil && !refused(err):
		return w.dir.fail(w.op, cause(err))
	case w.create && errors.Is(err, fs.ErrExist):
		if w.dir.isFolder(w.path) {
			return &Error{kind: definite, op: w.op, err: errFolder}
		}
		return &Error{kind: exists, op: w.op, err: fs.ErrExist}
	case err != nil:
		return w.dir.unmade(w.op, err)
	}
	if w.create {
		// A second name that stays is litter, no harm: files are never written in place.
		_ = w.dir.disk.unlink(w.temp)
	} else {
		w.dir.opened.drop(w.path)
	}
	w.temp = ""
	return nil
}

// unmade is the error of a call that changed nothing. Where the reason is that the directory is gone,
// it is fatal.
func (d *Dir) unmade(op string, err error) error {
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed
	}
	if errors.Is(err, fs.ErrNotExist) {
		if gone := d.alive(); gone != nil {
			return d.fail(op, gone)
		}
	}
	return &Error{kind: definite, op: op, err: cause(err)}
}

func (d *Dir) isObject(path string) bool {
	info, err := d.root.Lstat(path)
	return err == nil && !info.IsDir()
}

func (d *Dir) isFolder(path string) bool {
	info, err := d.root.Lstat(path)
	return err == nil && info.IsDir()
}
