package dirblob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
)

const oldKey, newKey = "a/b/old", "a/c/d/new"

var (
	oldData = []byte("old content\n")
	newData = []byte(strings.Repeat("new content\n", 10))
)

// change is one way to change a directory in which oldKey is oldData. key is what it changes.
type change struct {
	name   string
	key    string
	after  []byte // nil: gone
	decide string // the call that makes the change visible
	run    func(*Dir) error
}

var changes = []change{
	{"create", newKey, newData, "link", func(d *Dir) error { return write(d, newKey, newData, true) }},
	{"overwrite nothing", newKey, newData, "rename", func(d *Dir) error { return write(d, newKey, newData, false) }},
	{"overwrite", oldKey, newData, "rename", func(d *Dir) error { return write(d, oldKey, newData, false) }},
	{"replace", oldKey, newData, "rename", func(d *Dir) error {
		return d.Replace(context.Background(), oldKey, versionOf(oldData), newData)
	}},
	{"replace nothing", newKey, newData, "link", func(d *Dir) error { return d.Replace(context.Background(), newKey, "", newData) }},
	{"copy", newKey, oldData, "rename", func(d *Dir) error {
		return d.Copy(context.Background(), newKey, oldKey, &driver.CopyOptions{})
	}},
	{"delete", oldKey, nil, "unlink", func(d *Dir) error {
		return d.Delete(context.Background(), oldKey, &driver.DeleteOptions{})
	}},
}

// write writes in two pieces, so that there is a moment between them.
func write(d *Dir, key string, data []byte, create bool) error {
	w, err := d.NewTypedWriter(context.Background(), key, "", &driver.WriterOptions{IfNotExist: create})
	if err != nil {
		return err
	}
	_, err1 := w.Write(data[:len(data)/2])
	_, err2 := w.Write(data[len(data)/2:])
	return errors.Join(err1, err2, w.Close())
}

// newFaulty opens a directory that holds oldKey, through a faultDisk.
func newFaulty(t *testing.T) (path string, d *Dir, f *faultDisk) {
	t.Helper()
	path = t.TempDir()
	first := mustOpen(t, path)
	if err := errors.Join(write(first, oldKey, oldData, true), first.Close()); err != nil {
		t.Fatal(err)
	}
	d, err := open(path, settings{wrap: func(d disk) disk { f = newFaultDisk(d); return f }})
	if err != nil {
		t.Fatal(err)
	}
	// What an earlier process left on the disk is on the disk.
	for _, p := range []string{"a", "a/b"} {
		f.visible[p] = &inode{folder: true}
	}
	f.visible[oldKey] = &inode{content: oldData, synced: oldData}
	f.durable["a"], f.durable["a/b"], f.durable[oldKey] = f.visible["a"], f.visible["a/b"], f.visible[oldKey]
	f.calls = nil
	return path, d, f
}

func state(t *testing.T, d *Dir, key string) []byte {
	t.Helper()
	data, _, err := d.Load(context.Background(), key)
	if err != nil && !NotFound(err) {
		t.Fatal(err)
	}
	return data
}

func keysIn(t *testing.T, d *Dir) []string {
	t.Helper()
	page, err := d.ListPaged(context.Background(), &driver.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range page.Objects {
		keys = append(keys, o.Key)
	}
	return keys
}

func temps(t *testing.T, path string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path, tempFolder))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// before is what the changed key holds before the change.
func (c change) before() []byte {
	if c.key == oldKey {
		return oldData
	}
	return nil
}

// TestCrash ends the process before each system call of each change: what is found at the next start
// is the old object or the new one, whole, and nothing in .tmp. A crash after an answer finds the new.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				if done := crashAt(t, c, n); done {
					t.Logf("%d moments", n)
					return
				}
			}
		})
	}
}

func crashAt(t *testing.T, c change, n int) (done bool) {
	path, d, f := newFaulty(t)
	dead := errors.New("the process is dead")
	f.refuse = func(i int, _ call) error {
		if i >= n {
			return dead
		}
		return nil
	}
	err := c.run(d)
	made := len(f.calls)
	d.release() // as the kernel does; Close would clean up
	again := mustOpen(t, path)
	defer again.Close()
	got := state(t, again, c.key)
	if got == nil && c.before() != nil && c.after != nil {
		t.Fatalf("crash before call %d (%s): the object is gone", n, f.calls[min(n, made-1)])
	}
	if got != nil && !slices.Equal(got, c.before()) && !slices.Equal(got, c.after) {
		t.Fatalf("crash before call %d: a part: %q", n, got)
	}
	if err == nil && !slices.Equal(got, c.after) {
		t.Fatalf("crash before call %d: answered and not there", n)
	}
	if c.key != oldKey && !slices.Equal(state(t, again, oldKey), oldData) {
		t.Fatalf("crash before call %d: another object changed", n)
	}
	if left := temps(t, path); left > 0 {
		t.Fatalf("crash before call %d: %d files in .tmp after the next start", n, left)
	}
	want := slices.DeleteFunc([]string{oldKey, newKey}, func(k string) bool { return state(t, again, k) == nil })
	if keys := keysIn(t, again); !slices.Equal(keys, want) {
		t.Fatalf("crash before call %d: listed are %q, readable %q", n, keys, want)
	}
	return made <= n
}

