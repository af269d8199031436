package faultblob

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bucket is a set of objects in memory.
type Bucket struct {
	mu      sync.Mutex
	objects map[string]object
	keys    []string // sorted
	broken  []string
	merges  bool // allowed
}

type object struct {
	data []byte
	mod  time.Time
}

// New returns an empty bucket.
func New() *Bucket { return &Bucket{objects: map[string]object{}} }

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
	return o.data, ok
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
	b.objects[key] = object{data: slices.Clone(data), mod: time.Now()}
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
		return errExists
	case version == "":
	case !ok:
		return errNoSuchKey
	case versionOf(o.data) != version:
		return errChanged
	}
	b.set(key, data)
	return nil
}

func versionOf(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// page returns up to n keys after the one given, or the folders that the delimiter makes of them.
func (b *Bucket) page(prefix, delimiter, after string, n int) (entries []entry, next string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := ""
	for _, k := range b.keys {
		if !strings.HasPrefix(k, prefix) {
			continue
		}
		e := entry{key: k, size: int64(len(b.objects[k].data)), mod: b.objects[k].mod}
		if i := strings.Index(k[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			e = entry{key: k[:len(prefix)+i+len(delimiter)], folder: true}
		}
		if e.key <= after || e.key == last {
			continue
		}
		if len(entries) == n {
			return entries, last
		}
		last = e.key
		entries = append(entries, e)
	}
	return entries, ""
}

type entry struct {
	key    string
	folder bool
	size   int64
	mod    time.Time
}
