package dirblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gocloud.dev/blob/driver"
)

func readAll(d *Dir, key string) (string, error) {
	r, err := d.NewRangeReader(context.Background(), key, 0, -1, &driver.ReaderOptions{})
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(r.(io.Reader))
	return string(data), errors.Join(err, r.Close())
}

// Files are read right however the readers jump between folders, which are kept open one at a time.
func TestReadsAcrossFolders(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, t.TempDir())
	defer d.Close()
	d.disk = unsynced{d.disk}
	var keys []string
	for n := range 60 {
		key := fmt.Sprintf("%s/%d", []string{"a", "a/b", "a/b/c", "d", "."}[n%5], n)
		if n%5 == 4 {
			key = fmt.Sprint(n) // at the top
		}
		if err := write(d, key, []byte(key), true); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	var readers sync.WaitGroup
	for reader := range 8 {
		readers.Go(func() {
			for n := range 600 {
				key := keys[(n*(reader+1)/(1+n%3))%len(keys)]
				if got, err := readAll(d, key); err != nil || got != key {
					t.Errorf("%s: got %q, %v", key, got, err)
				}
			}
		})
	}
	readers.Wait()
}

// A folder that is kept open is not the last word: what was put in its place is found.
func TestReadsAReplacedFolder(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := mustOpen(t, path)
	defer d.Close()
	for _, key := range []string{"a/b/1", "a/b/2"} {
		if err := write(d, key, []byte(key), true); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // it is open now
		if got, err := readAll(d, "a/b/1"); err != nil || got != "a/b/1" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	folder := filepath.Join(path, "a", "b")
	err := errors.Join(os.Rename(folder, filepath.Join(path, "away")), os.Mkdir(folder, 0o750), os.WriteFile(filepath.Join(folder, "3"), []byte("new"), 0o640))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(d, "a/b/3"); err != nil || got != "new" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := readAll(d, "a/b/4"); !NotFound(err) {
		t.Errorf("got %v", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(d, "a/b/3"); !NotFound(err) {
		t.Errorf("got %v", err)
	}
}
