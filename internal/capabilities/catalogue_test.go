package capabilities

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shelf is a catalogue under test, whose clock the test moves.
type shelf struct {
	t *testing.T
	*Catalogue
	clock time.Time
	log   strings.Builder
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{t: t, clock: time.Now().Add(time.Hour)} // files are old: none changes without showing it
	s.Catalogue = New(t.TempDir(), slog.New(slog.NewTextHandler(&s.log, nil)))
	s.now = func() time.Time { return s.clock }
	return s
}

func (s *shelf) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// ids are those that are listed a moment later, and said is what was logged for that.
func (s *shelf) ids(tag string) (ids, said string) {
	s.clock = s.clock.Add(checkEvery)
	before := s.log.Len()
	var all []string
	for _, one := range s.List(tag) {
		all = append(all, one.ID)
	}
	return strings.Join(all, " "), s.log.String()[before:]
}

func (s *shelf) want(ids string, lines int) string {
	s.t.Helper()
	got, said := s.ids("")
	if got != ids || strings.Count(said, "\n") != lines {
		s.t.Fatalf("got %q, want %q; logged, where %d lines were due: %s", got, ids, lines, said)
	}
	return said
}

// Ensure several files and documents are one list in order, and what a tag selects.
func TestList(t *testing.T) {
	s := newShelf(t)
	s.write("b.yml", "id: b1\ntags: [media, 'x y']\n")
	s.write("a.yaml", "# a comment\n---\nid: a1\ndescription: |\n  Two\n  lines\ntags: [media]\ndefinition: {input: [1, {deep: true}]}\n---\n\n---\nid: a2\ntags: media\n...\n---\nid: 1.10\ndescription: null\ntags:\n")
	for name, text := range map[string]string{"c.txt": "id: no", ".hidden.yaml": "id: no", "c.json": `{"id": "no"}`, "c.YAML": "id: no"} {
		s.write(name, text)
	}
	if err := os.Mkdir(filepath.Join(s.folder, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.want("a1 a2 1.10 b1", 0)
	all := s.List("")
	if fmt.Sprintf("%q", all) != `[{"a1" "Two\nlines\n" ["media"]} {"a2" "" ["media"]} {"1.10" "" []} {"b1" "" ["media" "x y"]}]` || all[2].Tags == nil {
		t.Errorf("got %q", all)
	}
	for tag, want := range map[string]string{"media": "a1 a2 b1", "x y": "b1", "x": "", "Media": "", "nothing": ""} {
		if got, _ := s.ids(tag); got != want {
			t.Errorf("tag %q: got %q, want %q", tag, got, want)
		}
	}
}

// Ensure files that come, change, break, are mended and go are noticed, that a broken one is one line in
// the log, and that nobody has to wait longer than a second for that.
func TestChanges(t *testing.T) {
	s := newShelf(t)
	s.write("a.yaml", "id: a")
	s.want("a", 0)
	s.write("b.yaml", "id: b")
	if all := s.List(""); len(all) != 1 {
		t.Errorf("looked at the folder twice in a second: %v", all)
	}
	s.want("a b", 0)
	s.write("a.yaml", "id: [")
	if said := s.want("b", 1); !strings.Contains(said, "a.yaml") || !strings.Contains(said, "not valid YAML") {
		t.Errorf("said %s", said)
	}
	s.want("b", 0)
	s.write("a.yaml", "id: {}")
	s.want("b", 1)
	s.write("a.yaml", "id: c\n---\nid: d")
	s.want("c d b", 0)
	if err := os.Remove(filepath.Join(s.folder, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	s.want("c d", 0)
	s.write("e.yaml", "id: e")
	if err := os.Rename(filepath.Join(s.folder, "e.yaml"), filepath.Join(s.folder, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	s.want("e", 0)
	if err := os.RemoveAll(s.folder); err != nil {
		t.Fatal(err)
	}
	s.want("", 1)
	s.want("", 0)
}

// Ensure that a change which leaves size and time of a file as they were is seen while the time can't be
// relied on.
func TestChangeInTheSameMoment(t *testing.T) {
	s := newShelf(t)
	s.write("a.yaml", "id: a")
	path := filepath.Join(s.folder, "a.yaml")
	written := s.clock.Add(checkEvery)
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	s.want("a", 0)
	s.write("a.yaml", "id: b")
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	s.want("b", 0)
	s.clock = s.clock.Add(time.Minute)
	s.want("b", 0)
	before := s.files["a.yaml"]
	s.want("b", 0)
	if s.files["a.yaml"] != before {
		t.Error("a file that has settled is read again")
	}
}

// Ensure the first of two with one id counts, wherever they are, and that it is said once.
func TestTwice(t *testing.T) {
	s := newShelf(t)
	s.write("a.yaml", "id: x\ndescription: first\n---\nid: y\n---\nid: x\n")
	s.write("b.yaml", "id: y\ntags: [b]\n---\nid: z")
	said := s.want("x y z", 2)
	if !strings.Contains(said, `\"x\" is in a.yaml already`) || !strings.Contains(said, `\"y\" is in a.yaml already; the one in b.yaml`) {
		t.Errorf("said %s", said)
	}
	if got, _ := s.ids("b"); got != "" || s.List("")[0].Description != "first" {
		t.Error("the second one counts")
	}
	s.write("c.yaml", "id: c")
	s.want("x y z c", 0)
	s.write("a.yaml", "id: x")
	s.want("x y z c", 0)
}

// Ensure what is no catalogue is left out as a whole file, with a reason, and the rest is served.
func TestBrokenFiles(t *testing.T) {
	s := newShelf(t)
	s.write("z.yaml", "id: rest")
	if err := syscall.Mkfifo(filepath.Join(s.folder, "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(s.folder, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.folder, "folder.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	said := s.want("rest", 3)
	for _, reason := range []string{"pipe.yaml problem=\"it is no regular file\"", "no such file", "folder.yaml problem=\"it is no regular file\""} {
		if !strings.Contains(said, reason) {
			t.Errorf("%s is not in %s", reason, said)
		}
	}
	if strings.Contains(said, s.folder) {
		t.Errorf("the path stands in %s", said)
	}
	s.want("rest", 0)
	for text, reason := range map[string]string{
		"- id: a":                             "must be a mapping",
		"just text":                           "must be a mapping",
		"description: x":                      "id is required",
		"id: ''":                              "id is required",
		"id:":                                 "id is required",
		"id: a\n---\nid: [b]":                 "line 3: id must be a text",
		"id: a\ndescription: {x: 1}":          "description must be a text",
		"id: a\ntags: {x: 1}":                 "tags must be a list of texts",
		"id: a\ntags: [[x]]":                  "tags must be a list of texts",
		"id: a\nid: b":                        "line 2: id is given twice",
		"id: a\ntags: [x]\ntags: [y]":         "tags is given twice",
		"id: a\n---\n\"":                      "not valid YAML",
		"id: *nothing":                        "not valid YAML",
		"id: a\x00":                           "not valid YAML",
		"id: \xff\xfe":                        "not valid YAML",
		"\tid: a":                             "not valid YAML",
		strings.Repeat("[", 100_000):          "not valid YAML",
		strings.Repeat("a: &a\n ", 10):        "id is required",
		"id: " + strings.Repeat("x", maxFile): "larger than 1024 KiB",
		"d: &d " + strings.Repeat("x", 1000) + "\nid: a\ntags: [" + strings.Repeat("*d,", 50) + "*d]": "aliases make it larger",
		"id: &a [*a]": "id must be a text",
	} {
		s.write("broken.yaml", text)
		if said := s.want("rest", 1); !strings.Contains(said, reason) {
			t.Errorf("%.40q: said %s, want %s", text, said, reason)
		}
		s.write("broken.yaml", "id: mended")
		s.want("mended rest", 0)
	}
}

// Ensure what is read is bounded, in files and in bytes.
func TestTooMuch(t *testing.T) {
	s := newShelf(t)
	for i := range maxFiles + 3 {
		s.write(fmt.Sprintf("f%05d.yaml", i), fmt.Sprintf("id: i%d", i))
	}
	ids, said := s.ids("")
	if n := len(strings.Fields(ids)); n != maxFiles || strings.Count(said, "\n") != 1 || !strings.Contains(said, "f01000.yaml") {
		t.Errorf("%d ids of many files; said %s", n, said)
	}
	large := newShelf(t)
	for i := range 6 {
		large.write(fmt.Sprintf("f%d.yaml", i), fmt.Sprintf("id: i%d\ndefinition: %s", i, strings.Repeat("x", maxFile-100)))
	}
	if ids, said := large.ids(""); ids != "i0 i1 i2 i3 i4" || strings.Count(said, "\n") != 1 {
		t.Errorf("of 6 MiB: %s; said %s", ids, said)
	}
	if ids, said := large.ids(""); ids != "i0 i1 i2 i3 i4" || said != "" {
		t.Errorf("again: %s; said %s", ids, said)
	}
}

// Ensure that where there is no folder there is nothing, said once, until there is one.
func TestNoFolder(t *testing.T) {
	s := newShelf(t)
	root := s.folder
	s.folder = filepath.Join(root, "capabilities")
	if said := s.want("", 1); !strings.Contains(said, "level=INFO") {
		t.Errorf("said %s", said)
	}
	s.want("", 0)
	if err := os.Mkdir(s.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("a.yaml", "id: a")
	s.want("a", 0)
	s.folder = filepath.Join(s.folder, "a.yaml") // a file in its place can't be read as a folder
	if said := s.want("a", 1); !strings.Contains(said, "level=WARN") {
		t.Errorf("said %s", said)
	}
}

// Ensure many may ask at once while files change. The race detector is the judge here.
func TestManyAsk(t *testing.T) {
	s := newShelf(t)
	s.now = time.Now
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			for range 200 {
				for _, one := range s.List("t") {
					if one.ID == "" || len(one.Tags) != 1 {
						t.Errorf("got %q", one)
					}
				}
			}
		})
	}
	for i := range 50 {
		s.write("a.yaml", fmt.Sprintf("id: a%d\ntags: [t]", i))
	}
	askers.Wait()
}

// No file makes the parser panic, and what it takes is listed within what was there.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"id: a\ndescription: b\ntags: [c, d]\ndefinition: {x: [1]}\n---\nid: e", "id: &a x\ntags: [*a, *a]", "? id\n: a", "<<: {id: a}", "id: !!binary aGk=", "--- |\n x\n...", "%YAML 1.2\n---\nid: x",
		"&a [*a]", "id: \"\\u0000\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parse(text)
		if err != nil {
			if len(all) > 0 || err.Error() == "" {
				t.Fatalf("%q: %v beside %v", text, all, err)
			}
			return
		}
		size := 0
		for _, one := range all {
			if one.ID == "" || one.Tags == nil {
				t.Fatalf("%q: %q", text, one)
			}
			size += len(one.ID) + len(one.Description) + len(strings.Join(one.Tags, ""))
		}
		if size > len(text) {
			t.Fatalf("%d bytes of %d", size, len(text))
		}
	})
}
