package engine

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
)

// litter leaves one attachment that an event names and one that none does, and a stranger's file.
func litter(t *testing.T, e *Engine, bucket *faultblob.Bucket) (agent Caller, ref, named string) {
	t.Helper()
	_, agent = enroll(t, e, "home", "agent")
	ref = post(t, e, agent, "look")
	answerWith(t, e, agent, ref, `{"image":"`+photo(1)+`"}`)
	named = bucket.Keys("attachments/")[0]
	if _, err := e.Upload(t.Context(), agent, ref, "x.jpg", "image/jpeg", strings.NewReader("forgotten")); err != nil {
		t.Fatal(err)
	}
	bucket.Put("attachments/exchange=home/notes.txt", []byte("a stranger's"))
	bucket.Put("attachments/exchange=away/"+ref+"/"+path.Base(newAttachmentKey("away", ref, "")), []byte("of an exchange that is not here"))
	return agent, ref, named
}

// Ensure that what no event names is deleted after a week and not before, by a server that runs, and nothing else is,
// though the server learned of it from a snapshot, or from another replica a moment ago.
func TestCollect(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			bucket.AllowMerges()
			e := launchWith(t, bucket.Store(shared), Options{SnapshotAfter: 1})
			_, _, named := litter(t, e, bucket)
			time.Sleep(time.Minute) // the snapshot
			shut(t, e)
			launch(t, bucket.Store(shared))
			time.Sleep(collectAfter - compactEvery)
			if n := len(bucket.Keys("attachments/")); n != 4 {
				t.Errorf("%d objects before the week is over", n)
			}
			time.Sleep(2*compactEvery + 2*compactSpread)
			if keys := bucket.Keys("attachments/exchange=home/"); len(keys) != 2 || !slices.Contains(keys, named) || len(bucket.Keys("attachments/")) != 3 {
				t.Errorf("after it: %q", bucket.Keys("attachments/"))
			}
		})
	}
}

// Ensure that an attachment is judged at the head: one that another replica named between the listing and the
// judgement stays.
func TestCollectJudgesAtTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		one := launch(t, bucket.Store(true))
		key, agent := enroll(t, one, "home", "agent")
		ref := post(t, one, agent, "look")
		slow := bucket.Store(true)
		two := launch(t, slow)
		letIn(t, two, "home", key)
		a, err := one.Upload(t.Context(), agent, ref, "x.jpg", "image/jpeg", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(latestNaming) // it can just be named, and will be collected long after
		now := time.Now().Add(collectAfter)
		slow.SetClock(func() time.Time { return now }) // a clock that is days ahead, so that the two meet
		var listed atomic.Bool
		slow.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.List && strings.HasPrefix(op.Key, "attachments/") && listed.CompareAndSwap(false, true) {
				answerWith(t, one, agent, ref, `{"image":"`+media.Path("home", ref, path.Base(a.Key))+`"}`)
			}
			return faultblob.None
		})
		opened(t, two, "home").collect()
		if _, there := bucket.Get(a.Key); !listed.Load() || !there {
			t.Errorf("listed %v, there %v", listed.Load(), there)
		}
	})
}

// Ensure that a state which lacks what unknown events did judges nothing, and that a store that fails is tried again.
func TestCollectIsCareful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store, log := bucket.Store(false), &logBuffer{}
		e := launchWith(t, store, Options{Logger: log.logger(), Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
		litter(t, e, bucket)
		x := opened(t, e, "home")
		time.Sleep(collectAfter + time.Hour)
		for kind, fault := range map[faultblob.Kind]faultblob.Fault{faultblob.List: faultblob.Drop, faultblob.Delete: faultblob.Refuse} {
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == kind && strings.HasPrefix(op.Key, "attachments/") {
					return fault
				}
				return faultblob.None
			})
			x.collect()
			if n := len(bucket.Keys("attachments/exchange=home/")); n != 3 {
				t.Errorf("%d objects after a %s failed", n, kind)
			}
		}
		if !strings.Contains(log.String(), "could not be deleted") {
			t.Errorf("it logs\n%s", log)
		}
		store.OnCall(nil)
		unknown := newMachine("home", nil)
		unknown.state.Apply(exchange.Event{Seq: 1, Type: "unheard_of"})
		j := &judge{machine: unknown, sync: func(context.Context) error { return nil }}
		if c, err := collect(t.Context(), store, "home", j); err != nil || c.Deleted != 0 {
			t.Errorf("a state that is not whole judges: %+v, %v", c, err)
		}
		x.collect()
		if n := len(bucket.Keys("attachments/exchange=home/")); n != 2 {
			t.Errorf("%d objects after all", n)
		}
	})
}

