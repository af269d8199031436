package dirblob

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/drivertest"
)

// harness runs gocloud's own suite for drivers, on one directory per test.
type harness struct{ dir *Dir }

func (h harness) MakeDriver(context.Context) (driver.Bucket, error) { return kept{h.dir}, nil }
func (harness) MakeDriverForNonexistentBucket(context.Context) (driver.Bucket, error) {
	return nil, nil // a directory is made where it is missing
}
func (harness) HTTPClient() *http.Client         { return nil } // no signed URLs
func (harness) SupportsCopy() bool               { return true }
func (harness) SupportsNonSlashDelimiters() bool { return true }
func (h harness) Close()                         { h.dir.Close() }

// kept survives the Close of a bucket, because the suite makes several on one harness.
type kept struct{ *Dir }

func (kept) Close() error { return nil }

// TestConformance leaves out what needs a content type, cache control or metadata to be kept, as
// gocloud does for its own directory driver without sidecar files.
func TestConformance(t *testing.T) {
	t.Parallel()
	drivertest.RunConformanceTests(t, func(_ context.Context, t *testing.T) (drivertest.Harness, error) {
		name := t.Name()
		if strings.Contains(name, "ContentType") || strings.HasSuffix(name, "/TestAttributes") || strings.Contains(name, "/TestMetadata/") {
			t.Skip("a directory keeps an object's content and nothing else")
		}
		return harness{mustOpen(t, t.TempDir())}, nil
	}, nil)
}

func mustOpen(tb testing.TB, path string) *Dir {
	tb.Helper()
	d, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
