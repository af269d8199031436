//go:build js

package r2blob_test

import (
	"context"
	"syscall/js"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/bucket/buckettest"
	"github.com/mess-exchange/mess-exchange/internal/promise"
)

// TestR2 runs the suite on the binding that the worker around this program has (deploy/cloudflare/test). It runs
// at the size it has on S3: 20 keys raced for by 200, and a listing of more than two of R2's pages.
func TestR2(t *testing.T) {
	binding := js.Global().Get("mess").Get("env").Get("BUCKET")
	if binding.IsUndefined() {
		t.Fatal("there is no bucket: this test runs inside workerd")
	}
	buckettest.Run(t, func(tb testing.TB) buckettest.Store {
		tb.Helper()
		empty(tb, binding)
		s, err := bucket.OpenR2(tb.Context(), binding)
		if err != nil {
			tb.Fatal(err)
		}
		empty(tb, binding) // of the probe's object
		tb.Cleanup(func() {
			if err := s.Close(); err != nil {
				tb.Error(err)
			}
		})
		return s
	}, buckettest.Options{Races: 20, Keys: 2100})
}

// empty deletes every object, past the driver.
func empty(tb testing.TB, binding js.Value) {
	tb.Helper()
	for {
		listed, err := promise.Call(context.Background(), binding, "list")
		if err != nil {
			tb.Fatal(err)
		}
		objects := listed.Get("objects")
		if objects.Length() == 0 {
			return
		}
		var keys []any
		for n := range objects.Length() {
			keys = append(keys, objects.Index(n).Get("key"))
		}
		if _, err := promise.Call(context.Background(), binding, "delete", keys); err != nil {
			tb.Fatal(err)
		}
	}
}
