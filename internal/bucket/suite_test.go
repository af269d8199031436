package bucket_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/bucket/buckettest"
	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

func mustOpen(tb testing.TB, c bucket.Config) *bucket.Store {
	tb.Helper()
	s, err := bucket.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// suite and suiteS3 are the sizes of the suite; smaller under the race detector.
var (
	suite   buckettest.Options
	suiteS3 = buckettest.Options{Races: 20, Keys: 2100}
)

func TestFilesystem(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(tb testing.TB) buckettest.Store {
		return mustOpen(tb, bucket.Config{Type: "filesystem", Path: tb.TempDir()})
	}, suite)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(tb testing.TB) buckettest.Store {
		return mustOpen(tb, bucket.Config{Type: "memory"})
	}, suite)
}

var full = flag.Bool("full", false, "run the suite on S3 at the size it has on the others")

// TestS3 runs the suite smaller, because a call costs a hundred times what it does on the others: 20 keys
// raced for by 200, and a listing of more than two of S3's pages. With -full it takes half a minute.
func TestS3(t *testing.T) {
	t.Parallel()
	o := suiteS3
	if *full {
		o = buckettest.Options{}
	}
	// versitygw shows the temporary name of an overwrite for a moment.
	o.Foreign = func(key string) bool { return strings.Contains(key, ".sgwtmp.") }
	server := s3test.Start(t)
	buckettest.Run(t, func(tb testing.TB) buckettest.Store {
		return mustOpen(tb, bucket.Config{Type: "s3", S3: config(server, server.NewBucket(tb))})
	}, o)
}

func config(s *s3test.Server, name string) bucket.S3 {
	return bucket.S3{Endpoint: s.Endpoint, Bucket: name, AccessKey: s.AccessKey, SecretKey: s.SecretKey}
}
