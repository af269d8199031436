package faultblob

import (
	"context"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
)

// calls are a Store's, each with the fault that befalls it.
type calls struct{ s *Store }

func (c calls) object(key string) (callblob.Object, error) {
	c.s.bucket.mu.Lock()
	defer c.s.bucket.mu.Unlock()
	o, ok := c.s.bucket.objects[key]
	if !ok {
		return callblob.Object{}, callblob.ErrNoSuchKey
	}
	return o, nil
}

func (c calls) Stat(ctx context.Context, key string) (callblob.Object, error) {
	if f := c.s.fault(ctx, Op{Kind: Attributes, Key: key}); f != None {
		return callblob.Object{}, f.readError()
	}
	return c.object(key)
}

func (c calls) Get(ctx context.Context, key string, _ int64) (callblob.Object, error) {
	op := Op{Kind: Get, Key: key}
	f := c.s.fault(ctx, op)
	if f != None && f != Cut {
		return callblob.Object{}, f.readError()
	}
	o, err := c.object(key)
	carriedOut(ctx)
	c.s.answer(ctx, op)
	if err == nil && f == Cut {
		err = callblob.ErrCut
	}
	return o, err
}

func (c calls) List(ctx context.Context, o *driver.ListOptions) ([]*driver.ListObject, []byte, error) {
	if f := c.s.fault(ctx, Op{Kind: List, Key: o.Prefix}); f != None {
		return nil, nil, f.readError()
	}
	page, next := c.s.bucket.list(o)
	return page, next, nil
}

func (c calls) Put(ctx context.Context, key string, data []byte, absent bool) error {
	return c.s.write(ctx, Op{Kind: Put, Key: key, Data: data}, func() error {
		if !absent {
			c.s.bucket.overwrite(key, data)
		} else if !c.s.bucket.create(key, data) {
			return callblob.ErrExists
		}
		return nil
	})
}

func (c calls) Delete(ctx context.Context, key string) error {
	return c.s.write(ctx, Op{Kind: Delete, Key: key}, func() error {
		if !c.s.bucket.remove(key) {
			return callblob.ErrNoSuchKey
		}
		return nil
	})
}
