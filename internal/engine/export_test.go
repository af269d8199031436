package engine

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// madeHere is the file of a thread with that ref and those times.
const madeHere = `ref: %[1]s
requestor: agent
executor: phone
status: completed
created: %[2]s
updated: %[5]s
expires: 2099-01-01T00:00:00.000Z
intent: Look
priority: urgent
history:
  - action: created
    at: %[2]s
    by: agent
  - action: claimed
    at: %[3]s
    by: phone
  - action: pending
    at: %[4]s
    by: phone
  - action: claimed
    at: %[5]s
    by: phone
    ref: %[1]s/response-001
  - action: completed
    at: %[5]s
    by: phone
    ref: %[1]s/response-001
---
from: agent
received: %[2]s
MESS:
  - request:
      intent: Look
      needed_by: "2099-01-01T00:00:00Z"
---
from: phone
received: %[5]s
MESS:
  - status:
      re: %[1]s
      code: completed
  - response: {}
`

// Ensure that a thread that was made here is exported with a history of all that changed its status, and
// comes into another exchange with it, as the same thread to the byte.
func TestExportOfAThreadMadeHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, agent := enroll(t, e, "home", "agent")
		_, phone := enroll(t, e, "home", "phone")
		_, other := enroll(t, e, "office", "clerk")
		begun := time.Now().UTC()
		cmd := &exchange.Create{Intent: "Look", Priority: "urgent", Request: json.RawMessage(`{"intent":"Look","needed_by":"2099-01-01T00:00:00Z"}`)}
		if err := e.Create(t.Context(), agent, cmd); err != nil {
			t.Fatal(err)
		}
		ref := cmd.Result.Ref
		for _, u := range []*exchange.Update{{Status: "claimed"}, {Status: "pending"}, {Status: "completed", Mess: []json.RawMessage{json.RawMessage(`{"response":{}}`)}}} {
			time.Sleep(time.Second)
			u.Ref = ref
			if err := e.Update(t.Context(), phone, u); err != nil {
				t.Fatal(err)
			}
		}
		at := func(n int) string {
			return begun.Add(time.Duration(n) * time.Second).Format("2006-01-02T15:04:05.000Z")
		}
		want := fmt.Sprintf(madeHere, ref, at(0), at(1), at(2), at(3))
		thread := export(t, e, agent, ref)
		if got := v1(t, thread); got != want {
			t.Errorf("exported\n%s\nwant\n%s", got, want)
		}
		bringIn(t, e, other, parsed(t, want))
		if got := v1(t, export(t, e, other, ref)); got != want {
			t.Errorf("exported from another exchange\n%s", got)
		}
		_, err := e.Export(t.Context(), other, "2026-01-01-NONE")
		wantCode(t, err, exchange.CodeThreadNotFound)
	})
}

// Ensure that files that are gone or damaged are an error of the export, not a thread without them.
func TestExportMissesNoFile(t *testing.T) {
	threads, _ := canonical(t)
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "agent")
		bringIn(t, e, c, threads...)
		keys := bucket.Keys("attachments/exchange=home/")
		if len(keys) == 0 {
			t.Fatal("the examples have no attachment")
		}
		whole, _ := bucket.Get(keys[0])
		ref := strings.Split(keys[0], "/")[2]
		bucket.Put(keys[0], whole[1:])
		_, err := e.Export(t.Context(), c, ref)
		wantCode(t, err, exchange.CodeInternal)
		bucket.Remove(keys[0])
		_, err = e.Export(t.Context(), c, ref)
		wantCode(t, err, exchange.CodeInternal)
		bucket.Put(keys[0], whole)
		export(t, e, c, ref)
	})
}

// Ensure that every thread of the original server's data can be exported, whatever stands in it, and that what
// is a thread of the format comes into another exchange.
func TestExportOfOldData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, originalIn(t, bucket).open())
		_, clerk := enroll(t, e, "office", "clerk")
		exported, taken := 0, 0
		for id, key := range map[string]string{"home": agentKey, "my home_lab": robotKey} {
			c := letIn(t, e, id, key)
			list, err := e.Threads(t.Context(), c, exchange.Filter{})
			if err != nil || len(list) == 0 {
				t.Fatal(list, err)
			}
			for _, thread := range list {
				exported++
				text := v1(t, export(t, e, c, thread.Ref))
				again, err := messeaf.ParseV1("", []byte(text))
				if err != nil {
					t.Logf("%s: %v", thread.Ref, err)
					continue
				}
				taken++
				bringIn(t, e, clerk, again)
				if got := v1(t, export(t, e, clerk, thread.Ref)); got != text {
					t.Errorf("%s: exported from another exchange\n%s\nof\n%s", thread.Ref, got, text)
				}
			}
		}
		t.Logf("%d threads, %d of the format", exported, taken)
		if taken == 0 || taken == exported {
			t.Errorf("%d threads, %d of the format: they say little", exported, taken)
		}
	})
}

// Ensure that an export holds the media of a thread: those in its messages where they were sent, those that were
// uploaded as files beside it; and that another exchange gets and gives them back.
func TestExportHoldsTheMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "agent")
		_, clerk := enroll(t, e, "office", "clerk")
		ref := post(t, e, c, "Look")
		answerWith(t, e, c, ref, `{"response":{"content":["See",{"image":"`+photo(1)+`"}]}}`)
		up, err := e.Upload(t.Context(), c, ref, "front door.png", "image/png", strings.NewReader("a photo"))
		if err != nil {
			t.Fatal(err)
		}
		answerWith(t, e, c, ref, `{"response":{"content":[{"image":{"uri":"`+media.Path("home", ref, path.Base(up.Key))+`"}}]}}`)
		if len(bucket.Keys("attachments/exchange=home/")) != 2 {
			t.Fatalf("kept beside the log: %q", bucket.Keys("attachments/"))
		}

		thread := export(t, e, c, ref)
		if m := string(thread.View().Messages[1].Mess); m != `[{"response":{"content":["See",{"image":"`+photo(1)+`"}]}}]` {
			t.Errorf("the photo in a message is %.200s", m)
		}
		files := thread.Attachments()
		if len(files) != 1 || files[0].FileName() != "att-003-image-front_door.png" || string(files[0].Bytes) != "a photo" {
			t.Errorf("the files are %+v", files)
		}
		bringIn(t, e, clerk, thread)
		again := export(t, e, clerk, ref)
		if !reflect.DeepEqual(again.Attachments(), files) || v1(t, again) != v1(t, thread) {
			t.Error("another exchange has another thread")
		}
		if a, err := e.Attachment(t.Context(), clerk, ref, path.Base(bucket.Keys("attachments/exchange=office/")[0])); err != nil || a.Type != "image/png" {
			t.Errorf("there its file is %+v, %v", a, err)
		}
	})
}
