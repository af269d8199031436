package faultblob_test

import (
	"slices"
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

// Where merges are allowed, it tells them from everything else that overwrites and deletes.
func TestNoticesBrokenMerges(t *testing.T) {
	const folder = "events/exchange=home/2026/02/01/00000000-000"
	const first, second, last = folder + "1-8000-8000-000000000000.jsonl", folder + "2-8000-8000-000000000000.jsonl", folder + "3-8000-8000-000000000000.jsonl"
	const foreign = folder + "0-4000-8000-000000000000.jsonl"
	const a, b, end = "{\"a\":1}\n", "{\"b\":1}\n", "{\"event_type\":\"day_closed\",\"actor_id\":\"-\"}\n"
	for _, c := range []struct {
		name string
		do   func(put func(key, data string), del func(key string))
		want []string
	}{
		{"a merge", func(put func(key, data string), del func(key string)) {
			put(first, a+b+end)
			put(first, a+b+end)
			del(second)
			del(last)
		}, nil},
		{"deleted before", func(put func(key, data string), del func(key string)) {
			del(last)
			put(first, a+b+end)
		}, []string{"deleted: " + last, "overwritten: " + first}},
		{"in part", func(put func(key, data string), del func(key string)) { put(first, a+b) }, []string{"overwritten: " + first}},
		{"with a hole", func(put func(key, data string), del func(key string)) { put(first, a+end) }, []string{"overwritten: " + first}},
		{"another than the first", func(put func(key, data string), del func(key string)) { put(second, a+b+end) }, []string{"overwritten: " + second}},
		{"the first deleted", func(put func(key, data string), del func(key string)) {
			put(first, a+b+end)
			del(first)
		}, []string{"deleted: " + first}},
		{"overwritten after", func(put func(key, data string), del func(key string)) {
			put(first, a+b+end)
			put(first, a+end)
		}, []string{"overwritten: " + first}},
		{"old data", func(put func(key, data string), del func(key string)) {
			put(first, a+b+end)
			del(foreign)
		}, []string{"deleted: " + foreign}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bucket := faultblob.New()
			bucket.AllowMerges()
			for key, data := range map[string]string{foreign: a, first: a, second: b, last: end} {
				bucket.Put(key, []byte(data))
			}
			s := bucket.Store(true)
			c.do(func(key, data string) {
				if err := s.Bucket().WriteAll(t.Context(), key, []byte(data), nil); err != nil {
					t.Fatal(err)
				}
			}, func(key string) {
				if err := s.Bucket().Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			})
			if got := bucket.Broken(); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
