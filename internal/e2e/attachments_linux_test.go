//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

// mostMemory is what the server may take at its peak, whatever it is sent or asked for here.
const mostMemory = 100 << 20

// uploaded is a member of the block that an upload is answered with.
type uploaded struct {
	Name, URI, Mime string
	Size            int64
}

// upload sends a file and returns the block for a message, and what is in it.
func (c client) upload(t *testing.T, ref, name string, content []byte) (json.RawMessage, uploaded) {
	t.Helper()
	a := c.send(t, "POST", "/requests/"+ref+"/attachments?name="+name, bytes.NewReader(content), "Content-Type", "image/jpeg")
	if a.status != http.StatusCreated {
		t.Fatalf("upload: %v", a)
	}
	return a.body, decode[map[string]uploaded](t, a)["image"]
}

func randomBytes(seed int64, size int) []byte {
	b := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// TestLargePhoto uploads what is larger than the server may grow, several times at once in a message's way, and
// reads it back whole, in ranges and at another replica. It prints the server's peak of memory.
func TestLargePhoto(t *testing.T) {
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		agent := at(s, "home").register(t, "agent")
		ref := agent.create(t, intent("take a photo"))
		photo := randomBytes(1, 25<<20)
		block, file := agent.upload(t, ref, "front.jpg", photo)
		link := strings.TrimPrefix(file.URI, "/api/v1/exchanges/home")
		if a := agent.send(t, "GET", link, nil); a.status != http.StatusNotFound {
			t.Errorf("before a message names it: %v", a)
		}
		agent.want(t, http.StatusOK, "PATCH", "/requests/"+ref, map[string]any{"mess": []json.RawMessage{block}})

		readers := []client{agent}
		if place.store != nil {
			readers = append(readers, at(start(t, place.settings...), "home").as(agent.key))
		}
		for _, reader := range readers {
			whole := reader.want(t, http.StatusOK, "GET", link, nil)
			if !bytes.Equal(whole.body, photo) || whole.header.Get("Content-Type") != "image/jpeg" {
				t.Errorf("%d bytes of %s came back", len(whole.body), whole.header.Get("Content-Type"))
			}
			for _, from := range []int{0, 5_000_000, len(photo) - 1} {
				a := reader.send(t, "GET", "/requests/"+ref+"/attachments/front.jpg", nil, "Range", fmt.Sprintf("bytes=%d-%d", from, from+99))
				if a.status != http.StatusPartialContent || !bytes.Equal(a.body, photo[from:min(from+100, len(photo))]) {
					t.Errorf("a range from %d: %d, %d bytes", from, a.status, len(a.body))
				}
			}
			if a := reader.send(t, "GET", link, nil, "If-None-Match", whole.header.Get("ETag")); a.status != http.StatusNotModified {
				t.Errorf("with its tag: %v", a)
			}
		}
		before := len(attachmentsIn(t, place))
		a := agent.send(t, "POST", "/requests/"+ref+"/attachments", io.MultiReader(bytes.NewReader(photo), strings.NewReader("x")), "Content-Type", "image/jpeg")
		wantRefusal(t, "a byte more", a, http.StatusRequestEntityTooLarge, "The file is larger than 25 MiB")
		if now := len(attachmentsIn(t, place)); now != before {
			t.Errorf("%d attachments after it, %d before", now, before)
		}
		if !s.worker { // its memory is one with that of workerd and of all who live there
			peak := peakMemory(t, s)
			t.Logf("peak of memory: %d MB", peak>>20)
			if place.store == nil && peak > mostMemory {
				t.Errorf("the server took %d MB", peak>>20)
			}
		}
		wantChecked(t, place)
	})
}

