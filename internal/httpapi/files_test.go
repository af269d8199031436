package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

const aThread = `ref: 2026-02-01-XY1Z
requestor: claude-agent
executor: null
status: pending
created: 2026-02-01T22:00:00Z
updated: 2026-02-01T22:00:00Z
intent: Check if the garage door is closed
---
from: claude-agent
received: 2026-02-01T22:00:00Z
MESS:
  - request:
      intent: Check if the garage door is closed
`

// examples returns the example files of the canonical style, in the folders of their states.
func examples(tb testing.TB) []messeaf.File {
	tb.Helper()
	root := os.DirFS("../messeaf/testdata/canonical")
	var files []messeaf.File
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files = append(files, messeaf.File{Name: name, Content: content})
		return err
	})
	if err != nil || len(files) < 4 {
		tb.Fatalf("%d files: %v", len(files), err)
	}
	return files
}

// jsonImport is an import of files as JSON.
func jsonImport(tb testing.TB, files []messeaf.File) string {
	tb.Helper()
	type file struct {
		Name    string `json:"name"`
		Content string `json:"content"`
	}
	var all []file
	for _, f := range files {
		content := string(f.Content)
		if strings.HasPrefix(path.Base(f.Name), "att-") {
			content = base64.StdEncoding.EncodeToString(f.Content)
		}
		all = append(all, file{f.Name, content})
	}
	text, err := json.Marshal(map[string]any{"files": all})
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func zipped(tb testing.TB, files []messeaf.File) string {
	tb.Helper()
	archive, err := messeaf.Zip(files)
	if err != nil {
		tb.Fatal(err)
	}
	return string(archive)
}

// Ensure that a thread comes in in every way that a body may have, with the same answer.
func TestImportTakesEveryKindOfBody(t *testing.T) {
	named := []messeaf.File{{Name: "2026-02-01-XY1Z.messe-af.yaml", Content: []byte(aThread)}}
	folder := []messeaf.File{{Name: "2026-02-01-XY1Z/000-2026-02-01-XY1Z.messe-af.yaml", Content: []byte(aThread)}}
	content, _ := json.Marshal(map[string]string{"content": aThread})
	for what, c := range map[string]struct{ media, body string }{
		"content":      {"application/json", string(content)},
		"files of v1":  {"application/json; charset=utf-8", jsonImport(t, named)},
		"files of v2":  {"application/json", jsonImport(t, folder)},
		"yaml":         {"application/yaml", aThread},
		"spelled yaml": {"Text/YAML; charset=utf-8", aThread},
		"x-yaml":       {"application/x-yaml", aThread},
		"zip of v1":    {"application/zip", zipped(t, named)},
		"zip of v2":    {"application/zip", zipped(t, folder)},
	} {
		home := newSite(t).at("home").register("agent")
		a := home.want(http.StatusCreated, "POST", "/import", c.body, "Content-Type", c.media)
		if got := string(a.body); got != `{"imported":1,"threads":[{"ref":"2026-02-01-XY1Z","status":"pending"}]}`+"\n" {
			t.Errorf("%s: answered %s", what, got)
		}
		thread := home.want(http.StatusOK, "GET", "/requests/2026-02-01-XY1Z", "")
		if !strings.Contains(string(thread.body), `{"from":"claude-agent","ts":"2026-02-01T22:00:00.000Z","mess":[{"request":{"intent":"Check if the garage door is closed"}}]}`) {
			t.Errorf("%s: reads %s", what, thread.body)
		}
		again := home.want(http.StatusConflict, "POST", "/import", c.body, "Content-Type", c.media)
		if again.text(t, "code") != "thread_exists" || !strings.Contains(again.text(t, "error"), "2026-02-01-XY1Z") {
			t.Errorf("%s, a second time: %s", what, again.body)
		}
	}
}

// Ensure that the example files come back to the byte, however they were sent and are asked for, and go from
// one exchange into another.
func TestExportGivesBackTheFiles(t *testing.T) {
	s := newSite(t)
	home, office := s.at("home").register("agent"), s.at("office").register("clerk")
	files := examples(t)
	home.want(http.StatusCreated, "POST", "/import", jsonImport(t, files))
	threads, err := messeaf.ParseTree(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		path := "/export/" + thread.Ref()
		v2, err := thread.Files(messeaf.V2)
		if err != nil {
			t.Fatal(err)
		}
		a := home.want(http.StatusOK, "GET", path+"?format=v2", "", "Accept", "application/zip, application/json;q=0.9")
		if got := string(a.body); got != zipped(t, v2) || a.header.Get("Content-Disposition") != `attachment; filename="`+thread.Ref()+`.zip"` {
			t.Errorf("%s: the zip is another, %v", thread.Ref(), a.header)
		}
		office.want(http.StatusCreated, "POST", "/import", string(a.body), "Content-Type", "application/zip")
		if again := office.want(http.StatusOK, "GET", path, "", "Accept", "application/zip"); !bytes.Equal(again.body, a.body) {
			t.Errorf("%s: another exchange has another zip", thread.Ref())
		}
		if got := filesIn(t, home.want(http.StatusOK, "GET", path+"?format=v2", "")); !reflect.DeepEqual(got, bare(v2)) {
			t.Errorf("%s: as JSON the files are %v", thread.Ref(), got)
		}
		v1, err := thread.RenderV1()
		if err != nil { // it has attachments
			for _, asked := range []string{"", "?format=v1"} {
				home.want(http.StatusBadRequest, "GET", path+asked, "", "Accept", "application/yaml")
			}
			home.want(http.StatusBadRequest, "GET", path+"?format=v1", "")
			if got := home.want(http.StatusOK, "GET", path, "").text(t, "format"); got != "v2" {
				t.Errorf("%s: without a format it is %s", thread.Ref(), got)
			}
			continue
		}
		a = home.want(http.StatusOK, "GET", path, "")
		if a.text(t, "content") != string(v1) || a.text(t, "format") != "v1" || a.text(t, "ref") != thread.Ref() {
			t.Errorf("%s: exported %s", thread.Ref(), a.body)
		}
		a = home.want(http.StatusOK, "GET", path+"?format=v1", "", "Accept", "text/yaml;q=0.8, text/html;q=0.9, */*;q=0.1")
		if string(a.body) != string(v1) || a.header.Get("Content-Type") != "application/yaml" || a.header.Get("Vary") != "Accept" {
			t.Errorf("%s: as YAML %v %s", thread.Ref(), a.header, a.body)
		}
		home.want(http.StatusBadRequest, "GET", path+"?format=v2", "", "Accept", "application/yaml")
	}
}

// filesIn are the files of an Exported.
func filesIn(t *testing.T, a response) []messeaf.File {
	t.Helper()
	var answer struct {
		Files []struct{ Name, Content, Encoding string } `json:"files"`
	}
	if err := json.Unmarshal(a.body, &answer); err != nil {
		t.Fatal(err)
	}
	var files []messeaf.File
	for _, f := range answer.Files {
		content := []byte(f.Content)
		if f.Encoding == "base64" {
			var err error
			if content, err = base64.StdEncoding.DecodeString(f.Content); err != nil {
				t.Fatal(err)
			}
		}
		files = append(files, messeaf.File{Name: f.Name, Content: content})
	}
	return files
}

// bare are files without the folder of their thread.
func bare(files []messeaf.File) (all []messeaf.File) {
	for _, f := range files {
		all = append(all, messeaf.File{Name: path.Base(f.Name), Content: f.Content})
	}
	return all
}

// Ensure which type an export is answered in.
func TestPreferred(t *testing.T) {
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "text/html": "application/json", "application/zip": "application/zip",
		"application/json, application/zip": "application/json", "application/json;q=0.5,application/ZIP": "application/zip",
		"application/zip;q=0": "application/json", "application/x-yaml": "application/yaml", "text/yaml;v=1;q=0.3, */*;q=0.2": "application/yaml",
		"application/zip;q=x, application/yaml;q=0.001": "application/yaml", ",;,": "application/json",
	} {
		if got := preferred(accept); got != want {
			t.Errorf("%q: %s", accept, got)
		}
	}
}

