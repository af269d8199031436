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

// Server is a running S3 server, alone on its port of 127.0.0.1. It ends with the test.
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
	program, err := install()
	if err != nil {
		tb.Fatalf("the S3 server for tests cannot be had: %v", err)
	}
	s := &Server{AccessKey: "test-" + rand.Text(), SecretKey: rand.Text(), program: program, folder: tb.TempDir()}
	tb.Cleanup(func() { s.Stop(tb) })
	// A free port can be taken by someone else before the server has it.
	for range 3 {
		if s.address, err = freeAddress(); err != nil {
			continue
		}
		if err = s.start(); err == nil {
			s.Endpoint = "http://" + s.address
			return s
		}
	}
	tb.Fatalf("starting the S3 server for tests: %v", err)
	return nil
}

// NewBucket makes a bucket and returns its name.
func (s *Server) NewBucket(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test-%d", s.buckets.Add(1))
	if _, err := s.client().CreateBucket(tb.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		tb.Fatalf("making bucket %s: %v", name, err)
	}
	return name
}

// Put writes an object, as a client of the server does.
func (s *Server) Put(tb testing.TB, bucket, key string, content []byte) {
	tb.Helper()
	o := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)}
	if _, err := s.client().PutObject(tb.Context(), o); err != nil {
		tb.Fatalf("writing %s: %v", key, err)
	}
}

func (s *Server) client() *s3.Client {
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
	if s.running == nil {
		return
	}
	if err := s.running.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Errorf("stopping the S3 server: %v", err)
	}
	<-s.running.done
	s.running = nil
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
		_, err := s.client().ListBuckets(ctx, &s3.ListBucketsInput{})
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
