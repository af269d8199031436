//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// storage is a fresh place for a server's data.
type storage struct {
	settings []string
	data     string         // the folder, or the one in which the S3 server keeps the bucket
	store    *s3test.Server // nil for a folder
	bucket   string
	r2       bool // it is behind the Worker, and data only a copy
}

// files returns the folder of the stored objects, or one with a copy of them.
func (p storage) files(tb testing.TB) string {
	tb.Helper()
	if p.r2 {
		if err := copyObjects(p.settings, p.data); err != nil {
			tb.Fatalf("copying what is in R2: %v", err)
		}
	}
	return p.data
}

// forCommands are the settings with which the program's commands read what is stored, or a copy of it.
func (p storage) forCommands(tb testing.TB) []string {
	tb.Helper()
	if p.r2 {
		return []string{"STORAGE_TYPE=filesystem", "STORAGE_PATH=" + p.files(tb)}
	}
	return p.settings
}

// put writes an object beside all servers.
func (p storage) put(tb testing.TB, key string, content []byte) {
	tb.Helper()
	if p.store != nil {
		p.store.Put(tb, p.bucket, key, content)
		return
	}
	file := filepath.Join(p.data, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// putAll writes objects beside all servers.
func (p storage) putAll(tb testing.TB, objects map[string][]byte) {
	tb.Helper()
	if p.r2 {
		if err := putObjects(p.settings, objects); err != nil {
			tb.Fatalf("putting objects into R2: %v", err)
		}
		return
	}
	for key, content := range objects {
		p.put(tb, key, content)
	}
}

// folder returns a new, empty folder, or a bucket in R2 where the Worker is tested. It is called data, as in the
// contract's DuckDB query.
func folder(tb testing.TB) storage {
	if *onWorker {
		return onR2(tb)
	}
	return directory(tb)
}

// directory returns a new, empty folder for the program, whatever is tested.
func directory(tb testing.TB) storage {
	data := filepath.Join(tb.TempDir(), "data")
	return storage{settings: []string{"STORAGE_TYPE=filesystem", "STORAGE_PATH=" + data}, data: data}
}

// bucketOf returns a new, empty bucket of a running S3 server, which keeps its objects as plain files.
func bucketOf(tb testing.TB, s3 *s3test.Server) storage {
	tb.Helper()
	bucket, data := s3.NewBucket(tb), filepath.Join(tb.TempDir(), "data")
	if err := os.Symlink(filepath.Join(s3.Folder(), bucket), data); err != nil {
		tb.Fatal(err)
	}
	return storage{data: data, store: s3, bucket: bucket, settings: []string{
		"STORAGE_TYPE=s3",
		"S3_ENDPOINT=" + s3.Endpoint,
		"S3_BUCKET=" + bucket,
		"S3_ACCESS_KEY=" + s3.AccessKey,
		"S3_SECRET_KEY=" + s3.SecretKey,
	}}
}

// inEachStorage runs a test in a folder and in a bucket, or in R2 where the Worker is tested.
func inEachStorage(t *testing.T, test func(t *testing.T, place storage)) {
	if *onWorker {
		t.Run("r2", func(t *testing.T) { test(t, onR2(t)) })
		return
	}
	t.Run("filesystem", func(t *testing.T) { test(t, folder(t)) })
	t.Run("s3", func(t *testing.T) { test(t, bucketOf(t, s3test.Start(t))) })
}

// onEachStorage runs a test against a server on a folder and against one on a bucket: no answer may
// tell them apart.
func onEachStorage(t *testing.T, test func(t *testing.T, s *server)) {
	inEachStorage(t, func(t *testing.T, place storage) { test(t, start(t, place.settings...)) })
}
