package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
)

// told is what an Observe was told, as "operation failure".
type told []string

func (l *told) observe(operation Operation, took time.Duration, failure Failure) {
	if took < 0 || !slices.Contains(Operations, operation) || failure != "" && !slices.Contains(Failures, failure) {
		*l = append(*l, "wrong: ")
	}
	*l = append(*l, fmt.Sprint(operation, " ", failure))
}

func (l *told) want(t *testing.T, what string, want ...string) {
	t.Helper()
	if !slices.Equal(*l, want) {
		t.Errorf("%s: told %q, want %q", what, *l, want)
	}
	*l = nil
}

// Ensure that each call of a directory is told once, as what it was, and that answers are no failures.
func TestObserveDirectory(t *testing.T) {
	var l told
	s, err := Open(t.Context(), Config{Type: "filesystem", Path: t.TempDir(), Observe: l.observe})
	if err != nil {
		t.Fatal(err)
	}
	b, ctx, once := s.Bucket(), t.Context(), &blob.WriterOptions{IfNotExist: true}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(b.WriteAll(ctx, "a", []byte("one"), once))
	l.want(t, "create", "write ")
	if err := b.WriteAll(ctx, "a", []byte("two"), once); !s.Exists(err) {
		t.Error(err)
	}
	l.want(t, "create again", "write ")
	if got, err := b.ReadAll(ctx, "a"); string(got) != "one" || err != nil {
		t.Error(got, err)
	}
	l.want(t, "read", "read ")
	if _, err := b.ReadAll(ctx, "b"); !s.NoSuchKey(err) {
		t.Error(err)
	}
	l.want(t, "read what is not there", "read ")
	if got, err := s.ReadRange(ctx, "a", 1, 1); string(got) != "n" || err != nil {
		t.Error(got, err)
	}
	_, version, err := s.Load(ctx, "a")
	check(err)
	check(s.Replace(ctx, "a", version, []byte("three")))
	if err := s.Replace(ctx, "a", version, []byte("four")); !s.Changed(err) {
		t.Error(err)
	}
	l.want(t, "the rest of a store", "read ", "read ", "write ", "write ")
	if _, err := b.List(nil).Next(ctx); err != nil {
		t.Error(err)
	}
	_, err = b.Attributes(ctx, "a")
	check(err)
	check(b.Delete(ctx, "a"))
	l.want(t, "the rest of a bucket", "list ", "stat ", "delete ")
	if err := b.WriteAll(ctx, "a/"+string(make([]byte, 300)), []byte("x"), nil); err == nil {
		t.Error("a name that can't be was taken")
	}
	l.want(t, "a name that can't be", "write refused")

	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := b.ReadAll(gone, "a"); err == nil {
		t.Error("read in no time")
	}
	l.want(t, "who has gone away")
	check(s.Close())
}

// means is a meaning of errors by their text.
type means struct{}

func (means) Exists(err error) bool    { return err.Error() == "exists" }
func (means) NoSuchKey(err error) bool { return err.Error() == "no such key" }
func (means) Changed(err error) bool   { return err.Error() == "changed" }
func (means) Definite(err error) bool  { return err.Error() == "refused" || err.Error() == "full" }
func (means) Fatal(err error) bool     { return err.Error() == "fatal" }
func (means) full(err error) bool      { return err.Error() == "full" }

func TestFailure(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Failure
	}{
		{nil, ""}, {io.EOF, ""}, {errors.New("exists"), ""}, {errors.New("no such key"), ""}, {errors.New("changed"), ""},
		{errors.New("fatal"), FailFatal}, {errors.New("full"), FailFull}, {errors.New("refused"), FailRefused}, {errors.New("?"), FailUnknown},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), FailTimeout},
		{fmt.Errorf("read: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), FailUnreachable},
	} {
		if got := failure(means{}, c.err); got != c.want {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

// Ensure that calls of S3 are told by what the store answered at last.
func TestObserveS3(t *testing.T) {
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	var l told
	c := S3{Endpoint: server.URL, Bucket: "b", AccessKey: "a", SecretKey: "s"}
	client, err := c.client(t.Context(), &clock{}, l.observe)
	if err != nil {
		t.Fatal(err)
	}
	key := "k"
	get := func() { _, _ = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.Bucket, Key: &key}) }
	put := func() { _, _ = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &c.Bucket, Key: &key}) }
	code := func(s string) string { return "<Error><Code>" + s + "</Code></Error>" }
	for _, a := range []struct {
		call   func()
		status int
		body   string
		want   string
	}{
		{get, 200, "x", "read "},
		{get, 404, code("NoSuchKey"), "read "},
		{get, 404, code("NoSuchBucket"), "read refused"},
		{get, 416, code("InvalidRange"), "read "},
		{get, 403, code("AccessDenied"), "read refused"},
		{put, 200, "", "write "},
		{put, 412, code("PreconditionFailed"), "write "},
		{put, 507, code("Full"), "write full"},
		{put, 500, code("InternalError"), "write unknown"},
		{func() { _, _ = client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &c.Bucket, Key: &key}) }, 404, "", "stat "},
		{func() { _, _ = client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &c.Bucket}) }, 200, "<ListBucketResult/>", "list "},
		{func() {
			_, _ = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &c.Bucket, Key: &key})
		}, 204, "", "delete "},
	} {
		status, body = a.status, a.body
		a.call()
		l.want(t, fmt.Sprint(a.status, a.body), a.want)
	}
	server.Close()
	get()
	l.want(t, "a server that is gone", "read unreachable")
}
