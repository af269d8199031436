package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// target is a running server, ours or the bare one: both answer the same requests.
type target struct {
	cmd     *exec.Cmd
	dir     string
	addr    string
	key     string
	started time.Duration // from exec to the first answer
	mu      sync.Mutex
	refs    []string
}

var listening = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// start runs a program on a directory of its own and waits until it says where it listens.
func start(program string, args ...string) (*target, error) {
	dir, err := os.MkdirTemp("", "mess-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	t := &target{cmd: exec.Command(program, args...), dir: dir}
	t.cmd.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT=0", "STORAGE_TYPE=filesystem", "STORAGE_PATH="+dir, "LOG_LEVEL=info")
	out, err := t.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	began := time.Now()
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "listening") {
			if t.addr = listening.FindString(lines.Text()); t.addr != "" {
				break
			}
		}
	}
	if t.addr == "" {
		t.stop()
		return nil, fmt.Errorf("start %s: it ended without listening", program)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return t, t.register(began)
}

func (t *target) register(began time.Time) error {
	resp, err := http.Post("http://"+t.addr+"/api/v1/exchanges/home/register", "application/json",
		strings.NewReader(`{"executor_id":"bench","display_name":"Bench","capabilities":[]}`))
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer resp.Body.Close()
	t.started = time.Since(began)
	var answer struct {
		APIKey string `json:"api_key"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("register: status %d, %w", resp.StatusCode, err)
	}
	t.key = answer.APIKey
	return nil
}

func (t *target) stop() {
	_ = t.cmd.Process.Kill()
	_ = t.cmd.Wait()
	_ = os.RemoveAll(t.dir)
}

// memory is the resident set in MB.
func (t *target) memory() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1000
		}
	}
	return 0
}

// cpu is the processor time that the process has used.
func (t *target) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	user, _ := strconv.Atoi(string(f[11]))
	system, _ := strconv.Atoi(string(f[12]))
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel's clock ticks, 100 a second
}

// fill creates threads until there are n.
func (t *target) fill(n int) error {
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for range 64 {
		wg.Go(func() {
			c, err := t.dial()
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			for {
				t.mu.Lock()
				done := len(t.refs) >= n
				t.mu.Unlock()
				if done {
					return
				}
				if err := create.send(c, t, 0); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
