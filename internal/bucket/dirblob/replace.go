package dirblob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"gocloud.dev/blob/driver"
)

// Load returns an object and its version, which is a hash of the content.
func (d *Dir) Load(ctx context.Context, key string) (data []byte, version string, err error) {
	f, info, err := d.open(ctx, "load", key)
	if err != nil {
		return nil, "", named(err, key)
	}
	defer f.Close()
	data = make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, "", &Error{kind: definite, op: "load", key: key, err: cause(err)}
	}
	return data, versionOf(data), nil
}

func versionOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Replace overwrites an object that still has a version, or with version "" creates it. Exists,
// Changed, NotFound, Definite and Fatal tell its errors apart.
func (d *Dir) Replace(ctx context.Context, key, version string, data []byte) error {
	w, err := d.newWriter(ctx, key, version == "")
	if err != nil {
		return named(err, key)
	}
	if version == "" {
		if _, err := w.Write(data); err != nil {
			return named(err, key)
		}
		return named(w.Close(), key)
	}
	defer d.keys.lock(key)()
	_, current, err := d.Load(ctx, key)
	if err != nil {
		return err
	}
	if current != version {
		return &Error{kind: changed, op: "replace", key: key, err: errors.New("it has another version")}
	}
	if _, err := w.Write(data); err != nil {
		return named(err, key)
	}
	return named(w.finish(), key)
}

// named gives an error the key, which the portable type adds to those that pass through it.
func named(err error, key string) error {
	e, ok := err.(*Error)
	if !ok || e.key != "" || e.kind == fatal {
		return err
	}
	c := *e
	c.key = key
	return &c
}

// Copy implements driver.Bucket.
func (d *Dir) Copy(ctx context.Context, toKey, fromKey string, o *driver.CopyOptions) error {
	f, _, err := d.open(ctx, "copy", fromKey)
	if err != nil {
		return err
	}
	defer f.Close()
	if o.BeforeCopy != nil {
		if err := o.BeforeCopy(func(any) bool { return false }); err != nil {
			return err
		}
	}
	w, err := d.newWriter(ctx, toKey, false)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		w.abandon()
		return d.unmade("copy", err)
	}
	return w.Close()
}

// Delete implements driver.Bucket. The object is gone for good when it returns nil. Folders stay.
func (d *Dir) Delete(ctx context.Context, key string, o *driver.DeleteOptions) error {
	const op = "delete"
	if o.BeforeDelete != nil {
		if err := o.BeforeDelete(func(any) bool { return false }); err != nil {
			return err
		}
	}
	defer d.keys.lock(key)()
	end, err := d.begin(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	path, ok := pathOf(key)
	if !ok {
		return d.missing(op, errBadKey)
	}
	if info, err := d.root.Lstat(path); err != nil {
		return d.unread(op, err)
	} else if info.IsDir() {
		return d.missing(op, errFolder)
	}
	folder, err := d.disk.openDir(parentOf(path))
	if err != nil {
		return d.unread(op, err)
	}
	defer d.disk.close(folder)
	if err := d.disk.unlink(path); err != nil && !refused(err) {
		return d.fail(op, cause(err))
	} else if err != nil {
		return d.unread(op, err)
	}
	d.opened.drop(path)
	if err := d.disk.sync(folder); err != nil {
		return d.fail(op, cause(err))
	}
	return nil
}

// Settle makes a visible object durable, with every folder above it: a process killed between link
// and fsync left a name that readers see and a power cut would take away.
func (d *Dir) Settle(ctx context.Context, key string) error {
	const op = "settle"
	f, _, err := d.open(ctx, op, key)
	if err != nil {
		return named(err, key)
	}
	defer f.Close()
	end, err := d.begin(ctx, op)
	if err != nil {
		return named(err, key)
	}
	defer end()
	path, _ := pathOf(key)
	folders, err := d.openFolders(parentOf(path))
	if err != nil {
		return named(d.unmade(op, err), key)
	}
	defer folders.close()
	if err := d.disk.sync(f); err != nil {
		return d.fail(op, cause(err))
	}
	if err := folders.sync(); err != nil {
		return d.fail(op, cause(err))
	}
	return nil
}

// Spelling returns the first name in a folder ("" or ending in "/") that differs from name in case
// only, or "" (docs/storage.md: on a file system that takes both for one, the second must be refused).
func (d *Dir) Spelling(ctx context.Context, folder, name string) (string, error) {
	const op = "list"
	names, err := d.names(ctx, op, folder)
	if err != nil {
		return "", named(err, folder)
	}
	slices.Sort(names)
	for _, n := range names {
		if n != name && strings.EqualFold(n, name) {
			return n, nil
		}
	}
	return "", nil
}

// names returns the elements of the keys in a folder, in no order; none where there is no folder.
func (d *Dir) names(ctx context.Context, op, folder string) ([]string, error) {
	path := "."
	if folder != "" {
		var err error
		if path, err = d.find(ctx, op, strings.TrimSuffix(folder, "/")); NotFound(err) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	f, err := d.root.Open(path)
	if err != nil {
		if err := d.unread(op, err); !NotFound(err) {
			return nil, err
		}
		return nil, nil
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, d.unread(op, err)
	}
	elements := names[:0]
	for _, n := range names {
		if path != "." || !reserved(n) {
			elements = append(elements, elementOf(n, path == "."))
		}
	}
	return elements, nil
}
