package dirblob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gocloud.dev/blob/driver"
)

// TestListModel compares listings of random trees with the obvious way to make one: sort all keys, cut,
// collapse. Prefixes and delimiters are taken from the keys' own text; names that extend each other,
// sort around the slash or must be escaped are frequent.
func TestListModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "a-", "a-b", "a.", "a0", "ab", "A", "", ".", "..", "%", "a\n", "é", "exchange=home", "exchange=home-2", "exchange=home.x"}
	for round := range 25 {
		d := mustOpen(t, t.TempDir())
		d.disk = unsynced{d.disk}
		keys := map[string]bool{}
		for range 30 {
			var parts []string
			for range 1 + r.IntN(4) {
				parts = append(parts, names[r.IntN(len(names))])
			}
			key := strings.Join(parts, "/")
			if err := write(d, key, []byte("x"), true); err == nil {
				keys[key] = true
			} else if !Exists(err) && !Definite(err) { // a folder and a file can't have one name
				t.Fatal(err)
			}
		}
		var all []string
		for k := range keys {
			all = append(all, k)
		}
		slices.Sort(all)
		for range 60 {
			key := all[r.IntN(len(all))]
			o := &driver.ListOptions{Prefix: key[:r.IntN(len(key)+1)], PageSize: []int{0, 1, 2, 3, 7}[r.IntN(5)]}
			o.Delimiter = []string{"", "/", "-", "a", "/a", "e="}[r.IntN(6)]
			got, want := listAll(t, d, o), model(all, o.Prefix, o.Delimiter)
			if !slices.Equal(got, want) {
				t.Fatalf("round %d, keys %q:\nprefix %q, delimiter %q, page %d:\ngot  %q\nwant %q", round, all, o.Prefix, o.Delimiter, o.PageSize, got, want)
			}
		}
		d.Close()
	}
}

func model(sorted []string, prefix, delimiter string) []string {
	var want []string
	for _, k := range sorted {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			k = prefix + rest[:i+len(delimiter)] + " (directory)"
		}
		if len(want) == 0 || want[len(want)-1] != k {
			want = append(want, k)
		}
	}
	return want
}

func listAll(t *testing.T, d *Dir, o *driver.ListOptions) []string {
	t.Helper()
	var got []string
	for {
		page, err := d.ListPaged(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if o.PageSize > 0 && len(page.Objects) > o.PageSize {
			t.Fatalf("%d objects on a page of %d", len(page.Objects), o.PageSize)
		}
		for _, obj := range page.Objects {
			k := obj.Key
			if obj.IsDir {
				k += " (directory)"
			} else if obj.Size != 1 || obj.ModTime.IsZero() {
				t.Fatalf("%q has size %d, time %v", k, obj.Size, obj.ModTime)
			}
			got = append(got, k)
		}
		if len(page.NextPageToken) == 0 {
			return got
		}
		o.PageToken = page.NextPageToken
	}
}

// TestForeignFiles: files that others put into the directory are listed and read under one key each;
// what is no regular file is not, and opening a pipe waits for nobody.
func TestForeignFiles(t *testing.T) {
	path := t.TempDir()
	d := mustOpen(t, path)
	defer d.Close()
	for _, name := range []string{"a b.json", "%41%0A", "line\nfeed", "latin\xE9", "\uFFFDE9", "..%", "%", ".TMP-x", "caf\u00e9%C3%A9"} {
		for _, p := range []string{name, "folder/" + name} {
			full := filepath.Join(path, p)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(p), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	os.WriteFile(outside, []byte("secret"), 0o644)
	os.Symlink(outside, filepath.Join(path, "out"))
	os.Symlink("..", filepath.Join(path, "folder/loop"))
	os.Symlink("a b.json", filepath.Join(path, "inside"))
	os.MkdirAll(filepath.Join(path, "empty/empty"), 0o755)
	if err := syscall.Mkfifo(filepath.Join(path, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	keys := keysIn(t, d)
	if len(keys) != 18 || !slices.IsSorted(keys) { // 2×9, less "%" at the top, which has no key, and "inside"
		t.Errorf("listed: %d, %q", len(keys), keys)
	}
	for _, k := range keys {
		p, _ := pathOf(k)
		want := p
		if k == "inside" {
			want = "a b.json"
		}
		if got := string(state(t, d, k)); got != want {
			t.Errorf("key %q is the file %q and reads %q", k, p, got)
		}
	}
	for _, k := range []string{"pipe", "out", "folder", "folder/loop", "empty"} {
		if data, _, err := d.Load(context.Background(), k); err == nil || Fatal(err) {
			t.Errorf("%s reads %q, %v", k, data, err)
		}
	}
	o := &driver.ListOptions{Delimiter: "/"}
	if page, err := d.ListPaged(context.Background(), o); err != nil || slices.ContainsFunc(page.Objects, func(o *driver.ListObject) bool { return o.Key == "empty/" }) {
		t.Errorf("empty folders make a directory: %v", err)
	}
}

// looks counts how often a context is asked, which a listing does for each name whose turn has come.
type looks struct {
	context.Context
	n int
}

func (l *looks) Err() error { l.n++; return nil }

// TestPageCost: a page deep in a big tree looks at little more than its own objects.
func TestPageCost(t *testing.T) {
	path := t.TempDir()
	d := mustOpen(t, path)
	defer d.Close()
	for n := range 40 * 40 {
		folder := filepath.Join(path, fmt.Sprintf("events/%02d/%02d", n/40, n%40))
		if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "x"), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, token := range []string{"", "events/20/20/x", "events/39/38/x"} {
		ctx := &looks{Context: context.Background()}
		page, err := d.ListPaged(ctx, &driver.ListOptions{Prefix: "events/", PageSize: 5, PageToken: []byte(token)})
		if err != nil || len(page.Objects) == 0 {
			t.Fatal(page, err)
		}
		if ctx.n > 40 {
			t.Errorf("a page of 5 after %q looked at %d names of 1600", token, ctx.n)
		}
	}
}

// unsynced leaves out the syncs, for tests that need many files and no power cut.
type unsynced struct{ disk }

func (unsynced) sync(*os.File) error { return nil }

// TestSpelling: another case of a name in the folder is found, the name itself is not.
func TestSpelling(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	defer d.Close()
	ctx := context.Background()
	for _, k := range []string{"events/exchange=Home/x", "events/exchange=home-2/x", "executors/exchange=Home/Alice.json"} {
		if err := write(d, k, []byte("x"), true); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ folder, name, want string }{
		{"events/", "exchange=home", "exchange=Home"},
		{"events/", "exchange=Home", ""},
		{"events/", "exchange=HOME-2", "exchange=home-2"},
		{"events/", "exchange=ho", ""},
		{"executors/exchange=Home/", "alice.json", "Alice.json"},
		{"executors/exchange=none/", "alice.json", ""},
		{"", "EVENTS", "events"},
		{"", ".TMP", ""},
	} {
		if got, err := d.Spelling(ctx, c.folder, c.name); got != c.want || err != nil {
			t.Errorf("spelling of %q in %q: %q, %v; want %q", c.name, c.folder, got, err, c.want)
		}
	}
}
