package faultblob

import (
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob/driver"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
)

// Bucket is a set of objects in memory.
type Bucket struct {
	mu      sync.Mutex
	objects map[string]callblob.Object
	keys    []string // sorted
	broken  []string
	merges  bool // allowed
}

// New returns an empty bucket.
func New() *Bucket { return &Bucket{objects: map[string]callblob.Object{}} }

// Broken returns the rules broken so far: an object of a log was overwritten or deleted (but see AllowMerges).
func (b *Bucket) Broken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.broken)
}

// Keys returns the keys with that prefix, sorted.
func (b *Bucket) Keys(prefix string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keys []string
	for _, k := range b.keys {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	return keys
}

// Get returns an object's bytes.
func (b *Bucket) Get(key string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[key]
	return o.Data, ok
}

// Put places an object as a stranger would: whatever is there, and without it being a broken rule.
func (b *Bucket) Put(key string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(key, data)
}

// Remove deletes an object as a stranger would.
func (b *Bucket) Remove(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unset(key)
}

// create stores the object if the key is free, and reports whether it was.
func (b *Bucket) create(key string, data []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; ok {
		return false
	}
	b.set(key, data)
	return true
}

func (b *Bucket) overwrite(key string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; ok && strings.HasPrefix(key, "events/") && !b.mayOverwrite(key, data) {
		b.broken = append(b.broken, "overwritten: "+key)
	}
	b.set(key, data)
}

func (b *Bucket) remove(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; !ok {
		return false
	}
	if strings.HasPrefix(key, "events/") && !b.mayDelete(key) {
		b.broken = append(b.broken, "deleted: "+key)
	}
	b.unset(key)
	return true
}

func (b *Bucket) set(key string, data []byte) {
	if _, ok := b.objects[key]; !ok {
		at, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.objects[key] = callblob.Object{Data: slices.Clone(data), Mod: time.Now(), ETag: `"` + callblob.Version(data) + `"`}
}

func (b *Bucket) unset(key string) {
	delete(b.objects, key)
	if at, ok := slices.BinarySearch(b.keys, key); ok {
		b.keys = slices.Delete(b.keys, at, at+1)
	}
}

// replace overwrites the object if it still has that version; "" creates it.
func (b *Bucket) replace(key, version string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[key]
	switch {
	case version == "" && ok:
		return callblob.ErrExists
	case version == "":
	case !ok:
		return callblob.ErrNoSuchKey
	case callblob.Version(o.Data) != version:
		return callblob.ErrChanged
	}
	b.set(key, data)
	return nil
}

// list returns a page of the keys.
func (b *Bucket) list(o *driver.ListOptions) ([]*driver.ListObject, []byte) {
	n := o.PageSize
	if n == 0 {
		n = 1000
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return callblob.Page(o, b.keys, n, func(key string) callblob.Object { return b.objects[key] })
}
