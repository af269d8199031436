//go:build !js

package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// Limits of a call to S3. The log repeats what stays unknown, so the SDK need not try for long.
const (
	dialLimit     = 5 * time.Second
	answerLimit   = 20 * time.Second // from the end of the request to the first byte of the answer
	attemptLimit  = time.Minute      // all of an attempt, bodies included
	maxAttempts   = 3
	maxBackoff    = 500 * time.Millisecond
	maxConnection = 64 // kept open
)

// s3Bucket is a backend on S3.
type s3Bucket struct {
	bucket *blob.Bucket
	name   string
	where  string // for messages
	clock  *clock
}

func openS3(ctx context.Context, c S3, readOnly bool, observe Observe) (*Store, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &s3Bucket{name: c.Bucket, where: c.Endpoint, clock: &clock{}}
	if s.where == "" {
		s.where = "AWS"
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	client, err := c.client(ctx, s.clock, observe)
	if err != nil {
		return nil, err
	}
	options := &s3blob.Options{}
	if c.Endpoint != "" {
		options.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}
	if s.bucket, err = s3blob.OpenBucket(ctx, client, c.Bucket, options); err != nil {
		return nil, err
	}
	probe := s.probe
	if readOnly {
		probe = s.probeReading
	}
	if err := probe(ctx); err != nil {
		s.bucket.Close()
		return nil, err
	}
	return &Store{backend: s, kind: "s3", bucket: s.bucket, shared: true, close: s.bucket.Close}, nil
}

func (c S3) check() error {
	if c.Bucket == "" {
		return errors.New("no S3 bucket is named (S3_BUCKET)")
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("S3_ACCESS_KEY and S3_SECRET_KEY must be given together, or neither")
	}
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("the S3 endpoint must be a URL such as https://s3.example.com (S3_ENDPOINT), not %q", c.Endpoint)
	}
	return nil
}

// newTransport keeps the SDK's own type of client, to which AWS_CA_BUNDLE and the like still apply.
func newTransport() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithTimeout(attemptLimit).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialLimit }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = dialLimit
			t.ResponseHeaderTimeout = answerLimit
			t.MaxIdleConns, t.MaxIdleConnsPerHost = maxConnection, maxConnection
		})
}

func (c S3) client(ctx context.Context, clock *clock, observe Observe) (*s3.Client, error) {
	region := c.Region
	if region == "" && c.Endpoint != "" {
		region = "auto"
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(newTransport()),
		config.WithLogger(logging.Nop{}),
		config.WithRegion(region), // "" leaves it to the SDK
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff, o.RateLimiter = maxAttempts, maxBackoff, ratelimit.None
			})
		}),
	}
	if c.AccessKey != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %s", reason(err))
	}
	if cfg.Region == "" {
		return nil, errors.New("no S3 region is named (S3_REGION), and the AWS configuration has none")
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		if c.Endpoint != "" {
			// Other servers than AWS may not know the checksums that the SDK adds by itself.
			o.BaseEndpoint, o.UsePathStyle = &c.Endpoint, true
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			if _, sent := stack.Finalize.Get("Retry"); !sent {
				return nil // a URL is only signed
			}
			return errors.Join(
				stack.Initialize.Add(middleware.InitializeMiddlewareFunc("WatchCall", observe.watchCall), middleware.Before),
				stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoStore", noStore), middleware.After),
				stack.Finalize.Insert(watchAttempt(clock), "Retry", middleware.After),
			)
		})
	}), nil
}

// noStore forbids caches between here and the bucket to keep any object: a day's first object is
// overwritten when the day is merged, and a missing one appears.
func noStore(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch p := in.Parameters.(type) {
	case *s3.PutObjectInput:
		if p.CacheControl == nil {
			p.CacheControl = aws.String("no-store")
		}
	case *s3.CreateMultipartUploadInput:
		if p.CacheControl == nil {
			p.CacheControl = aws.String("no-store")
		}
	}
	return next.HandleInitialize(ctx, in)
}

// ListAfter: S3 heeds StartAfter on the first page, and goes on from there.
func (*s3Bucket) ListAfter(prefix, key string) *blob.ListOptions {
	return &blob.ListOptions{Prefix: prefix, BeforeList: func(as func(any) bool) error {
		var in *s3.ListObjectsV2Input
		if !as(&in) {
			return errors.New("the S3 driver takes no key to start after")
		}
		in.StartAfter = &key
		return nil
	}}
}

func (s *s3Bucket) Now() time.Time { return s.clock.now() }

func (*s3Bucket) Dated(ctx context.Context) (context.Context, func() time.Time) { return withDate(ctx) }

// ReadRange: S3 refuses a range that begins behind the end.
func (s *s3Bucket) ReadRange(ctx context.Context, key string, start, length int64) ([]byte, error) {
	data, err := ReadRange(ctx, s.bucket, key, start, length)
	var answer *smithyhttp.ResponseError
	if err != nil && s.bucket.ErrorAs(err, &answer) && answer.HTTPStatusCode() == http.StatusRequestedRangeNotSatisfiable {
		return nil, nil
	}
	return data, err
}

// Load: the version is the ETag of the very answer that carried the content.
func (s *s3Bucket) Load(ctx context.Context, key string) (_ []byte, version string, err error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	var answer s3.GetObjectOutput
	if !r.As(&answer) || aws.ToString(answer.ETag) == "" {
		return nil, "", fmt.Errorf("loading %q: the answer has no ETag", key)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, "", fmt.Errorf("loading %q: %w", key, err)
	}
	if int64(len(data)) != r.Size() {
		return nil, "", fmt.Errorf("loading %q: %w", key, io.ErrUnexpectedEOF)
	}
	return data, *answer.ETag, nil
}

func (s *s3Bucket) Replace(ctx context.Context, key, version string, data []byte) error {
	o := &blob.WriterOptions{IfNotExist: version == "", ContentType: "application/octet-stream"}
	if path.Ext(key) == ".json" {
		o.ContentType = "application/json"
	}
	if version == "" {
		return s.bucket.WriteAll(ctx, key, data, o)
	}
	o.BeforeWrite = func(as func(any) bool) error {
		var in *transfermanager.UploadObjectInput
		if !as(&in) {
			return errors.New("the S3 driver takes no condition")
		}
		in.IfMatch = &version
		return nil
	}
	err := s.bucket.WriteAll(ctx, key, data, o)
	if answers(err, http.StatusPreconditionFailed, "PreconditionFailed") {
		return &changedError{err}
	}
	return err
}

// Settle: what S3 shows is durable.
func (*s3Bucket) Settle(context.Context, string) error { return nil }

// Spelling: S3 tells cases apart, and so does every server that keeps its rules.
func (*s3Bucket) Spelling(context.Context, string, string) (string, error) { return "", nil }
