package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob/driver"
)

var (
	errExists    = errors.New("the key exists")
	errNoSuchKey = errors.New("no such key")
	errChanged   = errors.New("the object has another version")
	errRefused   = errors.New("the store refuses")
	errCut       = errors.New("the connection was cut")
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
	objects map[string]stored
	keys    []string // sorted
}

type stored struct {
	data []byte
	mod  time.Time
}

func (o stored) version() string {
	h := sha256.Sum256(o.data)
	return hex.EncodeToString(h[:])
}

func newBucket(now func() time.Time) *bucket {
	return &bucket{now: now, objects: map[string]stored{}}
}

// answer is what the store says to a request.
type answer struct {
	err     error
	date    time.Time // of the answer, by the store
	object  stored    // of a get
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
		return answer{err: errNoSuchKey, date: b.date()}
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
		return answer{err: errExists, date: b.date()}
	case c.version != "" && !there:
		return answer{err: errNoSuchKey, date: b.date()}
	case c.version != "" && c.version != before.version():
		return answer{err: errChanged, date: b.date()}
	}
	if !there {
		at, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.objects[key] = stored{data: slices.Clone(data), mod: b.date()}
	switch {
	case b.witness == nil:
	case there:
		b.witness.overwritten(key, before.data, data)
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
		return answer{err: errNoSuchKey, date: b.date()}
	}
	at, _ := slices.BinarySearch(b.keys, key)
	b.keys = slices.Delete(b.keys, at, at+1)
	delete(b.objects, key)
	if b.witness != nil {
		b.witness.deleted(key, before.data)
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
	last := ""
	for _, k := range b.keys {
		if !strings.HasPrefix(k, o.Prefix) {
			continue
		}
		e := &driver.ListObject{Key: k, Size: int64(len(b.objects[k].data)), ModTime: b.objects[k].mod}
		if i := strings.Index(k[len(o.Prefix):], o.Delimiter); o.Delimiter != "" && i >= 0 {
			e = &driver.ListObject{Key: k[:len(o.Prefix)+i+len(o.Delimiter)], IsDir: true}
		}
		if e.Key <= string(o.PageToken) || e.Key == last {
			continue
		}
		if len(a.entries) == n {
			a.next = []byte(last)
			return a
		}
		last = e.Key
		a.entries = append(a.entries, e)
	}
	return a
}
