package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// compiled are the packages of which mutants change files, and all that they import, as the go command has compiled
// them: to see that a mutant still is Go without building it, which takes seconds for each.
type compiled struct {
	exports map[string]string   // files that say what a package exports, by its path
	sources map[string][]string // of the packages themselves, by their folder
}

// compiledPackages asks the go command, which compiles what it has not yet.
func compiledPackages(t *testing.T, folders ...string) compiled {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-tags", "grpcnotrace", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles,DepOnly"}, folders...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := compiled{exports: map[string]string{}, sources: map[string][]string{}}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
			DepOnly                 bool
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all.exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			for _, name := range p.GoFiles {
				all.sources[p.Dir] = append(all.sources[p.Dir], filepath.Join(p.Dir, name))
			}
		}
	}
	return all
}

// check reports what the compiler would say of packages some of whose files are others, by their paths.
func (c compiled) check(changed map[string]string) error {
	folders := map[string]bool{}
	for path := range changed {
		folders[filepath.Dir(path)] = true
	}
	for folder := range folders {
		if len(c.sources[folder]) == 0 {
			return fmt.Errorf("no package in %s was asked for", folder)
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, path := range c.sources[folder] {
			var source any // nil is what lies there
			if text, ok := changed[path]; ok {
				source = text
			}
			file, err := parser.ParseFile(fset, path, source, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files = append(files, file)
		}
		lookup := func(path string) (io.ReadCloser, error) { return os.Open(c.exports[path]) }
		config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
		if _, err := config.Check(folder, fset, files, nil); err != nil {
			return err
		}
	}
	return nil
}
