package messeaf

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

var (
	tooManyFiles = fmt.Sprintf("there are more than %d files", maxFiles)
	tooManyBytes = fmt.Sprintf("the files are larger than %d MiB together", maxBytes>>20)
)

// ParseZip reads the threads in a zip, as ParseTree does.
func ParseZip(archive []byte) ([]*Thread, error) {
	files, err := unzip(archive)
	if err != nil {
		return nil, err
	}
	return ParseTree(files)
}

// centralHeader is what the directory of a zip has before each of its entries.
const centralHeader = "PK\x01\x02"

// unzip returns the files of a zip. Names, kinds and sizes are looked at before anything is unpacked,
// and no more is unpacked than was announced. There is no limit on how well a file is packed: the sum
// of the sizes is what counts, and a drawing with much white in it packs as well as a bomb.
func unzip(archive []byte) ([]File, *Error) {
	if len(archive) > maxBytes {
		return nil, &Error{Problem: tooManyBytes}
	}
	// Counted first, since the reader makes all entries of the directory, 46 bytes each at least, at once.
	if bytes.Count(archive, []byte(centralHeader)) > maxFiles {
		return nil, &Error{Problem: tooManyFiles}
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged below, whatever GODEBUG says
		return nil, &Error{Problem: "is not a zip that can be read"}
	}
	var size uint64
	for _, entry := range r.File {
		if err := checkEntry(entry); err != nil {
			return nil, err
		}
		if size += entry.UncompressedSize64; size > maxBytes || entry.UncompressedSize64 > maxBytes {
			return nil, &Error{Problem: tooManyBytes}
		}
	}
	var files []File
	for _, entry := range r.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		content, err := unpack(entry)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: entry.Name, Content: content})
	}
	return files, nil
}

func checkEntry(entry *zip.File) *Error {
	const encrypted = 1 // flag bit 0
	name, isFolder := strings.CutSuffix(entry.Name, "/")
	mode := entry.Mode().Type()
	switch {
	case strings.HasPrefix(name, "/"):
		return inFile(entry.Name, "a path in a zip must not begin with a slash")
	case slices.Contains(strings.Split(name, "/"), ".."):
		return inFile(entry.Name, "a path in a zip must not hold ..")
	case strings.Contains(name, `\`):
		return inFile(entry.Name, "a path in a zip must not hold backslashes")
	case !plainPath(name):
		return unfitName(entry.Name)
	case isFolder && mode == fs.ModeDir && entry.UncompressedSize64 == 0:
		return nil
	case isFolder || mode != 0:
		return inFile(entry.Name, "is neither a file nor a folder")
	case entry.Flags&encrypted != 0:
		return inFile(entry.Name, "is encrypted")
	case entry.Method != zip.Store && entry.Method != zip.Deflate:
		return inFile(entry.Name, "is packed in a way that is not supported, only deflate is")
	}
	return nil
}

// mostDeflate is how many bytes one byte of deflate can stand for at most.
const mostDeflate = 1032

// unpack reads an entry, which must be of the size it announces.
func unpack(entry *zip.File) ([]byte, *Error) {
	broken := inFile(entry.Name, "is damaged, or not as large as the zip says")
	if entry.UncompressedSize64 > entry.CompressedSize64*mostDeflate {
		return nil, broken // so that no memory is taken for what can't be there
	}
	r, err := entry.Open()
	if err != nil {
		return nil, broken
	}
	defer r.Close()
	content := make([]byte, entry.UncompressedSize64)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, broken
	}
	// The reader looks at the checksum at the end, and for more than was announced.
	if n, err := r.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, broken
	}
	return content, nil
}

// Zip packs files, in the order of their names. The same files always give the same bytes: all have the
// same time, the first that a zip can hold.
func Zip(files []File) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		header.SetMode(0o644)
		entry, err := w.CreateHeader(header)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Name, err)
		}
		if _, err := entry.Write(f.Content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close zip: %w", err)
	}
	return out.Bytes(), nil
}