// Ensure that whatever is no import is refused in words, and that nothing of it is stored.
func TestImportRefuses(t *testing.T) {
	bucket := faultblob.New()
	home := siteAt(t, bucket).at("home").register("agent")
	before := bucket.Keys("")
	file := func(name, content string) string {
		return jsonImport(t, []messeaf.File{{Name: name, Content: []byte(content)}})
	}
	for _, c := range []struct {
		status            int
		media, body, says string
	}{
		{400, "application/json", `{}`, "content: is required, or files"},
		{400, "application/json", `{"content":"a: b","files":[{"name":"a","content":"b"}]}`, "content: must not be given beside files"},
		{400, "application/json", `{"content":7}`, "content: must be a string"},
		{400, "application/json", `{"files":[]}`, "files: must not be empty"},
		{400, "application/json", `{"files":[{"name":"a"}]}`, "files[0].content: is required"},
		{400, "application/json", `{"files":[{"name":"2026-02-01-XY1Z/att-001-image-a.png","content":"?"}]}`, "files[0].content: must be base64"},
		{400, "application/json", file("../2026-02-01-XY1Z.messe-af.yaml", aThread), "is a name that can't be given"},
		{400, "application/json", file("2026-02-01-AAAA.messe-af.yaml", aThread), "is named after another thread"},
		{400, "application/json", file("notes.txt", aThread), "is not named as a file of a thread is"},
		{400, "application/yaml", "", "holds no document"},
		{400, "application/yaml", aThread + "---\n" + aThread, "another envelope begins here"},
		{400, "application/yaml", strings.Replace(aThread, "pending", "delegated", 1), "status: must be one of"},
		{400, "application/yaml", "a: &a [*a]", "line 1"},
		{400, "application/yaml", "a: \xff", "UTF-8"},
		{400, "application/zip", "PK", "is not a zip"},
		{400, "application/zip", zipped(t, []messeaf.File{{Name: "a.txt"}}), "is not named as a file"},
		{415, "application/octet-stream", aThread, "Content-Type: application/json, application/x-yaml, application/yaml, application/zip, text/yaml"},
		{413, "application/yaml", aThread + strings.Repeat(" ", maxBody), "larger than 10 MiB"},
	} {
		a := home.want(c.status, "POST", "/import", c.body, "Content-Type", c.media)
		if !strings.Contains(a.text(t, "error"), c.says) {
			t.Errorf("%s %.60q: %s, want %q", c.media, c.body, a.body, c.says)
		}
	}
	if after := bucket.Keys(""); !reflect.DeepEqual(after, before) {
		t.Errorf("refused imports left %q", after)
	}
	home.want(http.StatusNotFound, "GET", "/export/2026-02-01-XY1Z", "")
	home.want(http.StatusBadRequest, "GET", "/export/2026-02-01-XY1Z?format=v3", "")
	home.as("").want(http.StatusUnauthorized, "POST", "/import", "x", "Content-Type", "text/plain")
}

