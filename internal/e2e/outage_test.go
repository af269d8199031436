//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// TestStoreGoesAway: while the S3 server is down every call is answered, with 503; when it is back the
// server goes on by itself, and what was acknowledged is there.
func TestStoreGoesAway(t *testing.T) {
	s3 := s3test.Start(t)
	s := start(t, bucketOf(t, s3).settings...)
	agent := at(s, "home").register(t, "agent")
	kept := agent.create(t, intent("before"))

	s3.Stop(t)
	attempts := map[string]bool{"before": true}
	for i := range 2 { // each takes the server as long as it may try: some 8 s
		text := fmt.Sprintf("during %d", i)
		attempts[text] = true
		wantRefusal(t, "create without a store", agent.send(t, "POST", "/requests", intent(text)), http.StatusServiceUnavailable, "")
		wantRefusal(t, "read without a store", agent.send(t, "GET", "/requests/"+kept, nil), http.StatusServiceUnavailable, "")
	}
	s3.Restart(t)

	deadline := time.Now().Add(30 * time.Second)
	for n := 0; ; n++ {
		text := fmt.Sprintf("after %d", n)
		attempts[text] = true
		a := agent.send(t, "POST", "/requests", intent(text))
		if a.status == http.StatusCreated {
			break
		}
		if a.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("after the store came back: got %v", a)
		}
	}
	seen := map[string]bool{}
	for _, x := range agent.threads(t, "") {
		if !attempts[x.Intent] || seen[x.Intent] {
			t.Errorf("%q is there twice, or was never sent", x.Intent)
		}
		seen[x.Intent] = true
	}
	if !seen["before"] {
		t.Error("what was acknowledged before is gone")
	}
	if code := s.terminate(t); code != 0 {
		t.Errorf("exit code: got %d, want 0", code)
	}
}

// TestFolderGoesAway: a server whose folder was deleted acknowledges nothing any more and ends.
func TestFolderGoesAway(t *testing.T) {
	place := folder(t)
	s := start(t, place.settings...)
	agent := at(s, "home").register(t, "agent")
	agent.create(t, intent("before"))
	if err := os.RemoveAll(place.data); err != nil {
		t.Fatal(err)
	}
	if a, err := agent.try("POST", "/requests", intent("after")); err == nil && a.status < 500 {
		t.Errorf("a request after the folder was deleted: got %v", a)
	}
	select {
	case <-s.exited:
		if code := s.state.ExitCode(); code != 1 {
			t.Errorf("exit code: got %d, want 1", code)
		}
	case <-time.After(stopWithin):
		t.Errorf("the server still runs %v after its folder was deleted", stopWithin)
	}
}
