//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	readyWithin = 30 * time.Second // generous: the machine may be busy with other tests
	stopWithin  = 15 * time.Second // the program promises 10 s
)

var (
	repository string // root of the source tree
	workshop   string // a temporary folder for programs that are built once
	binary     string // the program under test
)

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	flag.Parse()
	here, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	repository = filepath.Join(here, "..", "..")
	if workshop, err = os.MkdirTemp("", "mess-exchange-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(workshop)
	defer stopWranglers()
	if binary = os.Getenv("MESS_EXCHANGE_BIN"); binary != "" {
		return m.Run(), nil
	}
	binary = filepath.Join(workshop, "mess-exchange")
	if *onWorker {
		if err := prepareWorker(); err != nil {
			return 1, err
		}
	}
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-o", binary, "./cmd/mess-exchange")
	build.Dir = repository
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// environment is what a process of the program gets: the settings, and nothing of the tester's own
// but what any process needs. Credentials that happen to lie around must not reach it.
func environment(settings []string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}, settings...)
}

// server is one running process of the program.
type server struct {
	url, addr string
	settings  []string
	process   *os.Process
	log       *logText
	exited    chan struct{} // closed when the process is gone
	state     *os.ProcessState
	worker    bool   // it is the Worker in workerd; process is that of all who run there
	cut       func() // ends the Worker
}

// start runs the program on a free port of 127.0.0.1 and waits until it listens. The process is
// killed at the end of the test where it still runs, and its log is shown where the test failed.
func start(tb testing.TB, settings ...string) *server {
	tb.Helper()
	s, err := launch(settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.kill()
		if tb.Failed() {
			tb.Logf("log of the server at %s:\n%s", s.addr, s.log.tail(60))
		}
	})
	return s
}

func launch(settings []string) (*server, error) {
	if setting(settings, "STORAGE_TYPE") == "r2" {
		return launchWorker(settings)
	}
	listening := make(chan string, 1)
	s, err := spawn(append([]string{"HOST=127.0.0.1", "PORT=0", "LOG_LEVEL=info"}, settings...), listening)
	if err != nil {
		return nil, err
	}
	s.settings = settings
	select {
	case s.addr = <-listening:
		s.url = "http://" + s.addr
		return s, nil
	case <-s.exited:
		return nil, fmt.Errorf("the program ended at once with %v:\n%s", s.state, s.log.tail(20))
	case <-time.After(readyWithin):
		s.kill()
		return nil, fmt.Errorf("the program did not listen within %v:\n%s", readyWithin, s.log.tail(20))
	}
}

// spawn runs the program with arguments and waits for nothing. listening is told the address at which it says
// that it listens, if it does; it may be nil.
func spawn(settings []string, listening chan<- string, args ...string) (*server, error) {
	s := &server{settings: settings, log: &logText{}, exited: make(chan struct{})}
	cmd := exec.Command(binary, args...)
	cmd.Env = environment(settings)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the program: %w", err)
	}
	s.process = cmd.Process
	go func() {
		s.log.follow(stderr, listening)
		_ = cmd.Wait() // how it ended is in ProcessState
		s.state = cmd.ProcessState
		close(s.exited)
	}()
	return s, nil
}

// kill ends the process as a power cut would, without a chance to finish anything.
func (s *server) kill() {
	if s.worker {
		s.cut()
		return
	}
	_ = s.process.Signal(syscall.SIGKILL) // fails only where it has ended already
	<-s.exited
}

// terminate asks the process to end, as `docker stop` does, and returns its exit code. A Worker is asked nothing.
func (s *server) terminate(tb testing.TB) int {
	tb.Helper()
	if s.worker {
		s.kill()
		return 0
	}
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatalf("sending SIGTERM: %v", err)
	}
	select {
	case <-s.exited:
		return s.state.ExitCode()
	case <-time.After(stopWithin):
		s.kill()
		tb.Fatalf("the program did not end within %v of SIGTERM", stopWithin)
		return -1
	}
}

// restart ends the process in good order and starts another one with the same settings.
func (s *server) restart(tb testing.TB) *server {
	tb.Helper()
	if code := s.terminate(tb); code != 0 {
		tb.Fatalf("exit code after SIGTERM: got %d, want 0", code)
	}
	return start(tb, s.settings...)
}

// outcome of a run of the program that ends by itself.
type outcome struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// run starts the program with arguments and waits for its end; a run longer than limit fails the test.
func run(tb testing.TB, limit time.Duration, settings []string, args ...string) outcome {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment(settings)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		tb.Fatalf("%s %q did not end within %v; it said:\n%s%s", filepath.Base(binary), args, limit, &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("running the program: %v", err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(begun)}
}

// logText collects what a process writes to stderr.
type logText struct {
	mu    sync.Mutex
	lines []string
}

var listeningAt = regexp.MustCompile(`listening.*?(127\.0\.0\.1:[1-9][0-9]*)`)

// follow reads until the process is gone and reports the first address it says it listens at.
func (l *logText) follow(r io.Reader, listening chan<- string) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.mu.Lock()
			l.lines = append(l.lines, strings.TrimSuffix(line, "\n"))
			l.mu.Unlock()
		}
		if at := listeningAt.FindStringSubmatch(line); at != nil && listening != nil {
			listening <- at[1]
			listening = nil
		}
		if err != nil {
			return
		}
	}
}

func (l *logText) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[max(0, len(l.lines)-n):], "\n")
}
