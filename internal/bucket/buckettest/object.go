package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
)

// testReplace: the life of one object that is only replaced.
func testReplace(t *testing.T, s Store) {
	const key = "executors/exchange=home/alice.json"
	ctx := t.Context()
	_, _, err := s.Load(ctx, key)
	wants(t, s, err, "no such key", "load of nothing")
	if err := s.Replace(ctx, key, "some-version", []byte("x")); err == nil || !s.Changed(err) && !s.NoSuchKey(err) {
		t.Errorf("replace of nothing: %v", err)
	}
	if err := s.Replace(ctx, key, "", []byte("one")); err != nil {
		t.Fatal(err)
	}
	wants(t, s, s.Replace(ctx, key, "", []byte("x")), "exists", "second create")
	data, one, err := s.Load(ctx, key)
	if err != nil || string(data) != "one" || one == "" {
		t.Fatalf("load: %q, %q, %v", data, one, err)
	}
	if err := s.Replace(ctx, key, one, []byte("two")); err != nil {
		t.Fatal(err)
	}
	wants(t, s, s.Replace(ctx, key, one, []byte("x")), "changed", "replace of an old version")
	data, two, err := s.Load(ctx, key)
	if err != nil || string(data) != "two" || two == one {
		t.Errorf("load after a replace: %q, %q, %v", data, two, err)
	}
	// A write that knows no versions is a change, too.
	if err := s.Bucket().WriteAll(ctx, key, []byte("three"), nil); err != nil {
		t.Fatal(err)
	}
	wants(t, s, s.Replace(ctx, key, two, []byte("x")), "changed", "replace after an overwrite")
	if err := s.Bucket().Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(ctx, key, two, []byte("x")); err == nil || !s.Changed(err) && !s.NoSuchKey(err) {
		t.Errorf("replace of a deleted object: %v", err)
	}
	_, _, err = s.Load(ctx, key)
	wants(t, s, err, "no such key", "load after a delete")
}

// testErrors: each class of error, where it can be had on a healthy store.
func testErrors(t *testing.T, s Store) {
	ctx := t.Context()
	mustCreate(t, s, "a/b", "content")
	_, err := s.Bucket().NewReader(ctx, "a/none", nil)
	wants(t, s, err, "no such key", "read of nothing")
	_, err = s.Bucket().NewReader(ctx, "none/none/none", nil)
	wants(t, s, err, "no such key", "read in no folder")
	_, err = s.Bucket().NewReader(ctx, "a", nil)
	wants(t, s, err, "no such key", "read of a folder")
	wants(t, s, create(ctx, s, "a/b", "content"), "exists", "second create")
	ended, end := context.WithCancel(ctx)
	end()
	err = create(ended, s, "a/c", "content")
	wants(t, s, err, "definite", "create with an ended context")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("create with an ended context: %v", err)
	}
	for _, err := range []error{nil, io.ErrUnexpectedEOF} {
		wants(t, s, err, class(s, err), fmt.Sprint(err))
		if s.Exists(err) || s.NoSuchKey(err) || s.Changed(err) || s.Fatal(err) {
			t.Errorf("%v is of a class", err)
		}
	}
}

// class allows a store that knows no unknown outcome to call any other error definite.
func class(s Store, err error) string {
	if err != nil && s.Definite(err) {
		return "definite"
	}
	return ""
}

// testReadYourWrites: a write that is over is in every read and listing that begins after it.
func testReadYourWrites(t *testing.T, s Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 10 {
				key := fmt.Sprintf("events/exchange=w%d/2026/02/01/%02d", w, n)
				content := fmt.Sprintf("%d of %d\n", n, w)
				if err := create(ctx, s, key, content); err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Bucket().ReadAll(ctx, key); err != nil || string(got) != content {
					t.Errorf("%s reads %q, %v", key, got, err)
				}
				keys, err := keysOf(ctx, s, &blob.ListOptions{Prefix: fmt.Sprintf("events/exchange=w%d/", w)}, 1000)
				if err != nil || len(keys) != n+1 || keys[n] != key {
					t.Errorf("after %s was written, listed are %q, %v", key, keys, err)
				}
				if err := s.Bucket().WriteAll(ctx, key, []byte("over"+content), nil); err != nil {
					t.Error(err)
				}
				if got, err := s.Bucket().ReadAll(ctx, key); err != nil || string(got) != "over"+content {
					t.Errorf("%s reads %q after an overwrite, %v", key, got, err)
				}
			}
		})
	}
	wg.Wait()
}

