//go:build unix

package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	module  = "github.com/versity/versitygw/cmd/versitygw"
	version = "v1.8.0"

	buildLimit = 15 * time.Minute
	startLimit = 15 * time.Second
)

// Server is a running S3 server, alone on its port of 127.0.0.1. It ends with the test, or with Close.
type Server struct {
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string

	program string
	folder  string
	address string
	buckets atomic.Int64
	running *run // nil while stopped
}

// run is one life of the process.
type run struct {
	process *os.Process
	output  bytes.Buffer  // to be read after done
	done    chan struct{} // closed when the process has ended
}

// Start starts a server without buckets and waits until it answers.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := Launch(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Stop(tb) })
	return s
}

// Launch is Start for programs that are no tests. The server keeps its buckets in folder and runs until
// Close.
func Launch(folder string) (*Server, error) {
	program, err := install()
	if err != nil {
		return nil, fmt.Errorf("the S3 server for tests cannot be had: %w", err)
	}
	s := &Server{AccessKey: "test-" + rand.Text(), SecretKey: rand.Text(), program: program, folder: folder}
	// A free port can be taken by someone else before the server has it.
	for range 3 {
		if s.address, err = freeAddress(); err != nil {
			continue
		}
		if err = s.start(); err == nil {
			s.Endpoint = "http://" + s.address
			return s, nil
		}
	}
	return nil, fmt.Errorf("starting the S3 server for tests: %w", err)
}

// NewBucket makes a bucket and returns its name.
func (s *Server) NewBucket(tb testing.TB) string {
	tb.Helper()
	name, err := s.MakeBucket(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return name
}

// MakeBucket is NewBucket for programs that are no tests.
func (s *Server) MakeBucket(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test-%d", s.buckets.Add(1))
	if _, err := s.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
		return "", fmt.Errorf("making bucket %s: %w", name, err)
	}
	return name, nil
}

// Put writes an object, as a client of the server does.
func (s *Server) Put(tb testing.TB, bucket, key string, content []byte) {
	tb.Helper()
	o := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)}
	if _, err := s.Client().PutObject(tb.Context(), o); err != nil {
		tb.Fatalf("writing %s: %v", key, err)
	}
}

// Client returns a client of the server. It sends each request once.
func (s *Server) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + s.address),
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		Region:       "auto",
		Retryer:      aws.NopRetryer{},
		UsePathStyle: true,
	})
}

// Folder is where the server keeps its buckets, each a directory of its name.
func (s *Server) Folder() string { return s.folder }

// Stop kills the server. What was written stays.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Error(err)
	}
}

// Close is Stop for programs that are no tests.
func (s *Server) Close() error {
	if s.running == nil {
		return nil
	}
	err := s.running.process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the S3 server: %w", err)
	}
	<-s.running.done
	s.running = nil
	return nil
}

// Restart starts a stopped server again, on the same port and data.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.Stop(tb)
	if err := s.start(); err != nil {
		tb.Fatalf("restarting the S3 server: %v", err)
	}
}

func (s *Server) start() error {
	r := &run{done: make(chan struct{})}
	cmd := exec.Command(s.program, "--port", s.address, "--region", "auto", "--quiet", "--keep-alive", "posix", s.folder)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	cmd.Stdout, cmd.Stderr = &r.output, &r.output
	cmd.SysProcAttr = endWithParent()
	started := make(chan error)
	go func() {
		// The kernel ends the child when the thread ends that started it, so that thread has to stay.
		runtime.LockOSThread()
		err := cmd.Start()
		r.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed, or its output says why
		}
		close(r.done)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.running = r
	return s.ready()
}

// ready waits until the port answers to this server's own key; another server may have the port.
func (s *Server) ready() error {
	limit := time.After(startLimit)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := s.Client().ListBuckets(ctx, &s3.ListBucketsInput{})
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-s.running.done:
			output := s.running.output.String()
			s.running = nil
			return fmt.Errorf("it ended at once and said: %s", output)
		case <-limit:
			return fmt.Errorf("no answer on %s within %v: %w", s.address, startLimit, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// install returns the path of the program, built where it is missing. One process builds, the others
// wait for its lock.
func install() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "mess-exchange", "versitygw-"+version)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	program := filepath.Join(folder, "versitygw")
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	return program, build(folder, program)
}

func build(folder, program string) error {
	bin, err := os.MkdirTemp(folder, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", module+"@"+version)
	cmd.Dir = bin // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GO111MODULE=on")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s@%s: %w\n%s", module, version, err, output)
	}
	return os.Rename(filepath.Join(bin, "versitygw"), program)
}
