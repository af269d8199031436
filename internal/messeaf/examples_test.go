package messeaf_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// folder returns the files below a folder of testdata.
func folder(t *testing.T, name string) []messeaf.File {
	t.Helper()
	var files []messeaf.File
	root := os.DirFS(name)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		files = append(files, messeaf.File{Name: path, Content: content})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What is written as Render writes it comes back to the byte, and lies in the folder it came from.
func TestCanonicalExamplesComeBack(t *testing.T) {
	files := folder(t, "testdata/canonical")
	threads, err := messeaf.ParseTree(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(threads) != 3 {
		t.Fatalf("%d threads", len(threads))
	}
	var again []messeaf.File
	for _, thread := range threads {
		version := messeaf.V1
		if len(thread.Attachments()) > 0 {
			version = messeaf.V2
		}
		tree, err := messeaf.Tree(version, thread)
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, tree...)
	}
	if len(again) != len(files) {
		t.Fatalf("%d files became %d", len(files), len(again))
	}
	for _, f := range files {
		for _, g := range again {
			if g.Name == f.Name && string(g.Content) != string(f.Content) {
				t.Errorf("%s became\n%s", f.Name, g.Content)
			}
			if g.Name == f.Name {
				f.Name = ""
			}
		}
		if f.Name != "" {
			t.Errorf("%s is missing", f.Name)
		}
	}
}

// Files in any other style say the same when they come back.
func TestOtherExamplesSayTheSame(t *testing.T) {
	threads, err := messeaf.ParseTree(folder(t, "testdata/others"))
	if err != nil {
		t.Fatal(err)
	}
	if len(threads) != 2 {
		t.Fatalf("%d threads", len(threads))
	}
	checkTree(t, 0, threads)
	canon(t, threads[0])
	checkV2(t, 0, threads[1])
	if _, err := threads[1].RenderV1(); err != messeaf.ErrAttachments {
		t.Errorf("a thread with attachments as v1: %v", err)
	}
	checkAttachment(t, threads[1])
}

func checkAttachment(t *testing.T, thread *messeaf.Thread) {
	t.Helper()
	want := []messeaf.Attachment{{Serial: 2, Kind: "audio", Name: "sorry.m4a", Bytes: []byte("sorry")}}
	if got := thread.Attachments(); !reflect.DeepEqual(got, want) {
		t.Errorf("attachments %v", got)
	}
	kept, err := messeaf.FromDocuments(thread.Documents(), thread.Attachments())
	if err != nil || !reflect.DeepEqual(kept, thread) {
		t.Errorf("kept and taken out again, it is another (%v)", err)
	}
}

// A long thread goes on in further files, none of them above 1 MiB but for a message that is.
func TestOverflow(t *testing.T) {
	const mib = 1 << 20
	v := messeaf.View{Envelope: messeaf.Envelope{Ref: "2026-02-01-XY1Z", Requestor: "agent", Status: "pending", Intent: "talk", Created: time.Unix(1e9, 0), Updated: time.Unix(1e9, 0)}}
	for i, size := range []int{1, 300_000, 300_000, 300_000, 300_000, 2_000_000, 1, 800_000, 100_000, 1_000_000, 10} {
		text := strings.Repeat(strings.Repeat("a, b [c] d", 10)+"\n", size/101+1)
		mess, err := json.Marshal([]any{map[string]any{"response": map[string]any{"content": []string{text}}}})
		if err != nil {
			t.Fatal(err)
		}
		v.Messages = append(v.Messages, messeaf.Message{From: fmt.Sprint("phone-", i), TS: time.Unix(1e9, 0), Mess: mess})
	}
	thread, err := messeaf.New(v)
	if err != nil {
		t.Fatal(err)
	}
	files, err := thread.RenderV2()
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for i, f := range files {
		if f.Name != messeaf.NameV2(i, v.Ref) {
			t.Errorf("file %d is %s", i, f.Name)
		}
		documents := strings.Count(string(f.Content), "\n---\n") + 1
		if len(f.Content) > mib && documents > 1 {
			t.Errorf("%s has %d documents in %d bytes", f.Name, documents, len(f.Content))
		}
		sizes = append(sizes, documents)
	}
	if want := []int{5, 1, 1, 3, 1, 1}; !reflect.DeepEqual(sizes, want) {
		t.Errorf("documents in the files: %v, want %v", sizes, want)
	}
	again, err := messeaf.ParseV2(files)
	if err != nil {
		t.Fatal(err)
	}
	if lines(again.Documents()) != lines(thread.Documents()) {
		t.Error("it says something else when it is read again")
	}
	checkV2(t, 0, again)
}

// A thread of the exchange itself becomes the file that the format has for it.
func TestNewThread(t *testing.T) {
	at := time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC)
	v := messeaf.View{
		Envelope: messeaf.Envelope{
			Ref: "2026-02-01-XY1Z", Requestor: "claude-agent", Status: "pending", Created: at, Updated: at,
			Intent: "Check if the garage door is closed", Priority: "normal",
			History: []messeaf.Entry{{Action: "created", At: at, By: "claude-agent"}},
		},
		Messages: []messeaf.Message{{From: "claude-agent", TS: at, Mess: json.RawMessage(
			`[{"request": {"intent": "Check if the garage door is closed", "context": ["Getting ready for bed"], "priority": "normal", "response_hint": ["image"]}}]`)}},
	}
	thread, err := messeaf.New(v)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/canonical/received/2026-02-01-XY1Z.messe-af.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := canon(t, thread)
	if string(got) != string(want) {
		t.Errorf("got\n%s", got)
	}
	v.Messages[0].Mess = json.RawMessage(`[{"a":1,"a":2}]`)
	if _, err := messeaf.New(v); err == nil {
		t.Error("a name given twice was taken")
	}
}

// Each status has its folder.
func TestFolder(t *testing.T) {
	for status, want := range map[string]string{
		"pending": "received", "claimed": "executing", "in_progress": "executing", "in-progress": "executing", "waiting": "executing", "held": "executing", "retrying": "executing",
		"needs_input": "executing", "needs_confirmation": "executing", "completed": "finished", "partial": "finished", "failed": "canceled", "declined": "canceled", "rejected": "canceled",
		"expired": "canceled", "cancelled": "canceled", "canceled": "canceled", "superseded": "canceled", "unheard of": "executing",
	} {
		if got := messeaf.Folder(status); got != want {
			t.Errorf("%s: %s", status, got)
		}
	}
}
