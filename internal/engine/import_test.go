package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// canonical returns the threads of the examples in the canonical style, v1 and v2, and their files.
func canonical(t *testing.T) ([]*messeaf.Thread, []messeaf.File) {
	t.Helper()
	const root = "../messeaf/testdata/canonical"
	var files []messeaf.File
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		relative, _ := filepath.Rel(root, name) // both are below the package's folder
		files = append(files, messeaf.File{Name: filepath.ToSlash(relative), Content: content})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	threads, err := messeaf.ParseTree(files)
	if err != nil || len(threads) < 3 {
		t.Fatalf("%d threads: %v", len(threads), err)
	}
	return threads, files
}

func parsed(t *testing.T, text string) *messeaf.Thread {
	t.Helper()
	thread, err := messeaf.ParseV1("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return thread
}

// bringIn imports threads, which must succeed.
func bringIn(t *testing.T, e *Engine, c Caller, threads ...*messeaf.Thread) []exchange.ThreadState {
	t.Helper()
	states, err := e.Import(t.Context(), c, threads)
	if err != nil {
		t.Fatal("import:", err)
	}
	return states
}

func export(t *testing.T, e *Engine, c Caller, ref string) *messeaf.Thread {
	t.Helper()
	thread, err := e.Export(t.Context(), c, ref)
	if err != nil {
		t.Fatalf("export %s: %v", ref, err)
	}
	return thread
}

// v1 is the one file of a thread, without its attachments.
func v1(t *testing.T, thread *messeaf.Thread) string {
	t.Helper()
	if len(thread.Attachments()) > 0 {
		bare, err := messeaf.FromDocuments(thread.Documents(), nil)
		if err != nil {
			t.Fatal(err)
		}
		thread = bare
	}
	text, err := thread.RenderV1()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Ensure that what was imported is exported as it was, files beside it included: at once, and by a server that
// starts from the log or from a snapshot.
func TestExportGivesBackWhatWasImported(t *testing.T) {
	threads, _ := canonical(t)
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launch(t, bucket.Store(shared))
			key, c := enroll(t, e, "home", "agent")
			states := bringIn(t, e, c, threads...)
			if len(states) != len(threads) || states[0].Ref != threads[0].Ref() {
				t.Errorf("imported %v", states)
			}
			for _, afterRestart := range []bool{false, true} {
				for _, want := range threads {
					if got := export(t, e, c, want.Ref()); !reflect.DeepEqual(got, want) {
						t.Errorf("after a restart %v: exported\n%s\nof\n%s", afterRestart, v1(t, got), v1(t, want))
					}
				}
				shut(t, e)
				e = launchWith(t, bucket.Store(shared), Options{SnapshotAfter: 1})
				c = letIn(t, e, "home", key)
			}
		})
	}
}

const runningThread = `ref: 2026-01-02-003-check-fridge
client_id: mine
requestor: agent
executor: phone
status: in-progress
created: 2026-01-02T10:00:00+01:00
updated: 2026-01-02T10:00:00.123456Z
intent: Check the fridge
mood: calm
history:
  - action: created
    at: 2026-01-02T09:00:00Z
    by: agent
  - action: dispatched
    at: 2026-01-02T09:00:01Z
    by: robot
    note: kept
---
from: agent
received: 2026-01-02T09:00:00Z
channel: mail
MESS:
  - request:
      intent: Check the fridge
      count: 2.50
---
from: phone
received: 2026-01-02T09:30:00Z
MESS:
  - status:
      re: last
      code: in-progress
`

// Ensure that an imported thread goes on like any, that its messages read as they are in the file and in the
// log alike, and that its export tells what has happened since behind what its file told.
func TestImportedThreadsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		agentKey, agent := enroll(t, e, "home", "agent")
		_, phone := enroll(t, e, "home", "phone")
		bringIn(t, e, agent, parsed(t, runningThread))
		const ref = "2026-01-02-003-check-fridge"

		thread, err := e.Thread(t.Context(), agent, ref)
		if err != nil || thread.Status != exchange.StatusInProgress || thread.Executor != "phone" || len(thread.Messages) != 2 {
			t.Fatalf("imported as %+v, %v", thread, err)
		}
		if m := thread.Messages[0]; m.From != "agent" || m.TS.Format(time.RFC3339) != "2026-01-02T09:00:00Z" || string(m.Mess) != `[{"request":{"intent":"Check the fridge","count":2.50}}]` {
			t.Errorf("its request reads %+v %s", m, m.Mess)
		}
		_, err = e.Import(t.Context(), phone, []*messeaf.Thread{parsed(t, strings.ReplaceAll(runningThread, "003", "004")), parsed(t, runningThread)})
		wantCode(t, err, exchange.CodeThreadExists)
		_, err = e.Thread(t.Context(), agent, "2026-01-02-004-check-fridge")
		wantCode(t, err, exchange.CodeThreadNotFound)

		time.Sleep(time.Minute)
		wantCode(t, e.Update(t.Context(), agent, &exchange.Update{Ref: ref, Status: "completed"}), exchange.CodeAlreadyClaimed)
		done := &exchange.Update{Ref: ref, Status: "completed", Mess: []json.RawMessage{json.RawMessage(`{"response":{"content":["Full <b>"]}}`)}}
		if err := e.Update(t.Context(), phone, done); err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		want := strings.NewReplacer(
			"status: in-progress", "status: completed", "updated: 2026-01-02T10:00:00.123456Z", "updated: "+now,
			"    note: kept\n", "    note: kept\n  - action: completed\n    at: "+now+"\n    by: phone\n    ref: "+ref+"/response-002\n",
		).Replace(runningThread) + `---
from: phone
received: ` + now + `
MESS:
  - status:
      re: ` + ref + `
      code: completed
  - response:
      content:
        - Full <b>
`
		before := describe(t, e, agent)
		if got := v1(t, export(t, e, agent, ref)); got != want {
			t.Errorf("exported\n%s\nwant\n%s", got, want)
		}
		shut(t, e)
		e = launch(t, bucket.Store(false))
		agent = letIn(t, e, "home", agentKey)
		if after := describe(t, e, agent); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		if got := v1(t, export(t, e, agent, ref)); got != want {
			t.Errorf("exported from the log\n%s", got)
		}
	})
}

