package buckettest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob"
)

// keysOf lists keys in pages.
func keysOf(ctx context.Context, s Store, o *blob.ListOptions, page int) ([]string, error) {
	var keys []string
	for token := blob.FirstPageToken; len(token) > 0; {
		objects, next, err := s.Bucket().ListPage(ctx, token, page, o)
		if err != nil {
			return keys, err
		}
		if len(objects) > page || len(objects) == 0 && len(next) > 0 {
			return keys, fmt.Errorf("%d objects on a page of %d, and more to come: %v", len(objects), page, len(next) > 0)
		}
		for _, o := range objects {
			keys = append(keys, o.Key)
		}
		token = next
	}
	return keys, nil
}

// siblings sort differently as file names and as keys: "-" and "." are before the slash.
var siblings = []string{
	"events/exchange=-schema/1970/01/01/0.jsonl",
	"events/exchange=home-2/2026/02/01/a.jsonl",
	"events/exchange=home-2/2026/02/02/b.jsonl",
	"events/exchange=home.x/2026/02/01/c.jsonl",
	"events/exchange=home/2026/02/01/d.jsonl",
	"events/exchange=home/2026/02/01/e.jsonl",
	"events/exchange=home/2026/03/01/f.jsonl",
	"events/exchange=home0/2026/02/01/g.jsonl",
	"executors/exchange=home-2/alice.json",
	"executors/exchange=home/alice.json",
	"executors/exchange=home/bob.json",
}

// testSiblings: folders whose names extend each other are listed whole and in the order of keys, at
// every size of page, from every prefix, with and without a delimiter.
func testSiblings(t *testing.T, s Store) {
	for _, k := range siblings {
		mustCreate(t, s, k, "x")
	}
	for _, prefix := range []string{"", "events/", "events/exchange=home", "events/exchange=home/", "events/exchange=home-2/",
		"events/exchange=home/2026/02/01/d", "events/exchange=nobody/", "executors/"} {
		for _, delimiter := range []string{"", "/"} {
			want := collapse(prefix, delimiter)
			for _, page := range []int{1, 2, 3, 1000} {
				got, err := keysOf(t.Context(), s, &blob.ListOptions{Prefix: prefix, Delimiter: delimiter}, page)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("prefix %q, delimiter %q, pages of %d:\ngot  %q\nwant %q\n%v", prefix, delimiter, page, got, want, err)
				}
			}
		}
	}
}

// testListAfter: a listing that need not show what is known shows all the rest, in order, at every size of
// page, whether the key it begins behind exists or not.
func testListAfter(t *testing.T, s Store) {
	for _, k := range siblings {
		mustCreate(t, s, k, "x")
	}
	for _, prefix := range []string{"events/exchange=home/", "events/", "executors/exchange=home-2/"} {
		all := collapse(prefix, "")
		for _, after := range append(all, prefix, all[0]+"a", "events/exchange=home/2026/02/01/", "events/exchange=home/2026/02/01/dd", "a", "z") {
			want := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return k <= after })
			for _, page := range []int{1, 2, 1000} {
				got, err := keysOf(t.Context(), s, s.ListAfter(prefix, after), page)
				behind := slices.DeleteFunc(slices.Clone(got), func(k string) bool { return k <= after })
				if err != nil || !slices.Equal(behind, want) {
					t.Errorf("prefix %q after %q, pages of %d:\ngot  %q\nwant %q\n%v", prefix, after, page, got, want, err)
				}
			}
		}
	}
}

func collapse(prefix, delimiter string) []string {
	var want []string
	for _, k := range siblings {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			k = prefix + rest[:i+1]
		}
		if len(want) == 0 || want[len(want)-1] != k {
			want = append(want, k)
		}
	}
	return want
}

// testLongListing: many keys over many days, all of them, in order, by pages and by the iterator.
func testLongListing(t *testing.T, s Store, o Options) {
	ctx := t.Context()
	want := make([]string, o.Keys)
	for n := range want {
		day := n * 20 / o.Keys
		want[n] = fmt.Sprintf("events/exchange=home/2026/%02d/%02d/%08d.jsonl", 1+day/10, 1+day%10, n)
	}
	var wg sync.WaitGroup
	work := make(chan string)
	for range 16 {
		wg.Go(func() {
			for key := range work {
				if err := create(ctx, s, key, "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, key := range want {
		work <- key
	}
	close(work)
	wg.Wait()
	got, err := keysOf(ctx, s, &blob.ListOptions{Prefix: "events/exchange=home/"}, 1000)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("by pages: %d keys of %d, %v", len(got), len(want), err)
	}
	got = got[:0]
	iter := s.Bucket().List(&blob.ListOptions{Prefix: "events/exchange=home/"})
	objects, failed := iter.All(ctx)
	for o := range objects {
		got = append(got, o.Key)
	}
	if err := failed(); err != nil || !slices.Equal(got, want) {
		t.Errorf("by the iterator: %d keys of %d, %v", len(got), len(want), err)
	}
}
