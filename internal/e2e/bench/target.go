package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	exchangeID = "home"
	executorID = "bench"
	api        = "/api/v1/exchanges/" + exchangeID
)

// place is where a server keeps its data.
type place struct {
	dir string // "" for a bucket
	env []string
	key string   // of the executor, "" before it has registered
	old []string // the refs of its history, the oldest first
}

// newPlace makes an empty folder.
func newPlace() (*place, error) {
	dir, err := os.MkdirTemp("", "mess-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	return &place{dir: dir, env: []string{"STORAGE_TYPE=filesystem", "STORAGE_PATH=" + dir}}, nil
}

// remove deletes the folder.
func (p *place) remove() { _ = os.RemoveAll(p.dir) }

// newHistory makes a folder in which a server finds a history.
func newHistory(server string, h history) (_ *place, err error) {
	p, err := newPlace()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.remove()
		}
	}()
	t, err := start(p, server, "serve")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(t.register(), t.terminate()); err != nil {
		return nil, err
	}
	if err := p.forget(); err != nil {
		return nil, err
	}
	p.old, err = h.write(p.dir)
	return p, err
}

// forget deletes the snapshots, which are always safe to delete.
func (p *place) forget() error {
	if err := os.RemoveAll(filepath.Join(p.dir, snapshotsRoot)); err != nil {
		return fmt.Errorf("delete the snapshots: %w", err)
	}
	return nil
}

// snapshots returns how many objects there are of snapshots, and their bytes.
func (p *place) snapshots() (count int, size int64) {
	_ = filepath.Walk(filepath.Join(p.dir, snapshotsRoot), func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			count, size = count+1, size+info.Size()
		}
		return nil // what can't be read is not there
	})
	return count, size
}

// target is a running server, ours or the bare one: both answer the same requests.
type target struct {
	*place
	cmd   *exec.Cmd
	began time.Time
	addr  string
	ended chan struct{} // closed when all it logs has been read

	mu        sync.Mutex
	recent    []string // refs created in this run
	unclaimed []string // those of them that nobody has claimed
}

var listening = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// start runs a program on a place and waits until it says where it listens.
func start(p *place, program string, args ...string) (*target, error) {
	t := &target{place: p, cmd: exec.Command(program, args...), ended: make(chan struct{})}
	t.cmd.Env = append(os.Environ(), append([]string{"HOST=127.0.0.1", "PORT=0", "LOG_LEVEL=info"}, p.env...)...)
	out, err := t.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	t.began = time.Now()
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	lines := bufio.NewScanner(out)
	var said string
	for t.addr == "" && lines.Scan() {
		said = lines.Text()
		if strings.Contains(said, "listening") {
			t.addr = listening.FindString(said)
		}
	}
	if t.addr == "" {
		_ = t.cmd.Wait()
		return nil, fmt.Errorf("start %s: it ended without listening; it said last: %s", program, said)
	}
	go func() {
		defer close(t.ended)
		_, _ = io.Copy(io.Discard, out) // ends with the process
	}()
	return t, nil
}

// register makes the one executor, and keeps its key.
func (t *target) register() error {
	resp, err := http.Post("http://"+t.addr+api+"/register", "application/json",
		strings.NewReader(`{"executor_id":"`+executorID+`","display_name":"Bench","capabilities":[]}`))
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		APIKey string `json:"api_key"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("register: status %d, %w", resp.StatusCode, err)
	}
	t.key = answer.APIKey
	return nil
}

// kill ends the process at once.
func (t *target) kill() {
	_ = t.cmd.Process.Kill()
	<-t.ended
	_ = t.cmd.Wait()
}

// terminate ends the process in order and waits for its end.
func (t *target) terminate() error {
	err := t.cmd.Process.Signal(syscall.SIGTERM)
	<-t.ended
	if err := errors.Join(err, t.cmd.Wait()); err != nil {
		return fmt.Errorf("stop %s: %w", t.cmd.Path, err)
	}
	return nil
}

// opened waits until the server answers a request for a thread, and returns how long that took from its
// start. While it reads its log it says that it is not ready.
func (t *target) opened(ref string) (time.Duration, error) {
	c, err := t.dial()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for {
		status, data, err := c.ask("GET", api+"/requests/"+ref, "")
		switch {
		case err != nil:
			return 0, err
		case status == http.StatusOK:
			return time.Since(t.began), nil
		case status != http.StatusServiceUnavailable:
			return 0, fmt.Errorf("wait for the start: status %d: %s", status, data)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// memory is the resident set in bytes.
func (t *target) memory() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", t.cmd.Path, err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("read the memory of %s: it has ended", t.cmd.Path)
}

// cpu is the processor time that the process has used.
func (t *target) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of %s: %w", t.cmd.Path, err)
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	user, err := strconv.Atoi(string(f[11]))
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(string(f[12]))
	return time.Duration(user+system) * 10 * time.Millisecond, err // the kernel's clock ticks, 100 a second
}