// Ensure that a pending thread whose time has passed is expired when its import is answered, and one whose time
// comes later expires then, with nobody asking.
func TestImportedThreadsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, c := enroll(t, e, "home", "agent")
		pending := func(ref string, expires time.Time) *messeaf.Thread {
			return parsed(t, fmt.Sprintf("ref: %s\nrequestor: agent\nstatus: pending\ncreated: 2000-01-01T00:00:00Z\nupdated: 2000-01-01T00:00:00Z\nexpires: %s\nintent: x\n", ref, expires.UTC().Format(time.RFC3339)))
		}
		states := bringIn(t, e, c, pending("2000-01-01-LATE", time.Now().Add(-time.Hour)), pending("2000-01-01-SOON", time.Now().Add(time.Hour)))
		if fmt.Sprint(states) != "[{2000-01-01-LATE expired} {2000-01-01-SOON pending}]" {
			t.Errorf("imported as %v", states)
		}
		time.Sleep(time.Hour + time.Second)
		if thread, err := e.Thread(t.Context(), c, "2000-01-01-SOON"); err != nil || thread.Status != exchange.StatusExpired {
			t.Errorf("an hour later it is %+v, %v", thread, err)
		}
		if got := export(t, e, c, "2000-01-01-LATE").View(); got.Status != exchange.StatusExpired || len(got.History) != 1 || got.History[0].By != "-" {
			t.Errorf("exported as %+v", got)
		}
	})
}

// Ensure that an import which can't be stored says what to do and leaves nothing behind: too large, with a ref
// that is here, or on a store that takes no files.
func TestImportIsAllOrNothing(t *testing.T) {
	threads, _ := canonical(t)
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		large := func(ref string) *messeaf.Thread {
			return parsed(t, strings.NewReplacer("2026-01-02-003-check-fridge", ref, "mood: calm", "mood: "+strings.Repeat("x", 8<<20)).Replace(runningThread))
		}
		before := fmt.Sprint(bucket.Keys(""))
		nothing := func(what string) {
			t.Helper()
			if after := fmt.Sprint(bucket.Keys("")); after != before {
				t.Errorf("%s: the bucket holds %s, before %s", what, after, before)
			}
			if list, err := e.Threads(t.Context(), c, exchange.Filter{}); err != nil || len(list) > 0 {
				t.Errorf("%s: %v, %v", what, list, err)
			}
		}
		_, err := e.Import(t.Context(), c, []*messeaf.Thread{large("2026-01-01-AAAA"), large("2026-01-01-BBBB")})
		wantCode(t, err, exchange.CodeTooLarge)
		if !strings.Contains(err.Error(), "import fewer threads at once") {
			t.Error(err)
		}
		nothing("too large")

		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "attachments/") {
				return faultblob.Refuse
			}
			return faultblob.None
		})
		_, err = e.Import(t.Context(), c, threads)
		wantCode(t, err, exchange.CodeUnavailable)
		nothing("no files")

		store.OnCall(nil)
		bringIn(t, e, c, parsed(t, runningThread))
		before = fmt.Sprint(bucket.Keys("attachments/"))
		_, err = e.Import(t.Context(), c, append(threads, parsed(t, runningThread)))
		wantCode(t, err, exchange.CodeThreadExists)
		if after := fmt.Sprint(bucket.Keys("attachments/")); after != before {
			t.Errorf("a refused import left %s", after)
		}
	})
}

// Ensure that the files of an import are nobody's litter, to a server that starts from a snapshot as well, and that
// those of an import that was given up are.
func TestImportedFilesAreNotCollected(t *testing.T) {
	threads, _ := canonical(t)
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		store := bucket.Store(false)
		e := launchWith(t, store, Options{SnapshotAfter: 1})
		key, c := enroll(t, e, "home", "agent")
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "events/") && op.Kind != faultblob.Get {
				return faultblob.Refuse
			}
			return faultblob.None
		})
		_, err := e.Import(t.Context(), c, threads)
		wantCode(t, err, exchange.CodeUnavailable)
		store.OnCall(nil)
		bringIn(t, e, c, threads...)
		if n := len(bucket.Keys("attachments/")); n != 2 {
			t.Fatalf("%d files were stored", n)
		}
		time.Sleep(time.Minute) // the snapshot
		shut(t, e)
		e = launch(t, bucket.Store(false))
		time.Sleep(collectAfter + 2*compactEvery)
		if n := len(bucket.Keys("attachments/")); n != 1 {
			t.Errorf("%d files are left", n)
		}
		c = letIn(t, e, "home", key)
		for _, want := range threads {
			if got := export(t, e, c, want.Ref()); !reflect.DeepEqual(got, want) {
				t.Errorf("%s is exported as another thread", want.Ref())
			}
		}
	})
}
