//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// onWorker has every test that can run against the Worker (deploy/cloudflare) in workerd, with its R2 on this machine,
// in the place of the program. What can't is in notOnWorker.
var onWorker = flag.Bool("worker", false, "test the Worker of deploy/cloudflare (after npm ci there) in the place of the program")

// notOnWorker are the tests that can't run against the Worker, with the reason.
var notOnWorker = map[string]string{
	"TestBucketGoesAway":           aboutS3,
	"TestLine":                     aboutS3,
	"TestLineHolds":                aboutS3,
	"TestSleepAcrossMerge":         aboutS3,
	"TestKeysAtReplicas":           aboutReplicas,
	"TestReplicasAgree":            aboutReplicas,
	"TestReplicasLinearizable":     aboutReplicas,
	"TestReplicasManyWriters":      aboutReplicas,
	"TestReplicasRace":             aboutReplicas,
	"TestUploadAtOneReplica":       aboutReplicas,
	"TestKeyedCallsLinearizable":   aboutReplicas,
	"TestDiskFails":                aboutDisk,
	"TestFolderGoesAway":           aboutDisk,
	"TestFullDiskWalk":             aboutDisk,
	"TestFilesOfOldData":           aboutOldFolder,
	"TestCheckOldData":             aboutOldFolder,
	"TestOldData":                  aboutOldFolder,
	"TestQueryOldData":             aboutOldFolder,
	"TestCopyUnderLoad":            aboutCommand,
	"TestCopyOldData":              aboutCommand,
	"TestViewsOldData":             aboutOldFolder,
	"TestQuestions":                aboutNothing,
	"TestAlertRules":               aboutMetrics,
	"TestDashboard":                aboutMetrics,
	"TestForgottenUploads":         aboutCommand,
	"TestKillErrands":              aboutCommand,
	"TestMistakes":                 aboutCommand,
	"TestEmptyStart":               aboutCommand,
	"TestReadmeWalk":               aboutCommand,
	"TestSlowHeaders":              aboutSockets,
	"TestEndlessHeader":            aboutSockets,
	"TestBodiesTooLarge":           aboutSockets,
	"TestNoByteOfARefusedRequest":  aboutSockets,
	"TestWaiters":                  aboutSockets,
	"TestNotificationsKill":        "it tells who delivers by the sockets of processes; TestCrashWhileTelling ends the program in a Worker",
	"TestNotificationsLatency":     aboutCrowds,
	"TestNotificationsMany":        aboutCrowds,
	"TestQueryFailedNotifications": "it writes into the directory of the log",
	"TestModel":                    aboutNothing,
	"TestModelOfExpiry":            aboutNothing,
	"TestMutantsApply":             aboutNothing,
	"TestWorkerIsTold":             aboutNothing,
	"TestDocs":                     "it needs Chromium, to which the page is the same file; TestHTTP asks for it",
	"TestKill":                     "it is twenty starts; TestTerminateUnderLoad and TestCrash, which kill too, do the same in fewer",
	"TestMutants":                  "it builds servers with a broken rule, each of which is the program",
	"TestTorture":                  "its clock is the kernel's, which it moves for processes that it starts, and its faults are between the program and S3",
}

// workerWithin is how long wrangler may take to begin: it bundles, and starts two processes.
const workerWithin = 2 * time.Minute

const (
	aboutS3        = "it breaks the line between the program and an S3 server; a binding has no line"
	aboutReplicas  = "it runs two servers on one bucket; of a Durable Object there is one"
	aboutDisk      = "it breaks the disk under a directory"
	aboutOldFolder = "it begins with a directory of the original server; on R2 there are the objects that were copied there (docs/workers.md), which TestMoves does"
	aboutCommand   = "it is about the program's commands and exit codes"
	aboutSockets   = "it is about sockets and memory of the program; before a Worker Cloudflare ends connections and reads headers"
	aboutCrowds    = "it has a thousand receivers and more; a Worker calls four at once (docs/workers.md). TestHangingReceivers is the same in small"
	aboutMetrics   = "it is about Prometheus, which has nothing to ask a Worker"
	aboutNothing   = "it starts no server"
)

// workerTests are the names of the tests that can run against the Worker, and of all.
func workerTests() (some, all []string, err error) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
				continue
			}
			all = append(all, f.Name.Name)
			if _, not := notOnWorker[f.Name.Name]; !not {
				some = append(some, f.Name.Name)
			}
		}
	}
	return some, all, nil
}

// TestWorkerIsTold: every test that does not run against the Worker is one that exists.
func TestWorkerIsTold(t *testing.T) {
	some, all, err := workerTests()
	if err != nil {
		t.Fatal(err)
	}
	for name := range notOnWorker {
		if !slices.Contains(all, name) {
			t.Errorf("there is no %s", name)
		}
	}
	if len(some) < 20 {
		t.Errorf("only %d tests run against the Worker: %q", len(some), some)
	}
}

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

