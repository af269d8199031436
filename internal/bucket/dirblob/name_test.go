package dirblob

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPathOfKey(t *testing.T) {
	for _, c := range []struct{ key, path string }{
		// Keys of the layout, and all that can be a path, are their own path.
		{"events/exchange=home/2026/02/01/0123-4.jsonl", "events/exchange=home/2026/02/01/0123-4.jsonl"},
		{"executors/exchange=home/Küche 100%.json", "executors/exchange=home/Küche 100%.json"},
		{"a/b%2Fc/%C3%A9/%0a", "a/b%2Fc/%C3%A9/%0a"},
		{"a/.tmp/.lock/...", "a/.tmp/.lock/..."},
		{`a\b`, `a\b`},
		// Those that cannot.
		{"a\nb", "a%0Ab"},
		{"a%0Ab", "a%250Ab"},
		{"a%250Ab", "a%25250Ab"},
		{"/a", "%/a"},
		{"a//b", "a/%/b"},
		{"a/", "a/%"},
		{"a/%", "a/%%"},
		{"./../.%", ".%/..%/.%%"},
		// The driver's own names, in any case, at the top.
		{".tmp/x", ".tmp%/x"},
		{".Tmp", ".Tmp%"},
		{".tmp%", ".tmp%%"},
		{".lock", ".lock%"},
		{".loc\u212A", ".loc\u212A%"}, // the Kelvin sign is a k to some file systems
		{".probe", ".probe%"},
		// Names that others wrote with bytes that no key can have.
		{"a\uFFFDE9b", "a\xE9b"},
		{"a\uFFFD0A", "a\n"},
		{"a\uFFFD000A", "a\uFFFD0A"},
		{"a\uFFFDx", "a\uFFFDx"},
	} {
		path, ok := pathOf(c.key)
		if !ok || path != c.path {
			t.Errorf("path of %q: %q, %v; want %q", c.key, path, ok, c.path)
		}
		if key := keyOf(c.path); key != c.key {
			t.Errorf("key of %q: %q; want %q", c.path, key, c.key)
		}
	}
	for _, key := range []string{"", "\uFFFDC3\uFFFDA9"} {
		if path, ok := pathOf(key); ok {
			t.Errorf("key %q has the path %q", key, path)
		}
	}
}

// keyOf is what a listing does with a path.
func keyOf(path string) string {
	names := strings.Split(path, "/")
	for i, n := range names {
		names[i] = elementOf(n, i == 0)
	}
	return strings.Join(names, "/")
}

var nameSeeds = []string{"a", "%", "%25", "%0A", "%250A", "a\x00", "__%0A%", ".", "..", ".%", ".tmp", ".tmp%",
	"\uFFFD", "\uFFFDE9", "\uFFFD00E9", "\uFFFD00", "\xE9", "\xC3\xA9", "\xC3\xC3\xA9", "%\n25", "\uFFFD\x01"}

// FuzzKey: a key that has a path is read back from it, so no two keys share one, and the path is one.
func FuzzKey(f *testing.F) {
	for _, s := range nameSeeds {
		f.Add(s)
		f.Add("a/" + s + "/b")
	}
	f.Fuzz(func(t *testing.T, key string) {
		path, ok := pathOf(key)
		if !ok || !utf8.ValidString(key) {
			return
		}
		if got := keyOf(path); got != key {
			t.Errorf("key %q is the path %q, which is the key %q", key, path, got)
		}
		for i, name := range strings.Split(path, "/") {
			if name == "" || name == "." || name == ".." || i == 0 && reserved(name) || strings.ContainsRune(name, 0) {
				t.Errorf("key %q is the path %q, which is none", key, path)
			}
		}
	})
}

// FuzzName: every file name that can be is listed under a key that reads it back.
func FuzzName(f *testing.F) {
	for _, s := range nameSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return
		}
		for _, path := range []string{name, "a/" + name} {
			if path == name && (reserved(name) || name == "%") {
				continue
			}
			key := keyOf(path)
			if !utf8.ValidString(key) {
				t.Errorf("path %q has the key %q, which is no UTF-8", path, key)
			}
			if got, ok := pathOf(key); !ok || got != path {
				t.Errorf("path %q is the key %q, which is the path %q, %v", path, key, got, ok)
			}
		}
	})
}
