package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mostLines         = 500 // of a file
	mostFunctionLines = 60
)

// longBecause starts the line of a comment that excuses a longer function (in its doc comment) or a
// longer file (in any comment) and says why it is not cut in two.
const longBecause = "Long because "

// TestSizes keeps files and functions small enough to be read at once. What is longer has a reason,
// and the reason stands beside it. Generated files are nobody's to read.
func TestSizes(t *testing.T) {
	checked := 0
	for _, name := range sourceFiles(t) {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(file) {
			continue
		}
		checked++
		if lines := files.Position(file.FileEnd).Line; lines > mostLines && !excused(file.Comments...) {
			t.Errorf("%s has %d lines, more than %d, and no comment with %q", name, lines, mostLines, longBecause)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1
			if lines > mostFunctionLines && !excused(f.Doc) {
				t.Errorf("%s: %s has %d lines, more than %d, and no doc comment with %q", name, f.Name.Name, lines, mostFunctionLines, longBecause)
			}
		}
	}
	if checked == 0 {
		t.Error("no file was checked")
	}
}

func excused(comments ...*ast.CommentGroup) bool {
	for _, c := range comments {
		if strings.Contains(c.Text(), longBecause) {
			return true
		}
	}
	return false
}

// sourceFiles lists the Go files of the repository, those of nested modules included.
func sourceFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
