package messeaf_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// entry of a zip that is made by hand, so that it can lie.
type entry struct {
	name  string
	body  string
	mode  fs.FileMode
	size  uint64 // announced; 0 for that of body
	flags uint16
	store bool
	crc   uint32 // 0 for that of body
	as    uint16 // method announced; 0 for the right one
}

func pack(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	patch := false
	w := zip.NewWriter(&out)
	for _, e := range entries {
		h := &zip.FileHeader{
			Name: e.name, Method: zip.Deflate, Flags: e.flags, UncompressedSize64: uint64(len(e.body)), CRC32: crc32.ChecksumIEEE([]byte(e.body)),
			Modified: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		}
		packed := []byte(e.body)
		if e.store {
			h.Method = zip.Store
		} else {
			packed = deflate(t, e.body)
		}
		h.CompressedSize64 = uint64(len(packed))
		if e.size != 0 {
			h.UncompressedSize64 = e.size
		}
		if e.crc != 0 {
			h.CRC32 = e.crc
		}
		if e.as != 0 {
			h.Method = e.as
		}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		if isFolder := strings.HasSuffix(e.name, "/"); isFolder && e.body == "" {
			h.Method, h.CompressedSize64, packed = zip.Store, 0, nil
		} else if isFolder {
			h.Name, patch = strings.TrimSuffix(e.name, "/")+slash, true
		}
		raw, err := w.CreateRaw(h)
		if err == nil && len(packed) > 0 {
			_, err = raw.Write(packed)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !patch {
		return out.Bytes()
	}
	return bytes.ReplaceAll(out.Bytes(), []byte(slash), []byte("/"))
}

// slash stands for one where the writer of zips would not take it.
const slash = "\x1f"

func deflate(t *testing.T, body string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err == nil {
		_, err = w.Write([]byte(body))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const thread = "2026-02-01-XY1Z/000-2026-02-01-XY1Z.messe-af.yaml"

func TestHostileZips(t *testing.T) {
	good := entry{name: thread, body: envelope}
	image := "2026-02-01-XY1Z/att-001-image-a.jpg"
	for _, c := range []struct {
		name    string
		entries []entry
		refused string
	}{
		{"nothing", nil, "there is no file of a thread"},
		{"folders only", []entry{{name: "received/", mode: fs.ModeDir}}, "there is no file of a thread"},
		{"a path upwards", []entry{good, {name: "../" + thread, body: envelope}}, "../" + thread + ": a path in a zip must not hold .."},
		{"a path upwards inside", []entry{good, {name: "a/../../att-001-image-a.jpg"}}, "a/../../att-001-image-a.jpg: a path in a zip must not hold .."},
		{"a folder upwards", []entry{good, {name: "../../", mode: fs.ModeDir}}, "../../: a path in a zip must not hold .."},
		{"an absolute path", []entry{good, {name: "/etc/att-001-image-a.jpg"}}, "/etc/att-001-image-a.jpg: a path in a zip must not begin with a slash"},
		{"a drive", []entry{good, {name: "C:/att-001-image-a.jpg"}}, "C:/att-001-image-a.jpg: is a name that can't be given to a file on every system"},
		{"backslashes", []entry{good, {name: `..\att-001-image-a.jpg`}}, `..\att-001-image-a.jpg: a path in a zip must not hold backslashes`},
		{"a NUL", []entry{good, {name: image + "\x00.exe"}}, image + "\uFFFD.exe: is a name that can't be given to a file on every system"},
		{"no UTF-8", []entry{good, {name: image + "\xff"}}, image + "\uFFFD: is a name that can't be given to a file on every system"},
		{"an empty part", []entry{good, {name: "a//b"}}, "a//b: is a name that can't be given to a file on every system"},
		{"a dot", []entry{good, {name: "./" + image}}, "./" + image + ": is a name that can't be given to a file on every system"},
		{"no name", []entry{good, {name: ""}}, "is a name that can't be given to a file on every system"},
		{"a long name", []entry{good, {name: "2026-02-01-XY1Z/att-001-image-" + strings.Repeat("a", 300)}}, "is a name that can't be given to a file on every system"},
		{"a symbolic link", []entry{good, {name: image, body: "/etc/passwd", mode: fs.ModeSymlink | 0o777}}, image + ": is neither a file nor a folder"},
		{"a device", []entry{good, {name: image, mode: fs.ModeDevice | 0o666}}, image + ": is neither a file nor a folder"},
		{"a folder that is a file", []entry{good, {name: "a/", body: "x"}}, "a/: is neither a file nor a folder"},
		{"a file that is a folder", []entry{good, {name: image, mode: fs.ModeDir | 0o755}}, image + ": is neither a file nor a folder"},
		{"a name twice", []entry{good, good}, thread + ": is there twice"},
		{"encrypted", []entry{good, {name: image, body: "x", flags: 1}}, image + ": is encrypted"},
		{"another method", []entry{good, {name: image, body: "x", as: 12}}, image + ": is packed in a way that is not supported, only deflate is"},
		{"larger than it says", []entry{good, {name: image, body: strings.Repeat("a", 1000), size: 10}}, image + ": is damaged, or not as large as the zip says"},
		{"smaller than it says", []entry{good, {name: image, body: strings.Repeat("a", 1000), size: 2000}}, image + ": is damaged, or not as large as the zip says"},
		{"stored, larger than it says", []entry{good, {name: image, body: "abc", size: 1, store: true}}, image + ": is damaged, or not as large as the zip says"},
		{"far larger than it can be", []entry{good, {name: image, body: "a", size: 60 << 20}}, image + ": is damaged, or not as large as the zip says"},
		{"larger than anything", []entry{good, {name: image, body: "a", size: 1 << 62}, {name: image + "2", body: "a", size: 3 << 62}}, "the files are larger than 64 MiB together"},
		{"another checksum", []entry{good, {name: image, body: "abc", crc: 1}}, image + ": is damaged, or not as large as the zip says"},
		{"a zip in it", []entry{good, {name: "nested.zip", body: string(pack(t, good))}}, "nested.zip: is not named as a file of a thread is"},
		{"one bad thread of two", []entry{good, {name: "2026-02-01-AAAA.messe-af.yaml", body: envelope + "x: *y"}}, "2026-02-01-AAAA.messe-af.yaml, line 7: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			threads, err := messeaf.ParseZip(pack(t, c.entries...))
			if err == nil || threads != nil || !strings.Contains(err.Error(), c.refused) {
				t.Fatalf("%d threads, %v; want %s", len(threads), err, c.refused)
			}
			checkRefusal(t, err)
		})
	}
	for _, text := range []string{"", "PK", "PK\x05\x06" + strings.Repeat("\xff", 18), "hello", string(pack(t, good)[:100])} {
		if _, err := messeaf.ParseZip([]byte(text)); err == nil || err.Error() != "is not a zip that can be read" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Bombs cost no more than what is allowed to be in a zip, and are mostly seen before they go off.
func TestZipBombs(t *testing.T) {
	const mb = 1 << 20
	good := entry{name: thread, body: envelope}
	white := strings.Repeat("\x00", 10*mb)
	var many, drawings []entry
	for i := range 11_000 {
		many = append(many, entry{name: fmt.Sprintf("2026-02-01-XY1Z/att-%03d-file-a", i), store: true})
	}
	for i := range 7 {
		drawings = append(drawings, entry{name: fmt.Sprintf("2026-02-01-XY1Z/att-%03d-file-a", i), body: white})
	}
	for _, c := range []struct {
		name    string
		archive []byte
		refused string
		most    uint64
	}{
		{"many files", pack(t, many...), "there are more than 10000 files", mb},
		{"seven drawings", pack(t, append(drawings, good)...), "the files are larger than 64 MiB together", mb},
		{"a drawing", pack(t, drawings[0], good), "", 12 * mb},
		{"a file of 10 MiB and more", pack(t, entry{name: thread, body: envelope + "# " + white}), "is larger than 10 MiB", 12 * mb},
		{"much text", pack(t, entry{name: thread, body: envelope + "# " + strings.Repeat("a", 9*mb)}, entry{name: "2026-02-01-AAAA.messe-af.yaml", body: strings.Repeat("a", 9*mb)}), "larger than 16 MiB together", 20 * mb},
		{"one body for many", overlapping(t, 10_000, white[:mb]), "the files are larger than 64 MiB together", 16 * mb},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			cost, took := measure(func() { _, err = messeaf.ParseZip(c.archive) })
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("got %v", err)
			}
			if cost > c.most {
				t.Errorf("%d MB at once, at most %d are fine", cost>>20, c.most>>20)
			}
			t.Logf("%d KB cost %d MB at once, %v", len(c.archive)>>10, cost>>20, took.Round(time.Millisecond))
		})
	}
}

// What an entry announces and can't hold is not allocated.
func TestLiesAreNotAllocated(t *testing.T) {
	archive := pack(t, entry{name: thread, body: envelope, size: 60 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := messeaf.ParseZip(archive)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "not as large as the zip says") {
		t.Errorf("got %v", err)
	}
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 1<<20 {
		t.Errorf("%d KB were allocated for an archive of %d", cost>>10, len(archive))
	}
}

// overlapping is a zip whose directory has n entries for the same body.
func overlapping(t *testing.T, n int, body string) []byte {
	t.Helper()
	archive := pack(t, entry{name: "2026-02-01-XY1Z/att-000-file-a", body: body})
	end := bytes.LastIndex(archive, []byte("PK\x05\x06"))
	start := bytes.LastIndex(archive, []byte("PK\x01\x02"))
	var directory []byte
	for i := range n {
		directory = append(directory, bytes.Replace(archive[start:end], []byte("att-000"), fmt.Appendf(nil, "att-%03d", i%1000), 1)...)
	}
	tail := bytes.Clone(archive[end:])
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(directory)))
	return append(append(archive[:start:start], directory...), tail...)
}

// Zips by other programs are read: folders as entries, files that are stored, names in any folder.
func TestOtherZips(t *testing.T) {
	threads, err := messeaf.ParseZip(pack(t,
		entry{name: "backup/", mode: fs.ModeDir | 0o755, store: true},
		entry{name: "backup/state=received/", mode: fs.ModeDir | 0o755, store: true},
		entry{name: "backup/state=received/" + thread, body: envelope, store: true},
		entry{name: "backup/state=received/2026-02-01-XY1Z/att-001-image-a.jpg", body: "JPEG", mode: 0o600},
	))
	if err != nil {
		t.Fatal(err)
	}
	if len(threads) != 1 || threads[0].Ref() != "2026-02-01-XY1Z" || string(threads[0].Attachments()[0].Bytes) != "JPEG" {
		t.Errorf("%+v", threads)
	}
}

// The same threads always give the same zip.
func TestZipIsDeterministic(t *testing.T) {
	files := folder(t, "testdata/others")
	first, err := messeaf.Zip(files)
	if err != nil {
		t.Fatal(err)
	}
	files[0], files[1] = files[1], files[0]
	defer func(here *time.Location) { time.Local = here }(time.Local)
	time.Local = time.FixedZone("elsewhere", 3600)
	second, err := messeaf.Zip(files)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("two zips of the same files (%v)", err)
	}
	r, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	if err := os.CopyFS(unpacked, r); err != nil {
		t.Errorf("the zip can't be unpacked: %v", err)
	}
	if got := len(folder(t, unpacked)); got != len(files) {
		t.Errorf("%d files were unpacked of %d", got, len(files))
	}
}
