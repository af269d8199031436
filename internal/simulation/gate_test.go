package simulation

import (
	"context"
	"sync/atomic"
	"time"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
)

// kind is what a request does.
type kind string

const (
	kindPut    kind = "put"
	kindGet    kind = "get"
	kindList   kind = "list"
	kindDelete kind = "delete"
)

func (k kind) writes() bool { return k == kindPut || k == kindDelete }

// request is a call of the store on its way.
type request struct {
	kind     kind
	key      string        // the prefix of a list
	from     int64         // of a get: the first byte
	evaluate func() answer // carries it out at the store, as it is then
}

// gate is where requests and answers wait to be let on.
type gate interface {
	// pass returns the answer, or the context's error: whoever sent the request no longer waits then,
	// and it may still be carried out.
	pass(ctx context.Context, v *view, r request) answer
}

// view is a process's way to the bucket: all that the log and the engine ask of a storage type.
type view struct {
	callblob.Portal
	bucket *bucket
	gate   gate // nil: every request is answered at once
	clock  func() time.Time
	number int // of its replica
}

func newView(b *bucket, g gate, number int, clock func() time.Time) *view {
	v := &view{bucket: b, gate: g, clock: clock, number: number}
	v.Portal = callblob.Open(calls{v})
	return v
}

func (v *view) pass(ctx context.Context, r request) answer {
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	var a answer
	if v.gate == nil {
		a = r.evaluate()
	} else {
		a = v.gate.pass(ctx, v, r)
	}
	if date, ok := ctx.Value(dateKey{}).(*atomic.Pointer[time.Time]); ok {
		date.Store(&a.date)
	}
	return a
}

func (v *view) put(ctx context.Context, key string, data []byte, c condition) error {
	return v.pass(ctx, request{kind: kindPut, key: key, evaluate: func() answer { return v.bucket.put(key, data, c) }}).err
}

func (v *view) Fatal(error) bool { return false }
func (v *view) Shared() bool     { return true }
func (v *view) Now() time.Time   { return v.clock() }

type dateKey struct{}

// Dated tells the store's time of an answer, as its Date header would.
func (v *view) Dated(ctx context.Context) (context.Context, func() time.Time) {
	date := new(atomic.Pointer[time.Time])
	return context.WithValue(ctx, dateKey{}, date), func() time.Time {
		if t := date.Load(); t != nil {
			return *t
		}
		return time.Time{}
	}
}

func (v *view) Settle(context.Context, string) error { return nil }

func (v *view) Spelling(context.Context, string, string) (string, error) { return "", nil }

func (v *view) Load(ctx context.Context, key string) ([]byte, string, error) {
	data, err := v.Bucket().ReadAll(ctx, key)
	if err != nil {
		return nil, "", err
	}
	return data, callblob.Version(data), nil
}

func (v *view) Replace(ctx context.Context, key, version string, data []byte) error {
	return v.put(ctx, key, data, condition{absent: version == "", version: version})
}

// get asks for an object, of which the bytes from one on are wanted.
func (v *view) get(ctx context.Context, key string, from int64) answer {
	return v.pass(ctx, request{kind: kindGet, key: key, from: from, evaluate: func() answer { return v.bucket.get(key) }})
}

// calls are a view's, each passing the gate.
type calls struct{ v *view }

func (c calls) Get(ctx context.Context, key string, from int64) (callblob.Object, error) {
	a := c.v.get(ctx, key, from)
	return a.object, a.err
}

func (c calls) Stat(ctx context.Context, key string) (callblob.Object, error) {
	return c.Get(ctx, key, 0)
}

func (c calls) List(ctx context.Context, o *driver.ListOptions) ([]*driver.ListObject, []byte, error) {
	a := c.v.pass(ctx, request{kind: kindList, key: o.Prefix, evaluate: func() answer { return c.v.bucket.list(o) }})
	return a.entries, a.next, a.err
}

func (c calls) Put(ctx context.Context, key string, data []byte, absent bool) error {
	return c.v.put(ctx, key, data, condition{absent: absent})
}

func (c calls) Delete(ctx context.Context, key string) error {
	return c.v.pass(ctx, request{kind: kindDelete, key: key, evaluate: func() answer { return c.v.bucket.delete(key) }}).err
}