// TestFailedCall makes each system call of each change fail, with an error that says that nothing was
// done (a full disk) and with one that says nothing (EIO).
func TestFailedCall(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
			t.Run(c.name+"/"+errno.Error(), func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					if done := failAt(t, c, n, errno); done {
						return
					}
				}
			})
		}
	}
}

func failAt(t *testing.T, c change, n int, errno syscall.Errno) (done bool) {
	path, d, f := newFaulty(t)
	defer d.release()
	f.refuse = func(i int, _ call) error {
		if i == n {
			return errno
		}
		return nil
	}
	err := c.run(d)
	if n >= len(f.calls) {
		if err != nil {
			t.Fatalf("without a fault: %v", err)
		}
		return true
	}
	failed := f.calls[n]
	decided := slices.IndexFunc(f.calls, func(x call) bool { return x.op == c.decide })
	harmless := failed.op == "unlink" && c.decide != "unlink" || failed.op == "close" && !strings.HasPrefix(failed.to, tempFolder)
	switch {
	case harmless:
		if err != nil {
			t.Fatalf("call %d (%s) failed: %v", n, failed, err)
		}
	case decided >= 0 && n > decided || n == decided && errno == syscall.EIO:
		if !Fatal(err) || Definite(err) {
			t.Fatalf("call %d (%s) failed after the object was visible: %v", n, failed, err)
		}
		f.refuse = nil
		if _, _, err := d.Load(context.Background(), oldKey); !Fatal(err) {
			t.Fatalf("call %d (%s): a later call answered: %v", n, failed, err)
		}
		return false
	default:
		if !Definite(err) || Fatal(err) {
			t.Fatalf("call %d (%s) failed before the object was visible: %v", n, failed, err)
		}
		if got := state(t, d, c.key); !slices.Equal(got, c.before()) {
			t.Fatalf("call %d (%s) failed: the object is %q", n, failed, got)
		}
	}
	if left := temps(t, path); left > 0 && failed.op != "unlink" {
		t.Fatalf("call %d (%s) failed: %d files stay in .tmp", n, failed, left)
	}
	if !harmless {
		// It recovers by itself once there is space again.
		f.refuse = nil
		if err := c.run(d); err != nil {
			t.Fatalf("after call %d (%s) had failed: %v", n, failed, err)
		}
	}
	return false
}

