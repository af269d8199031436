package dirblob

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob/driver"
)

// childEnv makes the test binary another process on the directory it names.
const childEnv = "DIRBLOB_TEST_CHILD"

func TestMain(m *testing.M) {
	if role, path, ok := strings.Cut(os.Getenv(childEnv), " "); ok {
		child(role, path)
		return
	}
	os.Exit(m.Run())
}

// child opens the directory and says "open" or what went wrong. As "holder" it waits for the end of
// its input; as "racer" it then creates all of the raced keys, without a lock, and prints those it won.
func child(role, path string) {
	d, err := open(path, settings{shared: role == "racer"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	if role == "racer" {
		race(d)
	}
}

const racedKeys = 150

func race(d *Dir) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range 4 {
		wg.Go(func() {
			for n := range racedKeys {
				key := fmt.Sprintf("raced/%d/%d", n%7, n)
				err := d.Replace(context.Background(), key, "", fmt.Appendf(nil, "%d-%d\n", os.Getpid(), i))
				mu.Lock()
				switch {
				case err == nil:
					fmt.Println("won", key, fmt.Sprintf("%d-%d", os.Getpid(), i))
				case !Exists(err):
					fmt.Println("error", err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
}

func start(t *testing.T, role, path string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role+" "+path)
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, stdin, bufio.NewScanner(stdout)}
	t.Cleanup(func() { p.kill() })
	return p
}

func (p *process) line() string {
	p.stdout.Scan()
	return p.stdout.Text()
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// TestOneProcess: a second process is refused with a clear sentence while the first one runs, and is
// not once the first one was killed, whatever files it left.
func TestOneProcess(t *testing.T) {
	path := t.TempDir()
	holder := start(t, "holder", path)
	if got := holder.line(); got != "open" {
		t.Fatal(got)
	}
	want := "the directory " + path + " is in use by another process: only one server can run on it"
	if _, err := Open(path); err == nil || err.Error() != want {
		t.Fatalf("opened while another process holds it: %v", err)
	}
	holder.kill()
	d := mustOpen(t, path)
	if got := start(t, "holder", path).line(); got != want {
		t.Errorf("another process while this one holds it: %s", got)
	}
	if _, err := Open(path); err == nil || err.Error() != want {
		t.Errorf("opened twice in one process: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := start(t, "holder", path).line(); got != "open" {
		t.Errorf("another process after the close: %s", got)
	}
}

// TestTwoProcessesRace: even without the lock each create has one winner, because link(2) decides it.
func TestTwoProcessesRace(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	mustOpen(t, path).Close()
	racers := []*process{start(t, "racer", path), start(t, "racer", path)}
	for _, p := range racers {
		if got := p.line(); got != "open" {
			t.Fatal(got)
		}
	}
	for _, p := range racers {
		p.stdin.Close() // go
	}
	winner := map[string]string{}
	for i, p := range racers {
		wins := 0
		for p.stdout.Scan() {
			f := strings.Fields(p.stdout.Text())
			if len(f) != 3 || f[0] != "won" {
				t.Fatal(p.stdout.Text())
			}
			if winner[f[1]] != "" {
				t.Errorf("%s has two winners: %s and %s", f[1], winner[f[1]], f[2])
			}
			winner[f[1]] = f[2]
			wins++
		}
		t.Logf("process %d won %d of %d", i, wins, racedKeys)
	}
	if len(winner) != racedKeys {
		t.Errorf("%d keys have a winner, want %d", len(winner), racedKeys)
	}
	d := mustOpen(t, path)
	defer d.Close()
	for key, by := range winner {
		if got := string(state(t, d, key)); got != by+"\n" {
			t.Errorf("%s was won by %s and holds %q", key, by, got)
		}
	}
	if left := temps(t, path); left > 0 {
		t.Errorf("%d files stay in .tmp", left)
	}
}

// TestLostDirectory: a directory that was removed, moved or replaced, or whose lock was, is fatal for
// writes and never an empty bucket for reads.
func TestLostDirectory(t *testing.T) {
	ctx := context.Background()
	for name, lose := range map[string]func(path string) error{
		"removed":      os.RemoveAll,
		"moved":        func(path string) error { return os.Rename(path, path+"-2") },
		"replaced":     func(path string) error { return errors.Join(os.RemoveAll(path), os.MkdirAll(path, 0o755)) },
		"lock removed": func(path string) error { return os.Remove(filepath.Join(path, lockFile)) },
	} {
		for use, f := range map[string]func(*Dir) error{
			"create":    func(d *Dir) error { return write(d, newKey, newData, true) },
			"overwrite": func(d *Dir) error { return write(d, newKey, newData, false) },
			"replace":   func(d *Dir) error { return d.Replace(ctx, newKey, "", newData) },
			"delete":    func(d *Dir) error { return d.Delete(ctx, oldKey, &driver.DeleteOptions{}) },
			"load":      func(d *Dir) error { _, _, err := d.Load(ctx, newKey); return err },
			"stat":      func(d *Dir) error { _, err := d.Attributes(ctx, newKey); return err },
			"list": func(d *Dir) error {
				_, err := d.ListPaged(ctx, &driver.ListOptions{Prefix: "none/"})
				return err
			},
		} {
			path := filepath.Join(t.TempDir(), "data")
			d := mustOpen(t, path)
			if err := write(d, oldKey, oldData, true); err != nil {
				t.Fatal(err)
			}
			if err := lose(path); err != nil {
				t.Fatal(err)
			}
			if err := f(d); !Fatal(err) {
				t.Errorf("%s, then %s: %v", name, use, err)
			}
			d.Close()
		}
	}
}

// TestOpenErrors: mistakes of an operator are one sentence each.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	temp := filepath.Join(dir, "temp")
	if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Mkdir(temp, 0o755), os.WriteFile(filepath.Join(temp, tempFolder), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		file:            "opening the directory " + file + ": not a directory",
		file + "/below": "making the directory " + file + "/below: not a directory",
		temp:            "writing to the directory " + temp + ": ",
	}
	if runtime.GOOS == "linux" { // a place where even root can't write
		cases["/proc/mess-exchange"] = "making the directory /proc/mess-exchange: no such file or directory"
		cases["/proc/self/fd"] = "writing to the directory /proc/self/fd: "
	}
	for path, want := range cases {
		d, err := Open(path)
		if err == nil {
			d.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSweep: what a killed process left in .tmp goes at the next start, and only that.
func TestSweep(t *testing.T) {
	path := t.TempDir()
	d := mustOpen(t, path)
	if err := write(d, oldKey, oldData, true); err != nil {
		t.Fatal(err)
	}
	w, err := d.NewTypedWriter(context.Background(), newKey, "", &driver.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(newData)
	if keys := keysIn(t, d); len(keys) != 1 || keys[0] != oldKey {
		t.Errorf("listed while a writer is open: %q", keys)
	}
	if temps(t, path) != 1 {
		t.Error("no temporary file")
	}
	if _, _, err := d.Load(context.Background(), tempFolder+"/"+d.pid+"-2"); !NotFound(err) {
		t.Errorf("a temporary file was read: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !Definite(err) {
		t.Errorf("a writer outlived its directory: %v", err)
	}
	d = mustOpen(t, path)
	defer d.Close()
	if n := temps(t, path); n > 0 {
		t.Errorf("%d files stay in .tmp", n)
	}
	if keys := keysIn(t, d); len(keys) != 1 || keys[0] != oldKey {
		t.Errorf("listed after the sweep: %q", keys)
	}
}
