package bucket_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// classOf names the one class of an error; "unknown" where it has none.
func classOf(t *testing.T, s *bucket.Store, err error) string {
	t.Helper()
	var classes []string
	for name, is := range map[string]func(error) bool{
		"exists": s.Exists, "no such key": s.NoSuchKey, "changed": s.Changed, "definite": s.Definite, "fatal": s.Fatal,
	} {
		if is(err) {
			classes = append(classes, name)
		}
	}
	switch {
	case err == nil:
		return "done"
	case len(classes) == 0:
		return "unknown"
	case len(classes) > 1:
		t.Errorf("an error of several classes %q: %v", classes, err)
	}
	return classes[0]
}

// TestS3Outcomes: what an error says is true of all attempts that the SDK made, not of the last one only
// (docs/storage.md, rule 4). The object is written or not as the faults of the table have it; a store
// may say "unknown" of both, but "definite" only where it is not there.
func TestS3Outcomes(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	p := startProxy(t, server)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: p.config(server, server.NewBucket(t))})
	for _, c := range []struct {
		name    string
		answers []answer
		class   string
		written bool
	}{
		{"undisturbed", nil, "done", true},
		{"refused", []answer{says(403, "AccessDenied")}, "definite", false},
		{"bad request", []answer{says(400, "InvalidArgument")}, "definite", false},
		{"too large", []answer{says(413, "EntityTooLarge")}, "definite", false},
		{"no such bucket", []answer{says(404, "NoSuchBucket")}, "definite", false},
		{"redirected", []answer{says(301, "PermanentRedirect")}, "definite", false},
		{"conflict", []answer{says(409, "ConditionalRequestConflict")}, "unknown", false},
		{"conflicts", []answer{says(409, "ConditionalRequestConflict"), says(409, "ConditionalRequestConflict"), says(409, "ConditionalRequestConflict")}, "unknown", false},
		{"another 412", []answer{says(412, "SomethingElse")}, "definite", false},
		{"overloaded once", []answer{says(503, "SlowDown")}, "done", true},
		{"overloaded", []answer{says(503, "SlowDown"), says(503, "SlowDown"), says(503, "SlowDown")}, "unknown", false},
		{"broken", []answer{says(500, "InternalError"), says(500, "InternalError"), says(500, "InternalError")}, "unknown", false},
		{"cut off once", []answer{cut}, "done", true},
		{"cut off", []answer{cut, cut, cut}, "unknown", false},
		// The retry meets the object of the first attempt.
		{"answer lost", []answer{lost}, "exists", true},
		{"answers lost", []answer{lost, lost, lost}, "unknown", true},
		{"answer lost, then refused", []answer{lost, says(403, "AccessDenied")}, "unknown", true},
		{"answer lost, then bad request", []answer{lost, says(400, "ExpiredToken")}, "unknown", true},
		{"answer lost, then no such bucket", []answer{lost, says(404, "NoSuchBucket")}, "unknown", true},
		{"overloaded, then refused", []answer{says(503, "SlowDown"), says(403, "AccessDenied")}, "unknown", false},
	} {
		key := "events/exchange=home/2026/02/01/" + c.name
		p.next(c.answers...)
		err := s.Bucket().WriteAll(t.Context(), key, []byte(c.name), &blob.WriterOptions{IfNotExist: true})
		p.next()
		if got := classOf(t, s, err); got != c.class {
			t.Errorf("%s: %s, want %s: %v", c.name, got, c.class, err)
		}
		data, err := s.Bucket().ReadAll(t.Context(), key)
		if c.written && (err != nil || string(data) != c.name) || !c.written && !s.NoSuchKey(err) {
			t.Errorf("%s: then it reads %q, %v", c.name, data, err)
		}
	}
}

// TestS3ReplaceOutcomes: a replace whose answer was lost meets its own version and must not say that
// another one changed the object.
func TestS3ReplaceOutcomes(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	p := startProxy(t, server)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: p.config(server, server.NewBucket(t))})
	for _, c := range []struct {
		name    string
		answers []answer
		class   string
	}{
		{"undisturbed", nil, "done"},
		{"answer lost", []answer{lost}, "unknown"},
		{"refused", []answer{says(403, "AccessDenied")}, "definite"},
		{"conflict", []answer{says(409, "ConditionalRequestConflict")}, "unknown"},
		{"deleted meanwhile", []answer{says(404, "NoSuchKey")}, "no such key"},
	} {
		key := "executors/exchange=home/" + c.name + ".json"
		if err := s.Replace(t.Context(), key, "", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		_, version, err := s.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		p.next(c.answers...)
		err = s.Replace(t.Context(), key, version, []byte(`{"changed":true}`))
		p.next()
		if got := classOf(t, s, err); got != c.class {
			t.Errorf("%s: %s, want %s: %v", c.name, got, c.class, err)
		}
	}
}

// TestS3Missing: only a GET answered with NoSuchKey says that there is no object (docs/storage.md,
// rule 5: every other 404 is an error).
func TestS3Missing(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	p := startProxy(t, server)
	name := server.NewBucket(t)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: p.config(server, name)})
	read := func() error {
		_, err := s.Bucket().NewReader(t.Context(), "none", nil)
		return err
	}
	if got := classOf(t, s, read()); got != "no such key" {
		t.Errorf("a missing object: %s", got)
	}
	for _, a := range []answer{says(404, ""), says(404, "NoSuchBucket"), says(301, ""), says(403, "AccessDenied"), says(404, "NotFound")} {
		p.next(a)
		if err := read(); s.NoSuchKey(err) || err == nil {
			t.Errorf("taken for a missing object: %v", err)
		}
	}
	// A HEAD is answered without a body, so without the reason.
	if _, err := s.Bucket().Attributes(t.Context(), "none"); s.NoSuchKey(err) || gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("attributes of nothing: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(server.Folder(), name)); err != nil {
		t.Fatal(err)
	}
	if err := read(); s.NoSuchKey(err) || err == nil {
		t.Errorf("a bucket that was removed is taken for an empty one: %v", err)
	}
}

