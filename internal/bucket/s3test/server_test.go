//go:build unix

package s3test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestServer: it answers, is gone when stopped, and has its buckets again after a restart.
func TestServer(t *testing.T) {
	s := Start(t)
	bucket := s.NewBucket(t)
	status := func() int {
		resp, err := http.Get(s.Endpoint + "/" + bucket)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != http.StatusForbidden {
		t.Errorf("a request without a signature answers %d", got)
	}
	s.Stop(t)
	if got := status(); got != 0 {
		t.Errorf("a stopped server answers %d", got)
	}
	s.Restart(t)
	if got := status(); got != http.StatusForbidden {
		t.Errorf("a restarted server answers %d", got)
	}
	if _, err := os.Stat(filepath.Join(s.Folder(), bucket)); err != nil {
		t.Error(err)
	}
	if other := s.NewBucket(t); other == bucket {
		t.Errorf("two buckets are called %s", other)
	}
}

// TestStartFails: a server that cannot start says why.
func TestStartFails(t *testing.T) {
	s := Start(t)
	second := &Server{AccessKey: "other", SecretKey: "other", program: s.program, address: s.address, folder: t.TempDir()}
	err := second.start()
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("it ended at once and said: ")) {
		t.Errorf("a second server on the port: %v", err)
	}
}