// Ensure that the command does the same where no server runs, for more than fit into one judgement, and does not
// read the log where nothing is old.
func TestCollectCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		agent, ref, named := litter(t, e, bucket)
		for i := range collectAtOnce + 5 {
			if i%100 == 0 {
				answerWith(t, e, agent, ref, `{"image":"`+photo(int64(i))+`"}`)
			}
			bucket.Put(newAttachmentKey("home", ref, ""), []byte("orphan"))
		}
		shut(t, e)
		store := bucket.Store(true)
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "events/") {
				t.Errorf("%s of %s, though nothing is old", op.Kind, op.Key)
			}
			return faultblob.None
		})
		if c, err := Collect(t.Context(), store, "home"); err != nil || c.Deleted != 0 {
			t.Errorf("at once: %+v, %v", c, err)
		}
		store.OnCall(nil)
		time.Sleep(collectAfter + time.Second)
		c, err := Collect(t.Context(), store, "home")
		if want := (Collection{collectAtOnce + 6, 6*(collectAtOnce+5) + 9}); err != nil || c != want {
			t.Errorf("got %+v, %v, want %+v", c, err, want)
		}
		if keys := bucket.Keys("attachments/exchange=home/"); len(keys) != 1+11+1 || !slices.Contains(keys, named) {
			t.Errorf("left: %d, %q", len(keys), keys)
		}
		if r := checked(t, store); len(r.Findings) > 0 || len(r.Notes) != 1 {
			t.Errorf("check: %q %q", r.Findings, r.Notes)
		}
	})
}

// Ensure that check finds attachments that are lost or cut, and only counts those that nobody names.
func TestCheckAttachments(t *testing.T) {
	for name, c := range map[string]struct {
		change        func(b *faultblob.Bucket, key string)
		finding, note string
	}{
		"sound":   {change: func(*faultblob.Bucket, string) {}},
		"lost":    {change: func(b *faultblob.Bucket, key string) { b.Remove(key) }, finding: "is missing"},
		"cut":     {change: func(b *faultblob.Bucket, key string) { b.Put(key, []byte("x")) }, finding: "has 1 bytes, and its event says 4796"},
		"orphans": {change: func(b *faultblob.Bucket, key string) { b.Put(newAttachmentKey("home", "", ""), nil) }, note: "1 attachments are named by no event"},
		"strange": {change: func(b *faultblob.Bucket, key string) { b.Put("attachments/exchange=home/x", nil) }, note: "is no attachment"},
	} {
		b := faultblob.New()
		e := launch(t, b.Store(true))
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "look")
		answerWith(t, e, agent, ref, `{"image":"`+photo(1)+`"}`)
		key := b.Keys("attachments/")[0]
		c.change(b, key)
		r := checked(t, b.Store(true))
		findings, notes := strings.Join(r.Findings, "\n"), strings.Join(r.Notes, "\n")
		if len(r.Findings) > 1 || (c.finding == "") != (findings == "") || !strings.Contains(findings, c.finding) || c.finding != "" && (r.First != key || !strings.Contains(findings, ref)) {
			t.Errorf("%s: findings %q of %s", name, r.Findings, r.First)
		}
		if len(r.Notes) > 1 || (c.note == "") != (notes == "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q", name, r.Notes)
		}
	}
}

