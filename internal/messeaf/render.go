package messeaf

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
)

// Version of the format, by which files a thread is kept in.
type Version int

const (
	V1 Version = 1 // one file
	V2 Version = 2 // a folder of files, with attachments
)

// ErrAttachments is returned for a thread with attachments that is to be written as v1, which has no
// place for them.
var ErrAttachments = errors.New("the thread has attachments, which only v2 can hold")

const separator = "---\n"

// RenderV1 writes a thread as one file.
func (t *Thread) RenderV1() ([]byte, error) {
	if len(t.attachments) > 0 {
		return nil, ErrAttachments
	}
	var out []byte
	for i, doc := range t.documents {
		if i > 0 {
			out = append(out, separator...)
		}
		var err error
		if out, err = appendYAML(out, doc); err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", i+1, t.Ref(), err)
		}
	}
	return out, nil
}

// RenderV2 writes a thread as the files of its folder, without the folder in their names. A file goes
// on until the next message would make it larger than fileSize; only a single message may be larger.
func (t *Thread) RenderV2() ([]File, error) {
	var files []File
	var out []byte
	next := func() {
		files = append(files, File{Name: NameV2(len(files), t.Ref()), Content: out})
		out = nil
	}
	for i, doc := range t.documents {
		text, err := appendYAML(nil, doc)
		if err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", i+1, t.Ref(), err)
		}
		if len(out) > 0 && len(out)+len(separator)+len(text) > fileSize {
			next()
		}
		if len(out) > 0 {
			out = append(out, separator...)
		}
		out = append(out, text...)
	}
	next()
	for _, a := range t.attachments {
		files = append(files, File{Name: a.FileName(), Content: a.Bytes})
	}
	return files, nil
}

// Files are those of a thread as they lie side by side with those of other threads: one file, or those
// in the folder of the thread.
func (t *Thread) Files(v Version) ([]File, error) {
	if v == V1 {
		content, err := t.RenderV1()
		return []File{{Name: NameV1(t.Ref()), Content: content}}, err
	}
	files, err := t.RenderV2()
	for i := range files {
		files[i].Name = path.Join(t.Ref(), files[i].Name)
	}
	return files, err
}

// Tree are the files of threads in the folders of their states, ordered by name.
func Tree(v Version, threads ...*Thread) ([]File, error) {
	var all []File
	for _, t := range threads {
		files, err := t.Files(v)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			all = append(all, File{Name: path.Join(Folder(t.view.Status), f.Name), Content: f.Content})
		}
	}
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
