package bucket_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// TestOpenMistakes: each mistake in the configuration is one sentence.
func TestOpenMistakes(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	for _, c := range []struct {
		config bucket.Config
		want   string
	}{
		{bucket.Config{}, `the storage type must be filesystem, s3 or memory, not ""`},
		{bucket.Config{Type: "S3"}, `the storage type must be filesystem, s3 or memory, not "S3"`},
		{bucket.Config{Type: "filesystem"}, "the storage path is empty: name a directory (STORAGE_PATH)"},
		{bucket.Config{Type: "s3"}, "no S3 bucket is named (S3_BUCKET)"},
		{bucket.Config{Type: "s3", S3: bucket.S3{Bucket: "b", AccessKey: "a"}}, "S3_ACCESS_KEY and S3_SECRET_KEY must be given together, or neither"},
		{bucket.Config{Type: "s3", S3: bucket.S3{Bucket: "b", Endpoint: "minio:9000"}}, `the S3 endpoint must be a URL such as https://s3.example.com (S3_ENDPOINT), not "minio:9000"`},
		{bucket.Config{Type: "s3", S3: bucket.S3{Bucket: "b", AccessKey: "a", SecretKey: "s"}}, "no S3 region is named (S3_REGION), and the AWS configuration has none"},
		{bucket.Config{Type: "s3", S3: bucket.S3{Bucket: "b", Endpoint: "http://127.0.0.1:1"}}, `the S3 bucket "b" at http://127.0.0.1:1 cannot be used: no credentials were found: give S3_ACCESS_KEY and S3_SECRET_KEY, or what the AWS SDK looks for`},
	} {
		s, err := bucket.Open(t.Context(), c.config)
		if err == nil {
			s.Close()
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v\nwant %s", c.config, err, c.want)
		}
	}
}

// TestProbe: a bucket that would fork the log, or that nobody could read to its end, is not opened, and
// the sentence says what to do. A good one is opened and nothing of the probe is left in it.
func TestProbe(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	p := startProxy(t, server)
	name := server.NewBucket(t)
	cannot := fmt.Sprintf("the S3 bucket %q at %s cannot be used: ", name, p.server.URL)
	for _, c := range []struct {
		name   string
		method string
		answer answer
		want   string
	}{
		{"ignores If-None-Match", "PUT", unsigned(p, "If-None-Match"), "it ignores If-None-Match, so that two servers would overwrite each other's events: use a store with conditional writes"},
		{"ignores If-Match", "PUT", unsigned(p, "If-Match"), "it ignores If-Match, so that two servers would overwrite each other's changes: use a store with conditional writes"},
		{"does not know conditions", "PUT", says(501, "NotImplemented"), "it does not know conditional writes (If-None-Match), without which two servers would overwrite each other's events"},
		{"no ListBucket", "GET", says(403, "AccessDenied"), "a read of a missing object is refused with 403: grant s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject on its objects"},
		{"no PutObject", "PUT", says(403, "AccessDenied"), "a write is refused with 403: grant s3:PutObject on its objects"},
		{"no such bucket", "GET", says(404, "NoSuchBucket"), "there is no such bucket"},
		{"404 without a code", "GET", says(404, ""), "a missing object is answered with 404 but not NoSuchKey (404 NotFound): this is no S3 endpoint, or something between changes its answers"},
		{"wrong key", "GET", says(403, "InvalidAccessKeyId"), "the access key or the secret key is wrong (InvalidAccessKeyId)"},
		{"another region", "GET", says(301, "PermanentRedirect"), "it is in another region: name it (S3_REGION)"},
		{"wrong clock", "GET", says(403, "RequestTimeTooSkewed"), "the clocks of this machine and of S3 differ too much"},
		{"broken", "", says(500, "InternalError"), "it answers 500 InternalError"},
		{"cut off", "", cut, "it does not answer: EOF"},
	} {
		p.all(c.method, c.answer)
		s, err := bucket.Open(t.Context(), bucket.Config{Type: "s3", S3: p.config(server, name)})
		if err == nil {
			s.Close()
		}
		if err == nil || err.Error() != cannot+c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, cannot+c.want)
		}
	}
	p.do.Store(nil)
	s := mustOpen(t, bucket.Config{Type: "s3", S3: p.config(server, name)})
	objects, _, err := s.Bucket().ListPage(t.Context(), blob.FirstPageToken, 10, nil)
	if err != nil || len(objects) > 0 {
		t.Errorf("the probe leaves %d objects, such as %v, %v", len(objects), objects, err)
	}
	for _, wrong := range []bucket.S3{
		{Endpoint: server.Endpoint, Bucket: "nobody-has-this", AccessKey: server.AccessKey, SecretKey: server.SecretKey},
		{Endpoint: server.Endpoint, Bucket: name, AccessKey: server.AccessKey, SecretKey: "wrong"},
	} {
		_, err := bucket.Open(t.Context(), bucket.Config{Type: "s3", S3: wrong})
		if err == nil || !strings.HasSuffix(err.Error(), "there is no such bucket") && !strings.HasSuffix(err.Error(), "is wrong (SignatureDoesNotMatch)") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// unsigned makes a store ignore a header. Since it is signed, the request is answered by a store of the
// test's own that keeps no condition: it takes every write.
func unsigned(p *proxy, header string) answer {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if r.Header.Get(header) == "" {
			pass.ServeHTTP(w, r)
			return
		}
		w.Header().Set("ETag", `"0123"`)
		w.WriteHeader(http.StatusOK)
	}
}

