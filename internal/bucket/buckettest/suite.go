package buckettest

import (
	"context"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
)

// Store is what a storage type must be; *bucket.Store is one.
type Store interface {
	Bucket() *blob.Bucket
	ListAfter(prefix, key string) *blob.ListOptions
	ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error)
	Exists(err error) bool
	NoSuchKey(err error) bool
	Changed(err error) bool
	Definite(err error) bool
	Fatal(err error) bool
	Now() time.Time
	Dated(ctx context.Context) (context.Context, func() time.Time)
	Shared() bool
	Settle(ctx context.Context, key string) error
	Load(ctx context.Context, key string) (data []byte, version string, err error)
	Replace(ctx context.Context, key, version string, data []byte) error
	Spelling(ctx context.Context, folder, name string) (string, error)
}

// Maker opens a Store on an empty bucket of its own. It closes it at the end of the test.
type Maker func(tb testing.TB) Store

// Options fit the suite to a store. Zero fields are the default.
type Options struct {
	Racers int // goroutines that race to create; 200
	Races  int // keys they race for; 100
	Keys   int // keys in the long listing; 10,000
	// Foreign tells keys that may be listed although nobody wrote them: temporary files of a test
	// server. By default there are none.
	Foreign func(key string) bool
}

// Run runs the suite.
func Run(t *testing.T, open Maker, o Options) {
	if o.Racers == 0 {
		o.Racers = 200
	}
	if o.Races == 0 {
		o.Races = 100
	}
	if o.Keys == 0 {
		o.Keys = 10_000
	}
	if o.Foreign == nil {
		o.Foreign = func(string) bool { return false }
	}
	t.Run("CreateRace", func(t *testing.T) { testCreateRace(t, open(t), o) })
	t.Run("ReplaceRace", func(t *testing.T) { testReplaceRace(t, open(t)) })
	t.Run("ReplaceCreateRace", func(t *testing.T) { testReplaceCreateRace(t, open(t)) })
	t.Run("Replace", func(t *testing.T) { testReplace(t, open(t)) })
	t.Run("Errors", func(t *testing.T) { testErrors(t, open(t)) })
	t.Run("ReadYourWrites", func(t *testing.T) { testReadYourWrites(t, open(t)) })
	t.Run("ListedIsComplete", func(t *testing.T) { testListedIsComplete(t, open(t), o) })
	t.Run("AbandonedWriter", func(t *testing.T) { testAbandonedWriter(t, open(t)) })
	t.Run("Ranges", func(t *testing.T) { testRanges(t, open(t)) })
	t.Run("ReadRange", func(t *testing.T) { testReadRange(t, open(t)) })
	t.Run("BigObject", func(t *testing.T) { testBigObject(t, open(t)) })
	t.Run("Siblings", func(t *testing.T) { testSiblings(t, open(t)) })
	t.Run("LongListing", func(t *testing.T) { testLongListing(t, open(t), o) })
	t.Run("ListAfter", func(t *testing.T) { testListAfter(t, open(t)) })
	t.Run("Settle", func(t *testing.T) { testSettle(t, open(t)) })
	t.Run("Clock", func(t *testing.T) { testClock(t, open(t)) })
}

// create writes an object that must not exist.
func create(ctx context.Context, s Store, key, content string) error {
	return s.Bucket().WriteAll(ctx, key, []byte(content), &blob.WriterOptions{IfNotExist: true})
}

func mustCreate(t *testing.T, s Store, key, content string) {
	t.Helper()
	if err := create(t.Context(), s, key, content); err != nil {
		t.Fatal(err)
	}
}

// wants checks that an error is of exactly one class.
func wants(t *testing.T, s Store, err error, class, what string) {
	t.Helper()
	classes := map[string]bool{
		"exists": s.Exists(err), "no such key": s.NoSuchKey(err), "changed": s.Changed(err),
		"definite": s.Definite(err), "fatal": s.Fatal(err),
	}
	for c, is := range classes {
		if is != (c == class) {
			t.Errorf("%s: %s is %v, want an error that is only %q: %v", what, c, is, class, err)
		}
	}
}

// conflict reports an unknown outcome for which S3 asks that the same be tried again
// (409 ConditionalRequestConflict); the other stores have none.
func conflict(s Store, err error) bool {
	return s.Shared() && err != nil && strings.Contains(err.Error(), "ConditionalRequestConflict")
}
