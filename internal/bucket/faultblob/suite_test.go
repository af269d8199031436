package faultblob_test

import (
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/buckettest"
	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// What other tests take for a bucket must be one.
func TestIsABucket(t *testing.T) {
	buckettest.Run(t, func(testing.TB) buckettest.Store { return faultblob.New().Store(false) }, buckettest.Options{})
}

// Without being told to, it notices what may not be done to a log.
func TestNoticesBrokenRules(t *testing.T) {
	b := faultblob.New()
	s := b.Store(true)
	const commit, profile = "events/exchange=home/x.jsonl", "executors/exchange=home/a.json"
	for _, key := range []string{commit, profile} {
		for range 2 {
			if err := s.Bucket().WriteAll(t.Context(), key, []byte("{}\n"), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Bucket().Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Broken(); len(got) != 2 || got[0] != "overwritten: "+commit || got[1] != "deleted: "+commit {
		t.Errorf("got %q", got)
	}
}