// TestThreadOfPhotos reads a thread with fifty photos in all ways, and prints what that costs the server.
func TestThreadOfPhotos(t *testing.T) {
	place := folder(t)
	s := start(t, place.settings...)
	agent := at(s, "home").register(t, "agent")
	ref := agent.create(t, intent("take photos"))
	var sent []string
	for i := range 50 {
		mess := fmt.Sprintf(`[{"response":{"content":["photo %d",{"image":"data:image/jpeg;base64,%s"}]}}]`, i, base64.StdEncoding.EncodeToString(randomBytes(int64(i), 300_000)))
		agent.want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"mess":`+mess+`}`)
		sent = append(sent, mess)
	}
	s = s.restart(t)
	agent = at(s, "home").as(agent.key)
	whole := agent.want(t, http.StatusOK, "GET", "/requests/"+ref, nil)
	rest := whole.body
	for i, mess := range sent {
		_, after, ok := bytes.Cut(rest, []byte(`"mess":`+mess))
		if !ok {
			t.Fatalf("message %d did not come back as it was sent", i)
		}
		rest = after
	}
	if linked := agent.want(t, http.StatusOK, "GET", "/requests/"+ref+"?media=link", nil); len(linked.body) > 50*400 || bytes.Count(linked.body, []byte("/attachments/")) != 50 {
		t.Errorf("with links it has %d bytes", len(linked.body))
	}
	if s.worker { // what follows measures a process
		wantChecked(t, place)
		return
	}
	for path, times := range map[string]int{"/requests": 400, "/requests/" + ref + "?media=link": 400, "/requests/" + ref: 20} {
		before := cpuTime(t, s)
		for range times {
			agent.want(t, http.StatusOK, "GET", path, nil)
		}
		t.Logf("GET %s: %s of CPU each", strings.Replace(path, ref, "{ref}", 1), (cpuTime(t, s)-before)/time.Duration(times))
	}
	t.Logf("peak of memory: %d MB", peakMemory(t, s)>>20)
	wantChecked(t, place)
}

// TestForgottenUploads kills the server between an upload and its message, and has what was forgotten deleted once it
// is a week old.
func TestForgottenUploads(t *testing.T) {
	place := folder(t)
	s := start(t, place.settings...)
	agent := at(s, "home").register(t, "agent")
	ref := agent.create(t, intent("take photos"))
	kept, _ := agent.upload(t, ref, "kept.jpg", []byte("kept"))
	agent.upload(t, ref, "forgotten.jpg", []byte("forgotten"))
	agent.want(t, http.StatusOK, "PATCH", "/requests/"+ref, map[string]any{"mess": []json.RawMessage{kept}})
	s.kill()
	for _, want := range []string{"ok: 0 days merged", "home: deleted 1 attachments that no event names: 9 bytes\nok: 0 days"} {
		o := run(t, time.Minute, place.settings, "compact")
		if o.code != 0 || !strings.Contains(o.stdout, want) || strings.HasPrefix(want, "ok") != strings.HasPrefix(o.stdout, "ok") {
			t.Errorf("compact: %d, %s%s", o.code, o.stdout, o.stderr)
		}
		for _, file := range attachmentsIn(t, place) {
			old := time.Now().Add(-8 * 24 * time.Hour)
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left := attachmentsIn(t, place); len(left) != 1 || !strings.HasSuffix(left[0], "-kept.jpg") {
		t.Errorf("left: %q", left)
	}
	wantChecked(t, place)
}

// TestUploadAtOneReplica names at one replica what was uploaded at another.
func TestUploadAtOneReplica(t *testing.T) {
	place := bucketOf(t, s3test.Start(t))
	one, two := start(t, place.settings...), start(t, place.settings...)
	here := at(one, "home").register(t, "agent")
	there := at(two, "home").as(here.key)
	ref := here.create(t, intent("take a photo"))
	block, file := here.upload(t, ref, "a.jpg", randomBytes(1, 100_000))
	there.want(t, http.StatusOK, "PATCH", "/requests/"+ref, map[string]any{"mess": []json.RawMessage{block}})
	if a := here.want(t, http.StatusOK, "GET", strings.TrimPrefix(file.URI, "/api/v1/exchanges/home"), nil); !bytes.Equal(a.body, randomBytes(1, 100_000)) {
		t.Errorf("%d bytes came back", len(a.body))
	}
}

func wantChecked(t *testing.T, place storage) {
	t.Helper()
	if o := run(t, time.Minute, place.forCommands(t), "check"); o.code != 0 {
		t.Errorf("check: %d, %s%s", o.code, o.stdout, o.stderr)
	}
}

// attachmentsIn lists the files of attachments.
func attachmentsIn(t *testing.T, place storage) []string {
	t.Helper()
	root, err := filepath.EvalSymlinks(place.files(t))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(filepath.Join(root, "attachments"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// peakMemory is the most memory that the server's process ever had.
func peakMemory(t *testing.T, s *server) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no VmHWM in %s", status)
	return 0
}

// cpuTime is what of the processors' time the server has used, in steps of 10 ms.
func cpuTime(t *testing.T, s *server) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	total := 0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return time.Duration(total) * 10 * time.Millisecond
}
