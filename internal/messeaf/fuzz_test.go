package messeaf_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// checkRefusal holds that an error is one for clients: a sentence of moderate length on one line.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var refused *messeaf.Error
	if !errors.As(err, &refused) || refused.Problem == "" {
		t.Fatalf("an error that is not for clients: %#v", err)
	}
	if s := err.Error(); len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != unicode.ReplacementChar }) {
		t.Fatalf("not a sentence for clients: %q", s)
	}
}

// A file is refused with a sentence, or says the same again after it was rendered.
func FuzzYAML(f *testing.F) {
	for _, name := range examples(f, "testdata/*/*/*.messe-af.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{
		"", "---", "\ufeffa: b", "a: &a [*a]", "? a\n: b", "a: |\n b\n\n", "a: >+2\n   b\n", "a: 'b\n c'", "a: !!str b", "%YAML 1.1\n---\na", "<<: {}", "a: 1_0", "\"a\\x00\": b", "a: b\r\n", "- - a\n-\tb",
	} {
		f.Add(envelope + text)
		f.Add(envelope + message + "  - x:\n" + "    " + strings.ReplaceAll(text, "\n", "\n    "))
	}
	f.Fuzz(func(t *testing.T, text string) {
		thread, err := messeaf.ParseV1("", []byte(text))
		if err != nil {
			checkRefusal(t, err)
			return
		}
		canon(t, thread)
		v := thread.View()
		for _, ref := range v.MessageRefs() {
			if r, ok := messeaf.ParseMessageRef(ref); ref != "" && (!ok || r.String() != ref || r.Thread != v.Ref) {
				t.Fatalf("made the ref %q", ref)
			}
		}
		same, err := thread.With(v)
		if err != nil || lines(same.Documents()) != lines(thread.Documents()) {
			t.Fatalf("its own view makes another thread of it (%v)", err)
		}
	})
}

func examples(f *testing.F, pattern string) []string {
	f.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		f.Fatalf("no examples %s (%v)", pattern, err)
	}
	return names
}

// Files of any names and contents are refused with a sentence, or are threads that say the same again
// after they were packed, under names that stay in their folder.
func FuzzTree(f *testing.F) {
	second := strings.ReplaceAll(envelope, "XY1Z", "AAAA")
	f.Add("2026-02-01-XY1Z.messe-af.yaml", []byte(envelope), "2026-02-01-AAAA/000-2026-02-01-AAAA.messe-af.yaml", []byte(second), "2026-02-01-AAAA/att-001-image-a.jpg")
	f.Add("000-2026-02-01-XY1Z.messe-af.yaml", []byte(envelope), "001-2026-02-01-XY1Z.messe-af.yaml", []byte(message), "att-001-file-a")
	f.Add("../2026-02-01-XY1Z.messe-af.yaml", []byte(envelope), "/etc/passwd", []byte(nil), `a\b`)
	f.Fuzz(func(t *testing.T, name string, content []byte, name2 string, content2 []byte, name3 string) {
		threads, err := messeaf.ParseTree([]messeaf.File{{Name: name, Content: content}, {Name: name2, Content: content2}, {Name: name3, Content: content}})
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkPacked(t, threads)
	})
}

func checkPacked(t *testing.T, threads []*messeaf.Thread) {
	t.Helper()
	files, err := messeaf.Tree(messeaf.V2, threads...)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !filepath.IsLocal(f.Name) || strings.ContainsAny(f.Name, "\\:\x00") {
			t.Fatalf("writes a file %q", f.Name)
		}
	}
	archive, err := messeaf.Zip(files)
	if err != nil {
		t.Fatal(err)
	}
	again, err := messeaf.ParseZip(archive)
	if err != nil {
		t.Fatal(err)
	}
	for i := range again {
		if lines(again[i].Documents()) != lines(threads[i].Documents()) || len(again[i].Attachments()) != len(threads[i].Attachments()) {
			t.Fatalf("%s came back as something else", threads[i].Ref())
		}
	}
}

// Whatever calls itself a zip is refused with a sentence, or holds threads.
func FuzzZip(f *testing.F) {
	for _, files := range [][]messeaf.File{
		{{Name: "2026-02-01-XY1Z.messe-af.yaml", Content: []byte(envelope)}},
		{{Name: "2026-02-01-XY1Z/000-2026-02-01-XY1Z.messe-af.yaml", Content: []byte(envelope + message)}, {Name: "2026-02-01-XY1Z/att-001-image-a.jpg", Content: []byte("JPEG")}},
		{{Name: "../x", Content: nil}},
		{},
	} {
		archive, err := messeaf.Zip(files)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		threads, err := messeaf.ParseZip(archive)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := messeaf.ParseZip(archive)
		if err != nil || !reflect.DeepEqual(again, threads) {
			t.Fatalf("read twice, it says two things (%v)", err)
		}
		checkPacked(t, threads)
	})
}
