package exchange_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The rules are pure: no clock, no randomness, no locks, no input or output of their own (a snapshot
// goes where the caller says), no log. What is forbidden is so whole, with the packages below it.
func TestRulesArePure(t *testing.T) {
	impure := []string{"context", "crypto/rand", "io/fs", "io/ioutil", "log", "math/rand", "net", "os", "path/filepath", "runtime", "sync", "syscall", "testing", "unsafe"}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s, which is not of the standard library", name, path)
			}
			for _, bad := range impure {
				if path == bad || strings.HasPrefix(path, bad+"/") {
					t.Errorf("%s imports %s", name, path)
				}
			}
			if path == "time" && spec.Name != nil {
				t.Errorf("%s renames time, which hides a clock", name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool { return noClock(t, set, n) })
	}
	if files == 0 {
		t.Error("no file was checked")
	}
}

func noClock(t *testing.T, set *token.FileSet, n ast.Node) bool {
	if _, ok := n.(*ast.GoStmt); ok {
		t.Errorf("%s starts a goroutine", set.Position(n.Pos()))
	}
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return true
	}
	if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
		switch s.Sel.Name {
		case "Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker", "Local":
			t.Errorf("%s: time.%s reads or waits for a clock", set.Position(n.Pos()), s.Sel.Name)
		}
	}
	return true
}