// TestSyncOrder: file, link, then the folder and each one above whose entry is new to this process.
func TestSyncOrder(t *testing.T) {
	path, d, f := newFaulty(t)
	defer d.Close()
	if err := write(d, newKey, newData, true); err != nil {
		t.Fatal(err)
	}
	temp := tempFolder + "/" + d.pid + "-1"
	want := []string{
		"create  " + temp, "write  " + temp, "write  " + temp, "sync  " + temp, "close  " + temp,
		"open  a/c/d", "mkdir  a", "mkdir  a/c", "mkdir  a/c/d", "open  a/c/d", "open  a/c", "open  a", "open  .",
		"link " + temp + " " + newKey, "unlink  " + temp,
		"sync  a/c/d", "sync  a/c", "sync  a", "sync  .",
		"close  a/c/d", "close  a/c", "close  a", "close  .",
	}
	if got := f.taken(); !slices.Equal(got, want) {
		t.Errorf("calls of the first create:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// In a folder that is known to be on the disk, and above it, only the folder itself is synced.
	f.calls = nil
	if err := write(d, "a/c/d/newer", newData, true); err != nil {
		t.Fatal(err)
	}
	if got := f.taken(); !slices.Contains(got, "sync  a/c/d") || slices.Contains(got, "sync  a/c") {
		t.Errorf("calls of the second create:\n%s", strings.Join(got, "\n"))
	}
	// A folder that someone removed is new again.
	if err := os.RemoveAll(filepath.Join(path, "a/c")); err != nil {
		t.Fatal(err)
	}
	f.calls = nil
	if err := write(d, newKey, newData, true); err != nil {
		t.Fatal(err)
	}
	if got := f.taken(); !slices.Contains(got, "sync  a/c") || !slices.Contains(got, "sync  a") {
		t.Errorf("calls of a create in a removed folder:\n%s", strings.Join(got, "\n"))
	}
}

// TestPowerCut: whatever was answered survives if nothing survives that was not synced.
func TestPowerCut(t *testing.T) {
	for _, c := range changes {
		_, d, f := newFaulty(t)
		if err := c.run(d); err != nil {
			t.Fatal(err)
		}
		got, err := f.afterPowerCut(c.key)
		if c.after == nil && err == nil {
			t.Errorf("%s: the object came back", c.name)
		} else if c.after != nil && (err != nil || !slices.Equal(got, c.after)) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
		d.Close()
	}
}

// TestPowerCutNeighbour: a writer that finds a folder made a moment ago by another, who has not synced
// it yet, is not answered before the folder is on the disk.
func TestPowerCutNeighbour(t *testing.T) {
	_, d, f := newFaulty(t)
	defer d.Close()
	var inner error
	entered := false
	f.refuse = func(_ int, c call) error {
		if c.op != "link" || entered {
			return nil
		}
		entered = true // the first writer has made the folders and waits before its link
		f.mu.Unlock()
		defer f.mu.Lock()
		if inner = write(d, newKey+"-2", newData, true); inner == nil {
			_, inner = f.afterPowerCut(newKey + "-2")
		}
		return nil
	}
	if err := write(d, newKey, newData, true); err != nil || inner != nil {
		t.Error(err, inner)
	}
}

// TestPowerCutConcurrent: the same with many writers in folders that all of them make.
func TestPowerCutConcurrent(t *testing.T) {
	_, d, f := newFaulty(t)
	defer d.Close()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			key := fmt.Sprintf("x/%d/y/%d/%d", i%2, i%4, i)
			if err := write(d, key, newData, true); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			if _, err := f.afterPowerCut(key); err != nil {
				t.Errorf("%s: answered, and after a power cut %v", key, err)
			}
		})
	}
	wg.Wait()
}

// TestSettle: an object that a killed process left visible but not durable.
func TestSettle(t *testing.T) {
	path, d, f := newFaulty(t)
	ctx := context.Background()
	f.refuse = func(_ int, c call) error {
		if c.op == "sync" && !strings.HasPrefix(c.to, tempFolder) {
			return errors.New("killed")
		}
		return nil
	}
	if err := write(d, newKey, newData, true); !Fatal(err) {
		t.Fatal(err)
	}
	d.release()
	var g *faultDisk
	d, err := open(path, settings{wrap: func(d disk) disk { g = newFaultDisk(d); return g }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	g.calls = nil
	if err := d.Settle(ctx, newKey); err != nil {
		t.Fatal(err)
	}
	var syncs []string
	for _, c := range g.calls {
		if c.op == "sync" {
			syncs = append(syncs, c.to)
		}
	}
	if want := []string{"", "a/c/d", "a/c", "a", "."}; !slices.Equal(syncs, want) { // "": opened to be read
		t.Errorf("synced %q, want %q", syncs, want)
	}
	if err := d.Settle(ctx, "a/c/d/other"); !NotFound(err) {
		t.Errorf("settle of no object: %v", err)
	}
	g.refuse = func(_ int, c call) error {
		if c.op == "sync" {
			return syscall.EIO
		}
		return nil
	}
	if err := d.Settle(ctx, newKey); !Fatal(err) {
		t.Errorf("settle on a failing disk: %v", err)
	}
}

// TestFullDisk: a write that finds no space is refused for certain, reads go on, and writes too when
// there is space again. The same for a disk that turned read-only.
func TestFullDisk(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT} {
		path, d, f := newFaulty(t)
		b := blob.NewBucket(d)
		f.refuse = func(_ int, c call) error {
			if c.op == "write" || c.op == "create" && errno == syscall.EROFS {
				return &os.PathError{Op: "write", Path: "/secret/path", Err: errno}
			}
			return nil
		}
		ctx := context.Background()
		err := b.WriteAll(ctx, newKey, newData, &blob.WriterOptions{IfNotExist: true})
		if !Definite(err) || !errors.Is(err, errno) || strings.Contains(err.Error(), "/secret") {
			t.Errorf("%v: %v", errno, err)
		}
		if left := temps(t, path); left > 0 {
			t.Errorf("%v: %d files stay in .tmp", errno, left)
		}
		if data, err := b.ReadAll(ctx, oldKey); err != nil || !slices.Equal(data, oldData) {
			t.Errorf("%v: reading: %q, %v", errno, data, err)
		}
		f.refuse = nil
		if err := b.WriteAll(ctx, newKey, newData, &blob.WriterOptions{IfNotExist: true}); err != nil {
			t.Errorf("%v: with space again: %v", errno, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
