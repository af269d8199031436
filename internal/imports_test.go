package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers holds, for each package of this module (or a folder with all below it), what else of this
// module its files may import, tests excepted. Imports go down only:
//
//	cmd → httpapi → engine → exchange
//	                engine → eventlog      (the bucket is put in by cmd)
//
// A new package needs a line here, and a reason to be above or below the others.
var layers = map[string][]string{
	"api":                      {},                                                                                                                                                                                                                          // the contract and its embedding
	"cmd":                      {"api", "internal", "capabilities"},                                                                                                                                                                                         // wiring
	"deploy":                   {},                                                                                                                                                                                                                          // tests of the deployments, which see the program from outside
	"gen":                      {},                                                                                                                                                                                                                          // written by the generator
	"internal/auth":            {},                                                                                                                                                                                                                          // the form of a key
	"internal/bucket":          {"internal/promise"},                                                                                                                                                                                                        // knows the store, not what is in it
	"internal/capabilities":    {},                                                                                                                                                                                                                          // a folder of words; decides nothing
	"internal/e2e":             {"internal/bucket/s3test"},                                                                                                                                                                                                  // sees the program from outside; bench starts an S3 server
	"internal/engine":          {"internal/exchange", "internal/eventlog", "internal/auth", "internal/media", "internal/messeaf", "internal/notify", "internal/notify/channel", "internal/notify/hook", "internal/notify/send", "internal/notify/settings"}, // never a kind of bucket
	"internal/eventlog":        {},                                                                                                                                                                                                                          // stores lines, does not know the rules
	"internal/exchange":        {},                                                                                                                                                                                                                          // the rules, pure
	"internal/httpapi":         {"gen/server", "internal/engine", "internal/exchange", "internal/capabilities", "internal/auth", "internal/media", "internal/messeaf", "api"},                                                                               // the only user of generated code
	"internal/media":           {},                                                                                                                                                                                                                          // where photos stand in messages; pure
	"internal/metrics":         {"internal/bucket", "internal/eventlog", "internal/engine", "internal/httpapi"},                                                                                                                                             // knows what they tell; nothing but cmd knows it
	"internal/messeaf":         {"internal/exchange"},                                                                                                                                                                                                       // for the names of statuses and refs
	"internal/notify":          {"internal/exchange"},                                                                                                                                                                                                       // for the names of statuses, and who a thread is for
	"capabilities":             {},                                                                                                                                                                                                                          // the words of the catalogue, embedded
	"internal/worker":          {"internal/promise"},                                                                                                                                                                                                        // HTTP between JavaScript and Go; knows no exchange
	"internal/notify/channel":  {"internal/notify", "internal/notify/settings"},
	"internal/notify/hook":     {"internal/notify", "internal/notify/settings", "internal/notify/template"},
	"internal/notify/send":     {"internal/notify", "internal/promise"},                                          // for what a request is; knows no channel and no rule
	"internal/notify/settings": {"internal/notify", "internal/notify/template", "internal/exchange"},             // for the moments, what a variable is, and the priorities
	"internal/notify/template": {},                                                                               // a rule about text
	"internal/promise":         {},                                                                               // waiting for JavaScript; of the Worker alone
	"internal/settings":        {"internal/httpapi", "internal/auth", "internal/engine", "internal/notify/send"}, // text into what the handler and the engine are told
	"internal/simulation":      {},                                                                               // tests only
}

const module = "github.com/mess-exchange/mess-exchange"

func TestImportsGoDownOnly(t *testing.T) {
	checked := 0
	for file, imports := range moduleImports(t) {
		folder := path.Dir(file)
		layer, ok := layerOf(folder)
		if !ok {
			t.Errorf("%s: the package has no line in the table of layers", folder)
			continue
		}
		checked++
		for _, imported := range imports {
			if folder == "internal/exchange" && outside(imported) {
				t.Errorf("%s imports %s; the rules use the standard library only", file, imported)
			}
			ours, ok := strings.CutPrefix(imported, module+"/")
			allowed := append([]string{layer}, layers[layer]...)
			if ok && !slices.ContainsFunc(allowed, func(folder string) bool { return within(ours, folder) }) {
				t.Errorf("%s imports %s; %s may import of this module: %v", file, ours, layer, layers[layer])
			}
		}
	}
	if checked == 0 {
		t.Error("no file was checked")
	}
}

// moduleImports returns what each Go file of the module imports, by its path from the module's root.
// Tests, testdata, hidden folders and modules of their own are left out.
func moduleImports(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "." {
				return nil
			}
			_, nested := fs.Stat(root, path.Join(name, "go.mod"))
			if nested == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		all[name] = nil
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all[name] = append(all[name], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// layerOf is the folder, or the nearest one above it, that has a line in the table.
func layerOf(folder string) (string, bool) {
	for ; folder != "."; folder = path.Dir(folder) {
		if _, ok := layers[folder]; ok {
			return folder, true
		}
	}
	return "", false
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

func outside(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".")
}
