package capabilities

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// Ensure that a catalogue that does not change lists what a folder with the same files does.
func TestRead(t *testing.T) {
	folder := filepath.Join("..", "..", "capabilities")
	fixed, err := Read(os.DirFS(folder))
	if err != nil {
		t.Fatal(err)
	}
	live := New(folder, nil)
	if all := fixed.List(""); len(all) == 0 || !reflect.DeepEqual([]Capability(all), live.List("")) {
		t.Errorf("got %v, want %v", all, live.List(""))
	}
	tag := fixed[0].Tags[0]
	if some := fixed.List(tag); len(some) == 0 || !reflect.DeepEqual(some, live.List(tag)) {
		t.Errorf("with %q: got %v, want %v", tag, some, live.List(tag))
	}
	if none := fixed.List("no such tag"); len(none) != 0 {
		t.Errorf("of no tag: %v", none)
	}
	if _, err := Read(fstest.MapFS{"bad.yaml": {Data: []byte("id: [")}}); err == nil || !strings.Contains(err.Error(), "bad.yaml") {
		t.Errorf("a broken file: %v", err)
	}
}