// testListedIsComplete: while objects are created and overwritten, every read is of a whole object and
// every listed one is there.
func testListedIsComplete(t *testing.T, s Store, o Options) {
	ctx := t.Context()
	body := func(n byte) string { return strings.Repeat(string('a'+n%26), 64<<10) + "\n" }
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for n := range 12 {
				key := fmt.Sprintf("complete/%d", n%6)
				if err := s.Bucket().WriteAll(ctx, key, []byte(body(byte(w*12+n))), nil); err != nil && !conflict(s, err) {
					t.Error(err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			keys, err := keysOf(ctx, s, &blob.ListOptions{Prefix: "complete/"}, 1000)
			if err != nil {
				t.Error(err)
			}
			for _, k := range slices.DeleteFunc(keys, o.Foreign) {
				got, err := s.Bucket().ReadAll(ctx, k)
				if err != nil || len(got) != 64<<10+1 || string(got) != body(got[0]-'a') {
					t.Errorf("%s was listed and reads %d bytes, %v", k, len(got), err)
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

// testAbandonedWriter: a writer whose context ends before it is closed, or whose content is not what
// was announced, leaves nothing and leaves what was there.
func testAbandonedWriter(t *testing.T, s Store) {
	ctx := t.Context()
	mustCreate(t, s, "old", "old content")
	for _, key := range []string{"new", "old"} {
		for _, size := range []int{10, 100 << 10} {
			ended, end := context.WithCancel(ctx)
			w, err := s.Bucket().NewWriter(ended, key, &blob.WriterOptions{ContentType: "text/plain"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(bytes.Repeat([]byte("x"), size)); err != nil {
				t.Fatal(err)
			}
			end()
			if err := w.Close(); err == nil {
				t.Errorf("%s: a writer of %d bytes whose context has ended closes without error", key, size)
			}
			err = s.Bucket().WriteAll(ctx, key, bytes.Repeat([]byte("x"), size), &blob.WriterOptions{ContentMD5: make([]byte, 16)})
			if err == nil {
				t.Errorf("%s: a writer of %d bytes with a wrong checksum closes without error", key, size)
			}
		}
	}
	_, err := s.Bucket().ReadAll(ctx, "new")
	wants(t, s, err, "no such key", "read of what was never written")
	if got, err := s.Bucket().ReadAll(ctx, "old"); err != nil || string(got) != "old content" {
		t.Errorf("the old object reads %.20q, %v", got, err)
	}
	if keys, err := keysOf(ctx, s, nil, 1000); err != nil || len(keys) != 1 {
		t.Errorf("listed are %q, %v", keys, err)
	}
}

// testRanges: parts of an object, with the size of the whole.
func testRanges(t *testing.T, s Store) {
	content := "0123456789abcdef"
	mustCreate(t, s, "object", content)
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, -1, content}, {0, 4, "0123"}, {4, 4, "4567"}, {10, -1, "abcdef"}, {15, 1, "f"}, {12, 100, "cdef"}, {3, 0, ""}} {
		r, err := s.Bucket().NewRangeReader(t.Context(), "object", c.offset, c.length, nil)
		if err != nil {
			t.Errorf("%d bytes at %d: %v", c.length, c.offset, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != c.want || r.Size() != int64(len(content)) {
			t.Errorf("%d bytes at %d: %q of %d, %v", c.length, c.offset, got, r.Size(), err)
		}
		if age := s.Now().Sub(r.ModTime()); age < -time.Minute || age > time.Minute {
			t.Errorf("a new object is %v old", age)
		}
		r.Close()
	}
}

// testReadRange: the same in one call, of objects that are overwritten by longer ones and deleted meanwhile.
func testReadRange(t *testing.T, s Store) {
	const key = "events/exchange=home/2026/02/01/object"
	ctx := t.Context()
	_, err := s.ReadRange(ctx, key, 0, 1)
	wants(t, s, err, "no such key", "range of nothing")
	read := func(start, length int64, want string) {
		t.Helper()
		if got, err := s.ReadRange(ctx, key, start, length); err != nil || string(got) != want {
			t.Errorf("%d bytes at %d: %q, %v; want %q", length, start, got, err, want)
		}
	}
	mustCreate(t, s, key, "0123456789")
	for range 2 {
		read(0, 10, "0123456789")
		read(4, 3, "456")
		read(8, 4, "89")
		read(10, 1, "")
		read(40, 4, "")
	}
	if err := s.Bucket().WriteAll(ctx, key, []byte("0123456789abcdef"), nil); err != nil {
		t.Fatal(err)
	}
	read(8, 4, "89ab")
	if err := s.Bucket().Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	_, err = s.ReadRange(ctx, key, 8, 4)
	wants(t, s, err, "no such key", "range of a deleted object")
}

// testBigObject: more than the biggest commit, as one object.
func testBigObject(t *testing.T, s Store) {
	content := make([]byte, 9<<20)
	r := rand.NewChaCha8([32]byte{})
	r.Read(content)
	if err := s.Bucket().WriteAll(t.Context(), "big", content, &blob.WriterOptions{IfNotExist: true}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Bucket().ReadAll(t.Context(), "big")
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("reads %d bytes, %v", len(got), err)
	}
	// A server may refuse before it has read all, and cut the connection: then the outcome is unknown.
	err = s.Bucket().WriteAll(t.Context(), "big", content, &blob.WriterOptions{IfNotExist: true})
	if err == nil || !s.Exists(err) && (!s.Shared() || s.NoSuchKey(err) || s.Changed(err) || s.Definite(err) || s.Fatal(err)) {
		t.Errorf("second create: %v", err)
	}
	if a, err := s.Bucket().Attributes(t.Context(), "big"); err != nil || a.Size != int64(len(content)) {
		t.Errorf("attributes: %+v, %v", a, err)
	}
}

// testSettle: an object that is there can be settled at any time.
func testSettle(t *testing.T, s Store) {
	mustCreate(t, s, "events/exchange=home/2026/02/01/x", "x")
	for range 2 {
		if err := s.Settle(t.Context(), "events/exchange=home/2026/02/01/x"); err != nil {
			t.Error(err)
		}
	}
}

// testClock: the store's time is a time, and does not go back between calls.
func testClock(t *testing.T, s Store) {
	last := s.Now()
	if off := time.Since(last); off > time.Minute || off < -time.Minute {
		t.Errorf("the store's time is %v", last)
	}
	for n := range 5 {
		ctx, date := s.Dated(t.Context())
		if err := create(ctx, s, fmt.Sprint("object", n), "x"); err != nil {
			t.Fatal(err)
		}
		// A store may cut its dates to the second.
		if d := date(); d.Before(last.Add(-2*time.Second)) || d.After(s.Now().Add(2*time.Second)) {
			t.Errorf("the answer is of %v, made between %v and %v", d, last, s.Now())
		}
		if now := s.Now(); now.Before(last) {
			t.Errorf("the store's time went from %v to %v", last, now)
		} else {
			last = now
		}
	}
}
