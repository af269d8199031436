package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
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

// asProgram makes this test binary be the program.
const asProgram = "MESS_EXCHANGE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// server is a program that serves, in this process.
type server struct {
	url  string
	stop func() error // as SIGTERM; returns what run returned
	log  *logText
}

var listening = regexp.MustCompile(`listening on (http://[^" ]+)`)

// logText is a stderr that reports the first address in it.
type logText struct {
	mu    sync.Mutex
	text  bytes.Buffer
	found chan string
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := listening.FindSubmatch(p); m != nil && l.found != nil {
		l.found <- string(m[1])
		l.found = nil
	}
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func local(pairs ...string) func(string) string {
	return env(append([]string{"HOST=127.0.0.1", "PORT=0"}, pairs...)...)
}

func launch(t *testing.T, pairs ...string) *server {
	t.Helper()
	found := make(chan string, 1)
	s := &server{log: &logText{found: found}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nil, local(pairs...), io.Discard, s.log) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = s.stop() })
	select {
	case s.url = <-found:
	case err := <-ended:
		t.Fatalf("it did not start: %v\n%s", err, s.log)
	}
	return s
}

// call sends JSON and returns the status and the answer.
func call(t *testing.T, method, url, key, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(method, url, res.StatusCode, err)
	}
	return res.StatusCode, answer
}

func register(t *testing.T, s *server, exchange, executor string) (key string) {
	t.Helper()
	status, answer := call(t, "POST", s.url+"/api/v1/exchanges/"+exchange+"/register", "", `{"executor_id":"`+executor+`"}`)
	if status != http.StatusCreated {
		t.Fatal(status, answer)
	}
	return answer["api_key"].(string)
}

// Ensure that the program serves, stops when it is told to, and finds everything again.
func TestServe(t *testing.T) {
	data := "STORAGE_PATH=" + t.TempDir() + "/not/there/yet"
	s := launch(t, data)
	key := register(t, s, "home", "agent")
	status, created := call(t, "POST", s.url+"/api/v1/exchanges/home/requests", key, `{"intent":"Check the door"}`)
	if status != http.StatusCreated {
		t.Fatal(status, created)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(s.url + "/health"); err == nil {
		t.Error("it answers after it has stopped")
	}
	s = launch(t, data)
	if status, answer := call(t, "GET", fmt.Sprintf("%s/api/v1/exchanges/home/requests/%s", s.url, created["ref"]), key, ""); status != http.StatusOK {
		t.Error(status, answer)
	}
	if strings.Contains(s.log.String(), key) {
		t.Error("a key stands in the log")
	}
}

// Ensure that what is in flight when the program is told to stop gets its answer, and is stored.
func TestStopAnswersWhatIsInFlight(t *testing.T) {
	data := "STORAGE_PATH=" + t.TempDir()
	s := launch(t, data)
	key := register(t, s, "home", "agent")

	// The server asks for the body when the request is in a handler's hands.
	inFlight := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(inFlight) }})
	body, rest := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/v1/exchanges/home/requests", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Expect", "100-continue")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	type result struct {
		status int
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			answered <- result{0, err}
			return
		}
		answered <- result{res.StatusCode, res.Body.Close()}
	}()
	<-inFlight
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	awaitRefused(t, s.url)
	if _, err := io.WriteString(rest, `{"intent":"at the last moment"}`); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	if r := <-answered; r.status != http.StatusCreated || r.err != nil {
		t.Fatal(r)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	s = launch(t, data)
	if _, answer := call(t, "GET", s.url+"/api/v1/exchanges/home/requests", key, ""); len(answer["threads"].([]any)) != 1 {
		t.Error(answer)
	}
}

// awaitRefused returns when no new connection is taken any more.
func awaitRefused(t *testing.T, url string) {
	t.Helper()
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		c.Close()
	}
}

// Ensure that a directory which is taken away under the server ends it with an error, and that a
// change it was asked for then is not acknowledged.
func TestFatal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	log := &logText{found: make(chan string, 1)}
	found := log.found
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), nil, local("STORAGE_PATH="+dir), io.Discard, log) }()
	s := &server{url: <-found}
	key := register(t, s, "home", "agent")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/exchanges/home/requests", strings.NewReader(`{"intent":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		t.Errorf("answered with status %d", res.StatusCode)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "nothing can be stored safely") {
		t.Errorf("it ended with %v", err)
	}
}

// Ensure that what an operator can get wrong about the world is one sentence that names what to change,
// soon.
func TestMistakes(t *testing.T) {
	running := t.TempDir()
	s := launch(t, "STORAGE_PATH="+running)
	port := s.url[strings.LastIndex(s.url, ":")+1:]
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	closed := httptest.NewServer(nil)
	closed.Close()
	s3 := []string{"STORAGE_TYPE=s3", "S3_BUCKET=b", "S3_ACCESS_KEY=a", "S3_SECRET_KEY=s"}
	for _, c := range []struct {
		name  string
		pairs []string
		says  []string
	}{
		{"a port in use", []string{"STORAGE_PATH=" + t.TempDir(), "PORT=" + port}, []string{"PORT", port, "in use"}},
		{"a host that is not here", []string{"STORAGE_PATH=" + t.TempDir(), "HOST=192.0.2.1"}, []string{"HOST", "192.0.2.1"}},
		{"a directory in use", []string{"STORAGE_PATH=" + running}, []string{running, "in use"}},
		{"a file for a directory", []string{"STORAGE_PATH=" + file}, []string{file}},
		{"a directory in a file", []string{"STORAGE_PATH=" + file + "/data"}, []string{file}},
		{"a directory that can't be written", []string{"STORAGE_PATH=/proc/self/data"}, []string{"/proc/self/data"}},
		{"a bucket where nobody listens", append(s3, "S3_ENDPOINT="+closed.URL), []string{closed.URL}},
		{"a bucket that does not answer", append(s3, "S3_ENDPOINT=http://"+silent.Addr().String()), []string{silent.Addr().String()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			began := time.Now()
			err := run(t.Context(), nil, local(c.pairs...), &stdout, &stderr)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if err == nil {
				t.Fatal("it ended without an error")
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not name %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "\n") || stdout.Len()+stderr.Len() > 0 {
				t.Errorf("more than a sentence: %s\n%s%s", err, &stdout, &stderr)
			}
		})
	}
}

// Ensure what the process itself does: a sentence on stderr and status 1 for a mistake, JSON lines and
// status 0 for a server that gets SIGTERM.
func TestProcess(t *testing.T) {
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{asProgram + "=1", "STORAGE_TYPE=floppy"}
	cmd.Stderr = &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 || stderr.String() != "mess-exchange: STORAGE_TYPE: must be filesystem or s3, not \"floppy\"\n" {
		t.Errorf("%v: %s", err, &stderr)
	}

	cmd = exec.Command(os.Args[0], "--host", "127.0.0.1")
	cmd.Env = []string{asProgram + "=1", "PORT=0", "STORAGE_PATH=" + t.TempDir()}
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := 0
	for in := bufio.NewScanner(pipe); in.Scan(); lines++ {
		if !json.Valid(in.Bytes()) {
			t.Errorf("not JSON: %s", in.Bytes())
		}
		if listening.Match(in.Bytes()) {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || lines == 0 {
		t.Errorf("%v after %d lines", err, lines)
	}
}