// onR2 returns a new, empty R2 bucket of this machine. data is where a copy of its objects is put.
func onR2(tb testing.TB) storage {
	root := tb.TempDir()
	return storage{r2: true, data: filepath.Join(root, "data"), settings: []string{"STORAGE_TYPE=r2", "STORAGE_PATH=" + filepath.Join(root, "r2")}}
}

// setting returns a setting from a list, the last of that name.
func setting(settings []string, name string) (value string) {
	for _, s := range settings {
		if v, ok := strings.CutPrefix(s, name+"="); ok {
			value = v
		}
	}
	return value
}

// launchWorker runs the Worker in workerd on a free port. It has no end in order: whatever it is told, it is cut off.
func launchWorker(settings []string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = l.Close() // somebody else might take it, who then can't be told from a fault
	args := []string{"test/serve.mjs", port, setting(settings, "STORAGE_PATH")}
	for _, s := range settings {
		if !strings.HasPrefix(s, "STORAGE_") {
			args = append(args, s)
		}
	}
	bin := filepath.Join(workerFolder(), "node_modules", ".bin")
	cmd := exec.Command(filepath.Join(bin, "node"), args...)
	cmd.Dir = workerFolder()
	cmd.Env = append(environment(nil), "PATH="+bin+":"+os.Getenv("PATH"), "CI=1", "NO_COLOR=1",
		"WRANGLER_SEND_METRICS=false", "WRANGLER_HIDE_BANNER=true", "CLOUDFLARE_CF_FETCH_ENABLED=false") // it asks nobody
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // workerd is a child of it
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	s := &server{url: "http://" + addr, addr: addr, settings: settings, log: &logText{}, exited: make(chan struct{}), worker: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the Worker (is npm ci done?): %w", err)
	}
	_ = in.Close()
	s.process = cmd.Process
	ready := make(chan string, 1)
	go func() {
		s.log.followUntil(out, "Ready on", ready)
		_ = cmd.Wait()
		s.state = cmd.ProcessState
		close(s.exited)
	}()
	select {
	case <-ready:
		workers.add(setting(settings, "STORAGE_PATH"), s)
		if _, err := fetch(s.url + "/health"); err != nil { // the program inside begins with the first request
			s.kill()
			return nil, fmt.Errorf("the Worker does not answer: %w\n%s", err, s.log.tail(20))
		}
		return s, nil
	case <-s.exited:
		return nil, fmt.Errorf("the Worker ended at once with %v:\n%s", s.state, s.log.tail(20))
	case <-time.After(workerWithin):
		s.kill()
		return nil, fmt.Errorf("the Worker did not listen within %v:\n%s", workerWithin, s.log.tail(20))
	}
}

// followUntil reads until the process is gone, and tells the first line with a word in it.
func (l *logText) followUntil(r io.Reader, word string, found chan<- string) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		l.mu.Lock()
		l.lines = append(l.lines, strings.TrimSuffix(line, "\n"))
		l.mu.Unlock()
		if found != nil && strings.Contains(line, word) {
			found <- line
			found = nil
		}
		if err != nil {
			return
		}
	}
}

// copyObjects puts a copy of all objects of a bucket into a folder, in the place of what is there.
func copyObjects(settings []string, folder string) error {
	s := workers.running(setting(settings, "STORAGE_PATH"))
	if s == nil {
		var err error
		if s, err = launchWorker(settings); err != nil {
			return err
		}
		defer s.kill()
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	door := s.url + "/-test/objects/"
	for cursor, more := "", true; more; more = cursor != "" {
		listed, err := fetch(door + "?cursor=" + url.QueryEscape(cursor))
		if err != nil {
			return err
		}
		var page struct {
			Keys   []string
			Cursor string
		}
		if err := json.Unmarshal(listed, &page); err != nil {
			return err
		}
		for _, key := range page.Keys {
			data, err := fetch(door + url.PathEscape(key))
			if err != nil {
				return err
			}
			file := filepath.Join(folder, filepath.FromSlash(key))
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o644)); err != nil {
				return err
			}
		}
		cursor = page.Cursor
	}
	return nil
}

// putObjects puts objects into a bucket whose Worker does not run.
func putObjects(settings []string, objects map[string][]byte) error {
	s, err := launchWorker(settings)
	if err != nil {
		return err
	}
	defer s.kill()
	for key, data := range objects {
		req, err := http.NewRequest(http.MethodPut, s.url+"/-test/objects/"+url.PathEscape(key), bytes.NewReader(data))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", key, res.Status)
		}
	}
	return nil
}

// workers are those that were started, by the folder of their R2: two processes must not open one.
var workers = started{by: map[string]*server{}}

type started struct {
	mu sync.Mutex
	by map[string]*server
}

func (w *started) add(folder string, s *server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by[folder] = s
}

func (w *started) running(folder string) *server {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.by[folder]
	if s == nil {
		return nil
	}
	select {
	case <-s.exited:
		return nil
	default:
		return s
	}
}

func fetch(address string) ([]byte, error) {
	res, err := http.Get(address)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, res.Status)
	}
	return io.ReadAll(res.Body)
}
