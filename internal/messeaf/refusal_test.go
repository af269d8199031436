package messeaf_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// Text in another encoding is refused, and never guessed at.
func TestOtherEncodings(t *testing.T) {
	wide := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(envelope)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for text, want := range map[string]string{
		string(wide):                 "line 1: is not UTF-8",
		envelope + "x: caf\xe9":      "line 7: is not UTF-8",
		envelope + "x: \xc3":         "line 7: is not UTF-8",
		envelope + "x: \xed\xa0\x80": "line 7: is not UTF-8",
		envelope + "x: \xc0\x80":     "line 7: is not UTF-8",
	} {
		if _, err := messeaf.ParseV1("", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTooManyFiles(t *testing.T) {
	files := make([]messeaf.File, 10_001)
	for i := range files {
		files[i] = messeaf.File{Name: fmt.Sprintf("2026-02-01-XY1Z/att-%03d-file-a", i)}
	}
	for _, parse := range []func([]messeaf.File) error{
		func(f []messeaf.File) error { _, err := messeaf.ParseTree(f); return err },
		func(f []messeaf.File) error { _, err := messeaf.ParseV2(f); return err },
	} {
		if err := parse(files); err == nil || err.Error() != "there are more than 10000 files" {
			t.Errorf("10,001 files: %v", err)
		}
		large := []messeaf.File{{Name: files[0].Name, Content: make([]byte, 40<<20)}, {Name: files[1].Name, Content: make([]byte, 40<<20)}}
		if err := parse(large); err == nil || err.Error() != "the files are larger than 64 MiB together" {
			t.Errorf("80 MiB: %v", err)
		}
		if err := parse(nil); err == nil || err.Error() != "there is no file of a thread" {
			t.Errorf("nothing: %v", err)
		}
	}
}

// Documents out of a log are held to the same rules as files.
func TestFromDocumentsRefuses(t *testing.T) {
	good := `{"ref":"2026-02-01-XY1Z","requestor":"agent","status":"pending","created":"2026-02-01T22:00:00Z","updated":"2026-02-01T22:00:00Z","intent":"look"}`
	image := messeaf.Attachment{Serial: 1, Kind: "image", Name: "a.jpg"}
	for _, c := range []struct {
		documents   []string
		attachments []messeaf.Attachment
		refused     string
	}{
		{nil, nil, "there is no envelope"},
		{[]string{`{}`}, nil, "document 1: ref: is required"},
		{[]string{good, `{"from":"agent"}`}, nil, "document 2: received: is required"},
		{[]string{good, `{`}, nil, "document 2: "},
		{[]string{good, good[:len(good)-1] + `,"x":"\ud800"}`}, nil, "document 2: "},
		{[]string{good}, []messeaf.Attachment{image, image}, "att-001-image-a.jpg: is there twice"},
		{[]string{good}, []messeaf.Attachment{{Kind: "image", Name: "../a"}}, "att-000-image-../a: is no name of an attachment"},
		{[]string{good}, []messeaf.Attachment{{Kind: "../image", Name: "a"}}, "att-000-../image-a: is no name of an attachment"},
		{[]string{good}, []messeaf.Attachment{{Serial: -1, Kind: "image", Name: "a"}}, "is no name of an attachment"},
	} {
		var documents []json.RawMessage
		for _, doc := range c.documents {
			documents = append(documents, json.RawMessage(doc))
		}
		if _, err := messeaf.FromDocuments(documents, c.attachments); err == nil || !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%v, %v: %v", c.documents, c.attachments, err)
		}
	}
}

// A thread only goes on: what an exchange can't have done to it is an error.
func TestWithRefuses(t *testing.T) {
	thread, err := messeaf.ParseV1("", []byte(envelope+message))
	if err != nil {
		t.Fatal(err)
	}
	v := thread.View()
	v.Messages = nil
	if _, err := thread.With(v); err == nil || !strings.Contains(err.Error(), "1 messages became 0") {
		t.Errorf("a message less: %v", err)
	}
	v.Messages = append(thread.View().Messages, messeaf.Message{From: "phone", Mess: json.RawMessage(`[{"x":"\udc00"}]`)})
	if _, err := thread.With(v); err == nil || !strings.Contains(err.Error(), "message 2 of 2026-02-01-XY1Z") {
		t.Errorf("a message that is no JSON: %v", err)
	}
	v.Messages[1].Mess = nil
	next, err := thread.With(v)
	if err != nil || string(next.View().Messages[1].Mess) != "[]" {
		t.Errorf("a message without blocks: %v", err)
	}
}
