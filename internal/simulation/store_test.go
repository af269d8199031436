package simulation

import (
	"slices"
	"sync"
	"time"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
)

// bucket is the store itself: objects in memory, and a clock of its own. It tells its witness of every
// change, before anyone else learns of it.
type bucket struct {
	now     func() time.Time
	witness interface { // nil for nobody
		created(key string, data []byte)
		overwritten(key string, before, data []byte)
		deleted(key string, before []byte)
	}

	mu      sync.Mutex
	objects map[string]callblob.Object
	keys    []string // sorted
}

func newBucket(now func() time.Time) *bucket {
	return &bucket{now: now, objects: map[string]callblob.Object{}}
}

// answer is what the store says to a request.
type answer struct {
	err     error
	date    time.Time       // of the answer, by the store
	object  callblob.Object // of a get
	entries []*driver.ListObject
	next    []byte // token of the page after this one
}

// date is the store's time as its answers have it, in whole seconds.
func (b *bucket) date() time.Time { return b.now().Truncate(time.Second) }

func (b *bucket) get(key string) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[key]
	if !ok {
		return answer{err: callblob.ErrNoSuchKey, date: b.date()}
	}
	return answer{object: o, date: b.date()}
}

// condition is what a put asks of the object before it. The zero value asks nothing.
type condition struct {
	absent  bool
	version string
}

func (b *bucket) put(key string, data []byte, c condition) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, there := b.objects[key]
	switch {
	case c.absent && there:
		return answer{err: callblob.ErrExists, date: b.date()}
	case c.version != "" && !there:
		return answer{err: callblob.ErrNoSuchKey, date: b.date()}
	case c.version != "" && c.version != before.ETag:
		return answer{err: callblob.ErrChanged, date: b.date()}
	}
	if !there {
		at, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.objects[key] = callblob.Object{Data: slices.Clone(data), Mod: b.date(), ETag: callblob.Version(data)}
	switch {
	case b.witness == nil:
	case there:
		b.witness.overwritten(key, before.Data, data)
	default:
		b.witness.created(key, data)
	}
	return answer{date: b.date()}
}

func (b *bucket) delete(key string) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, there := b.objects[key]
	if !there {
		return answer{err: callblob.ErrNoSuchKey, date: b.date()}
	}
	at, _ := slices.BinarySearch(b.keys, key)
	b.keys = slices.Delete(b.keys, at, at+1)
	delete(b.objects, key)
	if b.witness != nil {
		b.witness.deleted(key, before.Data)
	}
	return answer{date: b.date()}
}

// list returns a page of the keys, or of the folders that the delimiter makes of them.
func (b *bucket) list(o *driver.ListOptions) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := o.PageSize
	if n == 0 {
		n = 24 // few, so that the pages of one listing are of several moments
	}
	a := answer{date: b.date()}
	a.entries, a.next = callblob.Page(o, b.keys, n, func(key string) callblob.Object { return b.objects[key] })
	return a
}
