//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDiskFails: the disk is full, or has become read-only, as one with errors does. Reads go on: what the
// log holds is known.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		strike, mend func(*disk, *testing.T)
		reason       string
	}{
		"full":      {(*disk).fill, (*disk).empty, "The storage is full"},
		"read-only": {(*disk).protect, (*disk).unprotect, "The storage does not permit changes"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			data := filepath.Join(d.root, "data")
			outage{
				place:  storage{data: data, settings: []string{"STORAGE_TYPE=filesystem", "STORAGE_PATH=" + data}},
				strike: func(t *testing.T) { c.strike(d, t) },
				mend:   func(t *testing.T) { c.mend(d, t) },
				reason: c.reason,
				reads:  200,
				sure:   true,
			}.walk(t)
		})
	}
}

// disk is a small file system of its own, in a mount namespace of its own that ends with the test.
type disk struct {
	root  string // as this process and the program see it
	shell io.Writer
	said  *bufio.Reader
}

// newDisk mounts a disk of 4 MB. The server's lock is a file that stays open for writing, with which no
// disk can be made read-only on demand, so it lies on another one.
func newDisk(t *testing.T) *disk {
	t.Helper()
	cmd := exec.Command("unshare", append(mountable(), "sh")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting unshare(1): %v", err)
	}
	t.Cleanup(func() {
		in.Close() // the shell's end, and with it the namespace's
		_ = cmd.Wait()
	})
	base := t.TempDir()
	d := &disk{root: fmt.Sprintf("/proc/%d/root%s/disk", cmd.Process.Pid, base), shell: in, said: bufio.NewReader(out)}
	d.run(t, fmt.Sprintf("cd '%s' && mkdir disk lock && mount -t tmpfs -o size=4m tmpfs disk && mount -t tmpfs -o size=64k tmpfs lock"+
		" && mkdir disk/data && touch lock/l disk/data/.lock && mount --bind lock/l disk/data/.lock", base))
	return d
}

// mountable are the arguments of unshare(1) for a command that may mount disks of its own.
func mountable() []string {
	if os.Getuid() != 0 {
		return []string{"--user", "--map-root-user", "--mount"}
	}
	return []string{"--mount"}
}

// run has a command run beside the disk.
func (d *disk) run(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintf(d.shell, "%s; echo $?\n", command); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if status, err := d.said.ReadString('\n'); err != nil || status != "0\n" {
		t.Fatalf("%s: status %q, %v (this test mounts disks: run it as root, or where users may make namespaces)", command, status, err)
	}
}

func (d *disk) filler() string { return filepath.Join(d.root, "filler") }

func (d *disk) fill(t *testing.T) {
	f, err := os.Create(d.filler())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}

func (d *disk) empty(t *testing.T) {
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}

func (d *disk) protect(t *testing.T)   { d.run(t, "mount -o remount,bind,ro disk") }
func (d *disk) unprotect(t *testing.T) { d.run(t, "mount -o remount,bind,rw disk") }
