package dirblob

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gocloud.dev/blob/driver"
)

// contentType is that of every object, since none is kept.
const contentType = "application/octet-stream"

// Attributes implements driver.Bucket. The ETag is of time and size only; Load has a version that is of
// the content.
func (d *Dir) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	const op = "stat"
	path, err := d.find(ctx, op, key)
	if err != nil {
		return nil, err
	}
	info, err := d.root.Stat(path)
	switch {
	case err != nil:
		return nil, d.unread(op, err)
	case !info.Mode().IsRegular():
		return nil, d.missing(op, errFolder)
	}
	return &driver.Attributes{
		ContentType: contentType,
		ModTime:     info.ModTime(),
		Size:        info.Size(),
		ETag:        fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()),
	}, nil
}

// NewRangeReader implements driver.Bucket.
func (d *Dir) NewRangeReader(ctx context.Context, key string, offset, length int64, o *driver.ReaderOptions) (driver.Reader, error) {
	f, info, err := d.open(ctx, "read", key)
	if err != nil {
		return nil, err
	}
	if o.BeforeRead != nil {
		if err := o.BeforeRead(func(any) bool { return false }); err != nil {
			f.Close()
			return nil, err
		}
	}
	if length < 0 {
		length = max(info.Size()-offset, 0)
	}
	return &reader{section: io.NewSectionReader(f, offset, length), file: f, info: info}, nil
}

type reader struct {
	section *io.SectionReader
	file    *os.File
	info    fs.FileInfo
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.section.Read(p)
	if err != nil && err != io.EOF {
		err = &Error{kind: definite, op: "read", err: cause(err)}
	}
	return n, err
}

func (r *reader) Close() error { return r.file.Close() }
func (r *reader) As(any) bool  { return false }
func (r *reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: contentType, ModTime: r.info.ModTime(), Size: r.info.Size()}
}

// open opens an object.
func (d *Dir) open(ctx context.Context, op, key string) (*os.File, fs.FileInfo, error) {
	path, err := d.find(ctx, op, key)
	if err != nil {
		return nil, nil, err
	}
	f, err := d.openFile(path)
	if err != nil {
		return nil, nil, d.unread(op, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, d.unread(op, err)
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, nil, d.missing(op, errFolder)
	}
	return f, info, nil
}

// openFile opens a file for reading. Whoever reads a folder's files one after the other does not go down the
// tree for each. What is not found in the open folder is looked for by its whole path, so that "not found" is
// about the tree as it is.
func (d *Dir) openFile(path string) (*os.File, error) {
	folder := parentOf(path)
	if root := d.reading.enter(d.root, folder); root != nil {
		if f, err := root.OpenFile(path[len(folder)+1:], openFlags, 0); err == nil {
			return f, nil
		}
	}
	return d.root.OpenFile(path, openFlags, 0)
}

// find returns the path of an object that is to be read. There is no object with a key that no file
// can have.
func (d *Dir) find(ctx context.Context, op, key string) (string, error) {
	d.mu.RLock()
	err := d.ready(ctx, op)
	d.mu.RUnlock()
	if err != nil {
		return "", err
	}
	path, ok := pathOf(key)
	if !ok {
		return "", d.missing(op, errBadKey)
	}
	return path, nil
}

func (d *Dir) unread(op string, err error) error {
	if absent(err) {
		return d.missing(op, err)
	}
	return &Error{kind: definite, op: op, err: cause(err)}
}