// TestUnanswered: a bucket that never answers is an error after 8 s, and is not tried again and again.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := bucket.S3{Endpoint: "http://" + l.Addr().String(), Bucket: "b", AccessKey: "a", SecretKey: "s"}
	began := time.Now()
	_, err = bucket.Open(context.Background(), bucket.Config{Type: "s3", S3: c})
	want := fmt.Sprintf("the S3 bucket %q at %s cannot be used: it does not answer (nothing within 8s)", c.Bucket, c.Endpoint)
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if took := time.Since(began); took > 16*time.Second {
		t.Errorf("it took %v", took)
	}
	l.Close()
	_, err = bucket.Open(context.Background(), bucket.Config{Type: "s3", S3: c})
	if want := fmt.Sprintf("the S3 bucket %q at %s cannot be used: it does not answer: connection refused", c.Bucket, c.Endpoint); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestKinds: what a Store says of itself, and that a directory is free again once closed.
func TestKinds(t *testing.T) {
	path := t.TempDir()
	for range 2 {
		s, err := bucket.Open(t.Context(), bucket.Config{Type: "filesystem", Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind() != "filesystem" || s.Shared() {
			t.Errorf("kind %q, shared %v", s.Kind(), s.Shared())
		}
		if _, err := bucket.Open(t.Context(), bucket.Config{Type: "filesystem", Path: path}); err == nil {
			t.Error("a directory was opened twice")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	m := bucket.NewMemory()
	one, two := m.Store(true), m.Store(true)
	if one.Kind() != "memory" || !one.Shared() || m.Store(false).Shared() {
		t.Errorf("kind %q, shared %v", one.Kind(), one.Shared())
	}
	if err := one.Bucket().WriteAll(t.Context(), "a", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	one.Close()
	if data, err := two.Bucket().ReadAll(t.Context(), "a"); err != nil || string(data) != "x" {
		t.Errorf("a second store on the memory reads %q, %v", data, err)
	}
}

// Ensure that a directory can be read beside the process that holds it, and that nothing is changed or
// made that way.
func TestReadOnlyDirectory(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	writer, err := bucket.Open(ctx, bucket.Config{Type: "filesystem", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := writer.Bucket().WriteAll(ctx, "a/b", []byte("text"), nil); err != nil {
		t.Fatal(err)
	}
	reader, err := bucket.Open(ctx, bucket.Config{Type: "filesystem", Path: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if data, err := reader.Bucket().ReadAll(ctx, "a/b"); err != nil || string(data) != "text" {
		t.Errorf("read %q, %v", data, err)
	}
	if _, err := reader.Bucket().ReadAll(ctx, "a/c"); !reader.NoSuchKey(err) {
		t.Errorf("a missing object: %v", err)
	}
	for name, err := range map[string]error{
		"write":   reader.Bucket().WriteAll(ctx, "a/c", nil, nil),
		"delete":  reader.Bucket().Delete(ctx, "a/b"),
		"replace": reader.Replace(ctx, "a/d", "", nil),
	} {
		if !reader.Definite(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bucket.Open(ctx, bucket.Config{Type: "filesystem", Path: dir + "/none", ReadOnly: true}); err == nil {
		t.Error("a directory that does not exist was opened")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 { // a, .lock, .tmp
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}