// Ensure that media are found by name: the newest of a name, made-up names, what is small and stayed where it was.
func TestAttachmentsByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "look")
		answerWith(t, e, agent, ref, `{"image":{"name":"a.png","data":"Zmlyc3Q="}}`)
		answerWith(t, e, agent, ref, `{"content":[{"image":{"name":"a.png","data":"c2Vjb25k"}},"`+photo(1)+`",{"image":{"name":"b.jpg","data":"`+photoOf(2, 9000)+`"}},"data:text/html,<b>"]}`)
		answerWith(t, e, agent, ref, `{"file":{"name":"../../etc/passwd","data":"eA=="}}`)
		for name, want := range map[string]string{
			"a.png": "second image/png", "image-3-2.jpg": string(photoBytes(1, media.Least+700)) + " image/jpeg", "b.jpg": string(photoBytes(2, 9000)) + " image/jpeg",
			"file-3-4.html": "<b> text/html", "file-4-1": "x application/octet-stream",
		} {
			a, err := e.Attachment(t.Context(), agent, ref, name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var b bytes.Buffer
			if _, err := b.ReadFrom(a.Content); err != nil {
				t.Fatal(err)
			}
			a.Content.Close()
			if got := b.String() + " " + a.Type; got != want || a.Tag == "" {
				t.Errorf("%s: got %.40q, want %.40q", name, got, want)
			}
		}
		for name, code := range map[string]exchange.Code{"c.png": exchange.CodeAttachmentNotFound, "image-3-1.png": exchange.CodeAttachmentNotFound, "passwd": exchange.CodeAttachmentNotFound,
			"..": exchange.CodeInvalid, "a/b": exchange.CodeInvalid, `a\b`: exchange.CodeInvalid, "": exchange.CodeInvalid, "a\x00": exchange.CodeInvalid} {
			_, err := e.Attachment(t.Context(), agent, ref, name)
			wantCode(t, err, code)
		}
		_, err := e.Attachment(t.Context(), agent, "2026-02-01-NONE", "a.png")
		wantCode(t, err, exchange.CodeThreadNotFound)
	})
}

// Ensure that a range is read by itself, that a store which is away is a refusal, and that a lost or changed object
// is a fault and no file.
func TestReadAttachment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "look")
		content := photoBytes(3, readAtOnce+readAtOnce/2)
		a, err := e.Upload(t.Context(), agent, ref, "big.jpg", "image/jpeg", bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		answerWith(t, e, agent, ref, `{"image":"`+media.Path("home", ref, path.Base(a.Key))+`"}`)
		read := func(from int64, n int) ([]byte, error) {
			found, err := e.Attachment(t.Context(), agent, ref, "big.jpg")
			if err != nil {
				found, err = e.Attachment(t.Context(), agent, ref, path.Base(a.Key))
			}
			if err != nil {
				return nil, err
			}
			defer found.Content.Close()
			if _, err := found.Content.Seek(from, 0); err != nil {
				return nil, err
			}
			return io.ReadAll(io.LimitReader(found.Content, int64(n)))
		}
		for _, from := range []int64{0, 7, readAtOnce - 3, readAtOnce, int64(len(content)) - 5} {
			for _, n := range []int{1, 10, len(content)} {
				got, err := read(from, n)
				if want := content[from:min(int(from)+n, len(content))]; err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d from %d: %d bytes, %v", n, from, len(got), err)
				}
			}
		}
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "attachments/") {
				return faultblob.Drop
			}
			return faultblob.None
		})
		_, err = read(0, 10)
		wantCode(t, err, exchange.CodeUnavailable)
		store.OnCall(nil)
		bucket.Put(a.Key, []byte("another"))
		_, err = read(0, 10)
		wantCode(t, err, exchange.CodeInternal)
		bucket.Remove(a.Key)
		_, err = read(0, 10)
		wantCode(t, err, exchange.CodeInternal)
	})
}