// TestS3Unreachable: while the server is away a request that was never sent is definite, and everything
// works again when it is back.
func TestS3Unreachable(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: config(server, server.NewBucket(t))})
	write := func(key string) error {
		return s.Bucket().WriteAll(t.Context(), key, []byte("x"), &blob.WriterOptions{IfNotExist: true})
	}
	if err := write("one"); err != nil {
		t.Fatal(err)
	}
	server.Stop(t)
	// The first calls may meet a connection that was open, on which something may have been sent.
	var class string
	for n := 0; n < 20 && class != "definite"; n++ {
		err := write("two")
		if class = classOf(t, s, err); class != "unknown" && class != "definite" {
			t.Fatalf("a server that is away: %s, %v", class, err)
		}
	}
	if class != "definite" {
		t.Error("a request that found no server to be sent to stays in doubt")
	}
	server.Restart(t)
	if err := write("two"); err != nil {
		t.Error(err)
	}
	if data, err := s.Bucket().ReadAll(t.Context(), "one"); err != nil || string(data) != "x" {
		t.Errorf("after the restart: %q, %v", data, err)
	}
}

// TestS3Wire: what goes over the wire. A commit of any size is one PUT with its condition; no cache may
// keep it; checksums that other stores do not know are left out.
func TestS3Wire(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	p := startProxy(t, server)
	name := server.NewBucket(t)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: p.config(server, name)})
	p.requests()
	content := bytes.Repeat([]byte("0123456789abcdef"), (15<<20)/16)
	if err := s.Bucket().WriteAll(t.Context(), "big", content, &blob.WriterOptions{IfNotExist: true}); err != nil {
		t.Fatal(err)
	}
	requests := p.requests()
	if len(requests) != 1 || requests[0].Method != "PUT" || requests[0].URL.Path != "/"+name+"/big" {
		t.Fatalf("a write of 15 MiB is %d requests, the first is %s %s", len(requests), requests[0].Method, requests[0].URL)
	}
	h := requests[0].Header
	if h.Get("If-None-Match") != "*" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("a create is sent with %v", h)
	}
	for k := range h {
		if k = strings.ToLower(k); strings.HasPrefix(k, "x-amz-checksum") || strings.HasPrefix(k, "x-amz-sdk-checksum") || k == "x-amz-trailer" || k == "content-encoding" {
			t.Errorf("a create is sent with %s", k)
		}
	}
	if a, err := s.Bucket().Attributes(t.Context(), "big"); err != nil || a.CacheControl != "no-store" {
		t.Errorf("stored for caches as %q, %v", a.CacheControl, err)
	}
	_, version, err := s.Load(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	p.requests()
	if err := s.Replace(t.Context(), "big", version, []byte("small")); err != nil {
		t.Fatal(err)
	}
	if h := p.requests()[0].Header; h.Get("If-Match") != version || h.Get("If-None-Match") != "" {
		t.Errorf("a replace is sent with %v", h)
	}
}

// TestS3Date: the store's time follows its answers, and a caller can have the Date of its own.
func TestS3Date(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	p := startProxy(t, server)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: p.config(server, server.NewBucket(t))})
	// The SDK signs with the time of the last answer, and the server takes 15 minutes either way.
	for _, offset := range []time.Duration{5 * time.Minute, 6 * time.Minute, -4 * time.Minute} {
		date := time.Now().Add(offset).UTC().Truncate(time.Second)
		p.all("", after(func(h http.Header) { h.Set("Date", date.Format(http.TimeFormat)) }))
		ctx, got := s.Dated(t.Context())
		if err := s.Bucket().WriteAll(ctx, "object", []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		if !got().Equal(date) {
			t.Errorf("the answer's date is %v, want %v", got(), date)
		}
		if late := s.Now().Sub(date); late < 0 || late > 5*time.Second {
			t.Errorf("the store's time is %v after its last answer's", late)
		}
		ctx, got = s.Dated(t.Context())
		if _, err := s.Bucket().NewReader(ctx, "none", nil); !s.NoSuchKey(err) || !got().Equal(date) {
			t.Errorf("the date of a 404 is %v, %v", got(), err)
		}
	}
	// Only the call's own answer counts.
	p.do.Store(nil)
	dated, got := s.Dated(t.Context())
	ended, end := context.WithCancel(dated)
	end()
	if err := s.Bucket().WriteAll(ended, "object", []byte("x"), nil); err == nil || !got().IsZero() {
		t.Errorf("a call without an answer has the date %v, %v", got(), err)
	}
	if s.Kind() != "s3" || !s.Shared() {
		t.Errorf("kind %q, shared %v", s.Kind(), s.Shared())
	}
}

// Ensure that an object too large for one PutObject replaces a small one whole: a merged day may be up to
// 64 MiB, and is uploaded in parts.
func TestS3LargeOverwrite(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: config(server, server.NewBucket(t))})
	ctx := t.Context()
	large := bytes.Repeat([]byte("0123456789abcdef"), 40<<20/16)
	for _, data := range [][]byte{[]byte("small\n"), large} {
		if err := s.Bucket().WriteAll(ctx, "events/day", data, nil); err != nil {
			t.Fatal(err)
		}
		got, err := s.Bucket().ReadAll(ctx, "events/day")
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("wrote %d bytes, read %d: %v", len(data), len(got), err)
		}
	}
}