// siteAt runs the real engine on that bucket.
func siteAt(tb testing.TB, bucket *faultblob.Bucket) *site {
	tb.Helper()
	e := engine.New(bucket.Store(false), engine.Options{Fatal: func(err error) { tb.Error("fatal:", err) }})
	if err := e.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return siteOf(tb, e)
}

// Whatever is sent as an import, in whatever type, is no fault of the server; a refusal stores nothing, and
// what comes in can be exported and comes in elsewhere, to the same files.
func FuzzImport(f *testing.F) {
	media := []string{"application/yaml", "application/json", "application/zip"}
	files := examples(f)
	for _, file := range files {
		f.Add(byte(0), file.Content)
	}
	content, _ := json.Marshal(map[string]string{"content": aThread})
	f.Add(byte(1), content)
	f.Add(byte(1), []byte(jsonImport(f, files)))
	f.Add(byte(2), []byte(zipped(f, files)))
	f.Add(byte(0), []byte(strings.Replace(aThread, "null", "phone\nexpires: 2020-01-01T00:00:00Z", 1)))
	f.Add(byte(0), []byte(strings.Replace(aThread, "---", "history: [{action: claimed, at: 2026-02-01T22:00:00+01:00, by: x}]\n---", 1)))
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		bucket := faultblob.New()
		s := siteAt(t, bucket)
		home := s.at("home").register("agent")
		before := fmt.Sprint(bucket.Keys(""))
		r := httptest.NewRequest("POST", home.base+"/import", bytes.NewReader(text))
		r.Header.Set("Content-Type", media[int(which)%len(media)])
		r.Header.Set("Authorization", "Bearer "+home.key)
		a := s.serve(r)
		switch {
		case a.status >= 500:
			t.Fatalf("answered %d %s", a.status, a.body)
		case a.status >= 400:
			if after := fmt.Sprint(bucket.Keys("")); after != before {
				t.Fatalf("answered %d and stored %s", a.status, after)
			}
			return
		}
		var answer struct {
			Imported int
			Threads  []struct{ Ref, Status string }
		}
		if err := json.Unmarshal(a.body, &answer); err != nil || answer.Imported != len(answer.Threads) || answer.Imported == 0 {
			t.Fatalf("answered %s: %v", a.body, err)
		}
		office := s.at("office").register("clerk")
		for _, thread := range answer.Threads {
			home.want(http.StatusOK, "GET", "/requests/"+thread.Ref, "")
			archive := home.want(http.StatusOK, "GET", "/export/"+thread.Ref, "", "Accept", "application/zip").body
			office.want(http.StatusCreated, "POST", "/import", string(archive), "Content-Type", "application/zip")
			if again := office.want(http.StatusOK, "GET", "/export/"+thread.Ref, "", "Accept", "application/zip").body; !bytes.Equal(again, archive) {
				t.Fatalf("%s is another thread elsewhere", thread.Ref)
			}
		}
	})
}
