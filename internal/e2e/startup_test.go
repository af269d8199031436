//go:build e2e

package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// TestMistakes: a mistake in the settings is one clear sentence on stderr that names what to
// change, and exit code 1, within ten seconds.
func TestMistakes(t *testing.T) {
	t.Parallel()
	taken := start(t, folder(t).settings...)
	port := taken.addr[strings.LastIndex(taken.addr, ":")+1:]
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s3 := s3test.Start(t)
	good := bucketOf(t, s3).settings
	with := func(settings ...string) []string { return append(append([]string{}, good...), settings...) } // the last one wins
	for _, c := range []struct {
		name     string
		settings []string
		says     string
	}{
		{"an unknown storage type", []string{"STORAGE_TYPE=floppy"}, "floppy"},
		{"no bucket", []string{"STORAGE_TYPE=s3", "S3_ENDPOINT=" + s3.Endpoint}, "S3_BUCKET"},
		{"a file where the folder should be", []string{"STORAGE_PATH=" + file}, file},
		{"a port in use", append(folder(t).settings, "PORT="+port), port},
		{"no port at all", append(folder(t).settings, "PORT=http"), "PORT"},
		{"a folder that another process has open", taken.settings, taken.settings[1][len("STORAGE_PATH="):]},
		{"an unknown log level", append(folder(t).settings, "LOG_LEVEL=loud"), "LOG_LEVEL"},
		{"a bucket that does not exist", with("S3_BUCKET=no-such-bucket"), "no-such-bucket"},
		{"a wrong secret", with("S3_SECRET_KEY=wrong"), ""},
		{"an endpoint where nobody listens", with("S3_ENDPOINT=http://" + unusedAddress(t)), ""},
		{"an endpoint that does not answer", with("S3_ENDPOINT=http://" + silentAddress(t)), ""},
		{"an endpoint that is no address", with("S3_ENDPOINT=::no"), "S3_ENDPOINT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := run(t, 20*time.Second, append([]string{"HOST=127.0.0.1", "PORT=0"}, c.settings...))
			said := strings.TrimSpace(o.stderr)
			if o.code != 1 || o.took > 10*time.Second {
				t.Errorf("exit code %d after %v, want 1 within 10 s", o.code, o.took)
			}
			if said == "" || !strings.Contains(strings.ToLower(said), strings.ToLower(c.says)) {
				t.Errorf("it said %q, want a sentence with %q", said, c.says)
			}
			if strings.Contains(said, "goroutine") || strings.Count(said, "\n") > 1 || len(said) > 600 {
				t.Errorf("it said %q, want one sentence", said)
			}
		})
	}
}

// unusedAddress returns an address at which nobody listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silentAddress returns an address at which connections are accepted and nothing is ever said.
func silentAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
