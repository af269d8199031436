package messeaf

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// File is one of the files that a thread is kept in, or several threads. Its name is a path with
// slashes below the folder of them all.
type File struct {
	Name    string
	Content []byte
}

// ParseV1 reads the one file of a v1 thread. Its name must be the one the format has for it, NameV1,
// unless it is "", for a text that came without one.
func ParseV1(name string, content []byte) (*Thread, error) {
	if name != "" && !plainPath(name) {
		return nil, unfitName(name)
	}
	t, err := parseV1File(name, content)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func parseV1File(name string, content []byte) (*Thread, *Error) {
	ref, ok := parseV1(path.Base(name))
	if name != "" && !ok {
		return nil, unknownFile(name)
	}
	b := &builder{}
	if err := b.read(name, content); err != nil {
		return nil, err
	}
	if len(b.t.documents) == 0 {
		return nil, inFile(name, "holds no document")
	}
	if name != "" && b.t.Ref() != ref {
		return nil, inFile(name, "is named after another thread than its ref, %s", b.t.Ref())
	}
	return b.thread(), nil
}

// read adds the documents of a file.
func (b *builder) read(name string, content []byte) *Error {
	if err := checkText(name, content); err != nil {
		return err
	}
	chunks, err := documents(name, content)
	if err != nil {
		return err
	}
	if len(b.t.documents)+len(chunks) > maxDocuments {
		return tooManyDocuments(name)
	}
	for _, c := range chunks {
		d, err := readDocument(name, c)
		if err != nil {
			return err
		}
		if p := b.add(d.json); p != nil {
			return d.at(p)
		}
	}
	return nil
}

// ParseV2 reads the files of a v2 thread, whose names may have their folder before them.
func ParseV2(files []File) (*Thread, error) {
	if err := checkFiles(files); err != nil {
		return nil, err
	}
	t, err := parseV2Files(files)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func parseV2Files(files []File) (*Thread, *Error) {
	numbered, attachments, err := sortV2(files)
	if err != nil {
		return nil, err
	}
	b := &builder{}
	for i, f := range numbered {
		if f.number != i {
			return nil, inFile(f.Name, "file number %03d of its thread is missing", i)
		}
		if f.ref != numbered[0].ref {
			return nil, inFile(f.Name, "is of another thread than %s", show(numbered[0].ref))
		}
		if err := b.read(f.Name, f.Content); err != nil {
			return nil, err
		}
		if len(b.t.documents) == 0 {
			return nil, inFile(f.Name, "holds no document")
		}
		if b.t.Ref() != f.ref {
			return nil, inFile(f.Name, "is named after another thread than its ref, %s", b.t.Ref())
		}
	}
	first := numbered[0]
	if folder := path.Base(path.Dir(first.Name)); folder != "." && folder != first.ref {
		return nil, inFile(first.Name, "its folder must be named after its thread, %s", first.ref)
	}
	b.attach(attachments)
	return b.thread(), nil
}

type numberedFile struct {
	File
	number int
	ref    string
}

// sortV2 tells the files of one thread apart: those of documents, in the order of their numbers, at
// least one, and the attachments.
func sortV2(files []File) (numbered []numberedFile, attachments []Attachment, err *Error) {
	for _, f := range files {
		if folder := path.Dir(files[0].Name); path.Dir(f.Name) != folder {
			return nil, nil, inFile(f.Name, "is in another folder than the other files of its thread")
		}
		base := path.Base(f.Name)
		if number, ref, ok := parseV2(base); ok {
			numbered = append(numbered, numberedFile{f, number, ref})
		} else if a, ok := ParseAttachmentName(base); ok {
			a.Bytes = f.Content
			attachments = append(attachments, a)
		} else {
			return nil, nil, unknownFile(f.Name)
		}
	}
	if len(numbered) == 0 {
		if len(files) == 0 {
			return nil, nil, &Error{Problem: "there is no file of a thread"}
		}
		return nil, nil, inFile(files[0].Name, "the file with the envelope, 000-{ref}%s, is missing beside it", extension)
	}
	slices.SortStableFunc(numbered, func(a, b numberedFile) int { return cmp.Compare(a.number, b.number) })
	return numbered, attachments, nil
}

func unknownFile(name string) *Error {
	return inFile(name, "is not named as a file of a thread is: {ref}%[1]s, 000-{ref}%[1]s or att-001-image-{name}", extension)
}

// ParseTree reads any number of threads, v1 and v2, ordered by their refs. Folders above a thread, such
// as those for the states, may be there and say nothing: the envelope does. All is read or nothing.
func ParseTree(files []File) ([]*Thread, error) {
	if err := checkFiles(files); err != nil {
		return nil, err
	}
	threads, err := parseTree(files)
	if err != nil {
		return nil, err
	}
	return threads, nil
}

func parseTree(files []File) ([]*Thread, *Error) {
	var threads []*Thread
	folders := map[string][]File{} // of v2 threads
	for _, f := range files {
		if _, ok := parseV1(path.Base(f.Name)); !ok {
			folder := path.Dir(f.Name)
			folders[folder] = append(folders[folder], f)
			continue
		}
		t, err := parseV1File(f.Name, f.Content)
		if err != nil {
			return nil, err
		}
		threads = append(threads, t)
	}
	for _, folder := range sortedKeys(folders) {
		t, err := parseV2Files(folders[folder])
		if err != nil {
			return nil, err
		}
		threads = append(threads, t)
	}
	if len(threads) == 0 {
		return nil, &Error{Problem: "there is no file of a thread"}
	}
	slices.SortFunc(threads, func(a, b *Thread) int { return cmp.Compare(a.Ref(), b.Ref()) })
	for i, t := range threads[1:] {
		if t.Ref() == threads[i].Ref() {
			return nil, &Error{Problem: "the thread " + t.Ref() + " is there twice"}
		}
	}
	return threads, nil
}

// checkFiles looks at the names of all files of an import, and at their sizes.
func checkFiles(files []File) *Error {
	if len(files) > maxFiles {
		return &Error{Problem: tooManyFiles}
	}
	names := make(map[string]struct{}, len(files))
	size, text := 0, 0
	for _, f := range files {
		if !plainPath(f.Name) {
			return unfitName(f.Name)
		}
		if _, twice := names[f.Name]; twice {
			return inFile(f.Name, "is there twice")
		}
		names[f.Name] = struct{}{}
		if size += len(f.Content); size > maxBytes {
			return &Error{Problem: tooManyBytes}
		}
		if strings.HasSuffix(f.Name, extension) {
			text += len(f.Content)
		}
		if text > maxText {
			return inFile(f.Name, "the YAML files up to this one are larger than %d MiB together", maxText>>20)
		}
	}
	return nil
}

func unfitName(name string) *Error {
	return inFile(name, "is a name that can't be given to a file on every system")
}
