package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// compareS3 prints how many creates a second one exchange takes in a bucket, against how many objects the
// bucket takes of one connection: on this machine, where server, store and load share its processors, and at
// a distance, as buckets are, where there is time to wait for the store.
func compareS3(o options) (err error) {
	folder, err := os.MkdirTemp("", "mess-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder)
	store, err := s3test.Launch(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	fmt.Println()
	if err := compareBucket(o, store, store.Endpoint, "on this machine"); err != nil {
		return err
	}
	far, err := newDistance(store.Endpoint, o.distance)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, far.Close()) }()
	return compareBucket(o, store, far.endpoint(), o.distance.String()+" away")
}

// compareBucket measures a new bucket of the store, which answers at endpoint.
func compareBucket(o options, store *s3test.Server, endpoint, where string) error {
	bucket, err := store.MakeBucket(context.Background())
	if err != nil {
		return err
	}
	ours, err := start(&place{env: []string{
		"STORAGE_TYPE=s3", "S3_ENDPOINT=" + endpoint, "S3_BUCKET=" + bucket,
		"S3_ACCESS_KEY=" + store.AccessKey, "S3_SECRET_KEY=" + store.SecretKey,
	}}, o.server, "serve")
	if err != nil {
		return err
	}
	defer ours.kill()
	if err := ours.register(); err != nil {
		return err
	}
	client := s3.New(store.Client().Options(), func(options *s3.Options) { options.BaseEndpoint = &endpoint })
	var creates, puts []result
	for range o.rounds {
		r, err := ours.run(measureCreate64, o.span)
		if err != nil {
			return err
		}
		rate, err := putRate(client, bucket, o.span)
		if err != nil {
			return err
		}
		creates, puts = append(creates, r), append(puts, result{rate: rate})
	}
	x, y := median(creates), median(puts)
	fmt.Printf("S3 server %s: %.0f creates/s at %d connections, %.1f times the %.0f single PUTs/s of one connection; p99 %.1f ms\n",
		where, x.rate, measureCreate64.connections, x.rate/y.rate, y.rate, ms(x.p99))
	return nil
}

// putRate is how many new objects of the size of one create a second the bucket takes, one after the other.
func putRate(client *s3.Client, bucket string, span time.Duration) (float64, error) {
	data := make([]byte, 800)
	began, n := time.Now(), 0
	for ; time.Since(began) < span; n++ {
		_, err := client.PutObject(context.Background(), &s3.PutObjectInput{
			Bucket:      &bucket,
			Key:         aws.String(fmt.Sprintf("puts/%d-%09d", began.UnixNano(), n)),
			Body:        bytes.NewReader(data),
			IfNoneMatch: aws.String("*"),
		})
		if err != nil {
			return 0, fmt.Errorf("measure the bucket: %w", err)
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
