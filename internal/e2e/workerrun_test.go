//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
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

// workerWithin is how long wrangler may take to begin: it bundles, and starts two processes.
const workerWithin = 2 * time.Minute

// wrangler is a running `wrangler dev --local`. All tests share one, as a start takes seconds of a processor: each has
// an object and a bucket of its own in it (deploy/cloudflare/test/server.mjs).
type wrangler struct {
	addr    string
	process *os.Process // of the group that all its processes are in
	holds   io.Closer   // while it is open, they live
	log     *logText
	exited  chan struct{}
}

// wranglers are those that run, by which of them has been begun: each has mostPlaces.
var wranglers = struct {
	sync.Mutex
	by map[int]*wrangler
}{by: map[int]*wrangler{}}

// wranglerOf returns the running wrangler in which a server is or will be, and its place there.
func wranglerOf(settings []string) (*wrangler, string, error) {
	place, err := strconv.Atoi(setting(settings, "STORAGE_PLACE"))
	if err != nil {
		return nil, "", fmt.Errorf("no place in %q: %w", settings, err)
	}
	wranglers.Lock()
	defer wranglers.Unlock()
	number := place / mostPlaces
	if w := wranglers.by[number]; w != nil && w.runs() {
		return w, strconv.Itoa(place % mostPlaces), nil
	}
	w, err := startWrangler(filepath.Join(workshop, "worker-"+strconv.Itoa(number)))
	if err != nil {
		return nil, "", err
	}
	wranglers.by[number] = w
	return w, strconv.Itoa(place % mostPlaces), nil
}

// stopWranglers ends them all.
func stopWranglers() {
	wranglers.Lock()
	defer wranglers.Unlock()
	for _, w := range wranglers.by {
		w.kill()
	}
}

// quietly are wrangler's settings by which it asks nobody, watches nothing, and keeps no record of every call: that is
// more work than the calls.
var quietly = []string{"CI=1", "NO_COLOR=1", "WRANGLER_SEND_METRICS=false", "WRANGLER_HIDE_BANNER=true", "CLOUDFLARE_CF_FETCH_ENABLED=false",
	"WRANGLER_CI_DISABLE_CONFIG_WATCHING=true", "WRANGLER_WRITE_LOGS=false", "X_LOCAL_OBSERVABILITY=false", "X_LOCAL_EXPLORER=false"}

// startWrangler starts one with the tests' own entry, whose state is in a folder, and waits until it answers.
func startWrangler(folder string) (*wrangler, error) {
	config, err := writeWorkerConfig(folder)
	if err != nil {
		return nil, fmt.Errorf("configuring the Worker: %w", err)
	}
	return runWrangler("/-test/ready", "wrangler", "dev", "--local", "-c", config, "--log-level", "warn", "--persist-to", filepath.Join(folder, "state"))
}

// runWrangler runs a command that is wrangler's or leads to it, in the folder of the Worker, and waits until it answers
// at a path.
func runWrangler(ready string, command ...string) (*wrangler, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = l.Close() // somebody else might take it, who then can't be told from a fault
	// It is a shell that ends the group: with wrangler, and with this process, whose end closes what cat reads.
	cmd := exec.Command("sh", append(append([]string{"-c", `{ "$@" </dev/null; kill -9 0; } & cat >/dev/null; kill -9 0`, "sh"}, command...),
		"--ip", "127.0.0.1", "--port", port, "--inspector-port", "0")...)
	cmd.Dir = workerFolder()
	cmd.Env = append(append(environment(nil), "PATH="+filepath.Join(workerFolder(), "node_modules", ".bin")+":"+os.Getenv("PATH")), quietly...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	holds, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("starting wrangler: %w", err)
	}
	w := &wrangler{addr: addr, process: cmd.Process, holds: holds, log: &logText{}, exited: make(chan struct{})}
	go w.log.follow(out, nil)
	go func() {
		_ = cmd.Wait()
		close(w.exited)
	}()
	if err := w.answers(ready); err != nil {
		w.kill()
		return nil, fmt.Errorf("%w:\n%s", err, w.log.tail(20))
	}
	return w, nil
}

// answers waits until it answers 200 at a path. Nothing else tells that it is ready at every level of its log.
func (w *wrangler) answers(path string) error {
	late := time.After(workerWithin)
	for {
		if _, err := fetch("http://" + w.addr + path); err == nil {
			return nil
		}
		select {
		case <-w.exited:
			return errors.New("wrangler ended at once (is npm ci done?)")
		case <-late:
			return fmt.Errorf("wrangler was not ready within %v", workerWithin)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (w *wrangler) runs() bool {
	select {
	case <-w.exited:
		return false
	default:
		return true
	}
}

// kill ends wrangler and workerd as a power cut would.
func (w *wrangler) kill() {
	_ = syscall.Kill(-w.process.Pid, syscall.SIGKILL) // it fails where all have ended
	_ = w.holds.Close()
	<-w.exited
}

// writeWorkerConfig writes the configuration that is deployed, with the tests' own entry around it and a bucket for each
// place.
func writeWorkerConfig(folder string) (string, error) {
	text, err := os.ReadFile(filepath.Join(workerFolder(), "wrangler.jsonc"))
	if err != nil {
		return "", err
	}
	var config map[string]any
	if err := json.Unmarshal(lineComment.ReplaceAll(text, nil), &config); err != nil {
		return "", fmt.Errorf("reading wrangler.jsonc, of which comments have lines of their own: %w", err)
	}
	delete(config, "$schema")
	delete(config, "build") // prepareWorker has done it
	config["main"] = filepath.Join(workerFolder(), "test", "server.mjs")
	var buckets []map[string]string
	for i := range mostPlaces {
		buckets = append(buckets, map[string]string{"binding": fmt.Sprint("BUCKET_", i), "bucket_name": fmt.Sprint("bucket-", i)})
	}
	config["r2_buckets"] = buckets
	data, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	name := filepath.Join(folder, "wrangler.json")
	return name, errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(name, data, 0o644))
}

var lineComment = regexp.MustCompile(`(?m)^\s*//.*$`)

// prepareWorker builds the Worker, and has the tests run that can.
func prepareWorker() error {
	some, _, err := workerTests()
	if err != nil {
		return err
	}
	if flag.Lookup("test.run").Value.String() == "" {
		if err := flag.Set("test.run", "^("+strings.Join(some, "|")+")$"); err != nil {
			return err
		}
	}
	build := exec.Command("node", "scripts/build.mjs")
	build.Dir = workerFolder()
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the Worker: %w\n%s", err, out)
	}
	return nil
}

func workerFolder() string { return filepath.Join(repository, "deploy", "cloudflare") }
