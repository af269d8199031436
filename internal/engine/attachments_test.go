package engine

import (
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Ensure that what is kept can be read again, whole and in part, and that each attempt has a key of its own.
func TestKeepAttachment(t *testing.T) {
	bucket := faultblob.New()
	store := bucket.Store(false)
	e := launch(t, store)
	enroll(t, e, "home", "agent")
	x := opened(t, e, "home")
	content := bytes.Repeat([]byte("photo"), 1000)
	keys := map[string]bool{}
	for _, ref := range []string{"2026-02-01-XY1Z", "../../etc", "2026-02-01-XY1Z"} {
		a, err := x.keepAttachment(t.Context(), ref, "front door.jpg", "image/jpeg", bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if a.Size != 5000 || a.Type != "image/jpeg" || len(a.SHA256) != 64 || keys[a.Key] || !isAttachmentKey("home", a.Key) {
			t.Errorf("got %+v", a)
		}
		keys[a.Key] = true
		r, err := x.engine.openAttachment(t.Context(), a.Key, 4000, 10)
		if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(r)
		if err != nil || string(part) != "photophoto" || r.Size() != 5000 {
			t.Errorf("got %q of %d, %v", part, r.Size(), err)
		}
		r.Close()
	}
	if _, err := x.engine.openAttachment(t.Context(), newAttachmentKey("home", "", ""), 0, -1); !store.NoSuchKey(err) {
		t.Errorf("a key that nobody has: %v", err)
	}
	broken := errors.New("the client went away")
	_, err := x.keepAttachment(t.Context(), "", "", "image/jpeg", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(bucket.Keys("attachments/")) != len(keys) {
		t.Errorf("a broken source: %v, %v", err, bucket.Keys("attachments/"))
	}
}

// opened returns the open exchange.
func opened(t *testing.T, e *Engine, id string) *running {
	t.Helper()
	x, leave, err := e.find(t.Context(), id, openPatience)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	return x
}

// Ensure that names in keys are those of files on any system, whatever people call them.
func TestNamesInKeys(t *testing.T) {
	for name, want := range map[string]string{
		"photo.jpg": "photo.jpg", "": "", "..": "_", "../../x": "____x", "a b/c.png": "a_b_c.png", "Fön.jpeg": "F_n.jpeg",
		".htaccess": ".htaccess", "x" + strings.Repeat("y", 300) + ".jpg": "x" + strings.Repeat("y", 59) + ".jpg", "a..b": "a_b",
	} {
		if got := nameInKey(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		key := newAttachmentKey("home", "2026-02-01-XY1Z", name)
		if strings.Contains(key, "..") || path.Clean(key) != key || !isAttachmentKey("home", key) || strings.Count(key, "/") != 3 || len(path.Base(key)) > 120 {
			t.Errorf("%q: key %q", name, key)
		}
	}
}
