package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
)

// photo is a data: URI of more bytes than stay in a message, another one for each seed.
func photo(seed int64) string { return photoOf(seed, media.Least+700) }

func photoOf(seed int64, size int) string {
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(photoBytes(seed, size))
}

func photoBytes(seed int64, size int) []byte {
	b := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// answerWith adds a message of one block.
func answerWith(t *testing.T, e *Engine, c Caller, ref, block string) {
	t.Helper()
	if err := e.Update(t.Context(), c, &exchange.Update{Ref: ref, Mess: []json.RawMessage{json.RawMessage(block)}}); err != nil {
		t.Fatal("update:", err)
	}
}

// shown returns the messages of a thread as a client gets them.
func shown(t *testing.T, e *Engine, c Caller, ref string) []string {
	t.Helper()
	thread, err := e.Thread(t.Context(), c, ref)
	if err != nil {
		t.Fatal("thread:", err)
	}
	var all []string
	for _, m := range thread.Messages {
		var text bytes.Buffer
		for _, p := range Pieces(&m) {
			if p.Text != nil {
				text.Write(p.Text)
				continue
			}
			r, err := thread.Open(t.Context(), p.Attachment)
			if err != nil {
				t.Fatal("open:", err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			text.WriteString(base64.StdEncoding.EncodeToString(data))
		}
		all = append(all, text.String())
	}
	return all
}

// Ensure that messages with media read back as they were sent, at this replica and another one, from memory and from
// the log, and that the log holds none of the data, not even in the event of the thread.
func TestMediaComeBack(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launch(t, bucket.Store(shared))
			key, agent := enroll(t, e, "home", "agent")
			request := `{"n":2.50,"intent":"look","context":["` + photo(1) + `",{"image":{"data":"` + photo(2) + `","name":"a b.jpg"}}],"big":123456789012345678901}`
			create := &exchange.Create{Intent: "look", Context: []byte(`["` + photo(1) + `",{"image":{"data":"` + photo(2) + `","name":"a b.jpg"}}]`), Request: []byte(request)}
			if err := e.Create(t.Context(), agent, create); err != nil {
				t.Fatal(err)
			}
			ref := create.Result.Ref
			blocks := []string{`{"video":{"data":"` + photo(3)[len("data:image/jpeg;base64,"):] + `"}}`, `{"text":"\u0022attachments\":[{\"key\":"}`, `{"image":"` + photo(4) + `"}`}
			update := &exchange.Update{Ref: ref, Status: "in_progress"}
			for _, b := range blocks {
				update.Mess = append(update.Mess, json.RawMessage(b))
			}
			if err := e.Update(t.Context(), agent, update); err != nil {
				t.Fatal(err)
			}
			want := []string{
				`[{"request":` + request + `}]`,
				`[{"status":{"re":"` + ref + `","code":"in_progress"}},` + strings.Join(blocks, ",") + `]`,
			}
			if got := shown(t, e, agent, ref); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("from memory: got %.400s", got)
			}
			shut(t, e)
			e = launch(t, bucket.Store(shared))
			agent = letIn(t, e, "home", key)
			for _, from := range []string{"the log", "memory again"} {
				if got := shown(t, e, agent, ref); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("from %s: got %.400s", from, got)
				}
			}
			for _, key := range bucket.Keys("events/") {
				if data, _ := bucket.Get(key); len(data) > 4000 {
					t.Errorf("%s has %d bytes", key, len(data))
				}
			}
			if keys := bucket.Keys("attachments/exchange=home/" + ref + "/"); len(keys) != 4 {
				t.Errorf("kept: %q", keys)
			}
			if r := checked(t, bucket.Store(true)); len(r.Findings)+len(r.Notes) > 0 {
				t.Errorf("check: %q %q", r.Findings, r.Notes)
			}
		})
	}
}

// Ensure that what would be refused is not stored, and that a store that is full or away refuses all of it.
func TestRefusedMediaAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(false)
		e := launch(t, store)
		_, agent := enroll(t, e, "home", "agent")
		_, phone := enroll(t, e, "home", "phone")
		ref := post(t, e, agent, "look")
		mess := []json.RawMessage{[]byte(`{"image":"` + photo(1) + `"}`)}
		if err := e.Update(t.Context(), agent, &exchange.Update{Ref: ref, Status: "claimed"}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, e.Update(t.Context(), phone, &exchange.Update{Ref: ref, Status: "completed", Mess: mess}), exchange.CodeAlreadyClaimed)
		mess = []json.RawMessage{[]byte(`{"image":"` + photo(1) + `"}`)}
		wantCode(t, e.Update(t.Context(), phone, &exchange.Update{Ref: "2026-02-01-NONE", Mess: mess}), exchange.CodeThreadNotFound)
		head := len(bucket.Keys("events/"))
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "attachments/") {
				return faultblob.Refuse
			}
			return faultblob.None
		})
		mess = []json.RawMessage{[]byte(`{"image":"` + photo(1) + `"}`)}
		wantCode(t, e.Update(t.Context(), phone, &exchange.Update{Ref: ref, Mess: mess}), exchange.CodeUnavailable)
		if keys := bucket.Keys("attachments/"); len(keys) != 0 || len(bucket.Keys("events/")) != head {
			t.Errorf("stored: %q", keys)
		}
	})
}

// Ensure that a request with a key that is sent again stores nothing again, and that one which is refused is recorded
// as refused, though it has media.
func TestKeyedMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		_, agent := enroll(t, e, "home", "agent")
		_, phone := enroll(t, e, "home", "phone")
		ref := post(t, e, agent, "look")
		update := func(c Caller, key, status string) error {
			u := &exchange.Update{Ref: ref, Status: status, Mess: []json.RawMessage{[]byte(`{"image":"` + photo(1) + `"}`)}}
			u.Once = exchange.NewOnce(key, "PATCH", "/", []byte(status))
			err := e.Update(t.Context(), c, u)
			if err == nil && u.Result.Ref != ref {
				t.Errorf("answered %+v", u.Result)
			}
			return err
		}
		for range 3 {
			if err := update(agent, "first", "in_progress"); err != nil {
				t.Fatal(err)
			}
		}
		if n, keys := len(shown(t, e, agent, ref)), bucket.Keys("attachments/"); n != 2 || len(keys) != 1 {
			t.Errorf("%d messages, attachments %q", n, keys)
		}
		wantCode(t, update(phone, "second", "completed"), exchange.CodeAlreadyClaimed)
		if err := e.Update(t.Context(), agent, &exchange.Update{Ref: ref, Status: "pending"}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, update(phone, "second", "completed"), exchange.CodeAlreadyClaimed) // as the first time
		wantCode(t, update(phone, "second", "failed"), exchange.CodeKeyReused)
		if r := checked(t, bucket.Store(true)); len(r.Findings) > 0 {
			t.Errorf("check: %q", r.Findings)
		}
	})
}

// Ensure that an attachment that was collected while its commit stood still for days is put back before the answer.
func TestLateCommitLooksAgain(t *testing.T) {
	for _, stood := range []time.Duration{time.Hour, 25 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			store := bucket.Store(false)
			e := launch(t, store)
			_, agent := enroll(t, e, "home", "agent")
			ref := post(t, e, agent, "look")
			now := time.Now()
			store.SetClock(func() time.Time { return now })
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, "events/") {
					now = now.Add(stood)
					for _, key := range bucket.Keys("attachments/") {
						bucket.Remove(key)
					}
				}
				return faultblob.None
			})
			answerWith(t, e, agent, ref, `{"image":"`+photo(1)+`"}`)
			if n := len(bucket.Keys("attachments/")); (n == 1) != (stood > lookAgainAfter) {
				t.Errorf("%d attachments after %s", n, stood)
			}
			if stood > lookAgainAfter {
				if got := shown(t, e, agent, ref)[1]; got != `[{"image":"`+photo(1)+`"}]` {
					t.Errorf("got %.100s", got)
				}
			}
		})
	}
}

// Ensure that uploads are named by the message that links to them, if they are of its thread, there and young.
func TestUploadsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		key, agent := enroll(t, e, "home", "agent")
		ref, other := post(t, e, agent, "look"), post(t, e, agent, "look elsewhere")
		upload := func(ref string) string {
			a, err := e.Upload(t.Context(), agent, ref, "front door.jpg", "image/jpeg", bytes.NewReader(photoBytes(1, 10)))
			if err != nil {
				t.Fatal(err)
			}
			return media.Path("home", ref, path.Base(a.Key))
		}
		uri, foreign := upload(ref), upload(other)
		_, err := e.Attachment(t.Context(), agent, ref, path.Base(uri))
		wantCode(t, err, exchange.CodeAttachmentNotFound)
		answerWith(t, e, agent, ref, `{"image":{"name":"Front door.jpg","uri":"`+uri+`","mime":"image/webp"}}`)
		answerWith(t, e, agent, ref, `{"content":[{"video":"https://example.com`+uri+`"},{"image":{"uri":"`+foreign+`"}},{"image":"https://example.com/x`+uri+`"}]}`)
		answerWith(t, e, agent, ref, `{"file":"https://other.example.com`+strings.Replace(uri, "front", "back", 1)+`"}`)

		e2 := launch(t, bucket.Store(true)) // another replica
		agent2 := letIn(t, e2, "home", key)
		thread, err := e2.Thread(t.Context(), agent2, ref)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"", "1 Front door.jpg image/webp 10", "1 front_door.jpg image/jpeg 10", ""} {
			got := ""
			if all := thread.Messages[i].Attachments; len(all) > 0 {
				got = fmt.Sprint(len(all), " ", all[0].Name, " ", all[0].Type, " ", all[0].Size)
			}
			if got != want {
				t.Errorf("message %d names %q, want %q", i, got, want)
			}
		}
		for _, name := range []string{path.Base(uri), "Front door.jpg"} {
			a, err := e2.Attachment(t.Context(), agent2, ref, name)
			if err != nil {
				t.Fatal(name, err)
			}
			if b, err := io.ReadAll(a.Content); err != nil || !bytes.Equal(b, photoBytes(1, 10)) {
				t.Errorf("%s: %q, %v", name, b, err)
			}
			a.Content.Close()
		}
		for _, gone := range []string{media.Path("home", ref, path.Base(newAttachmentKey("home", ref, "x.jpg")))} {
			wantCode(t, e.Update(t.Context(), agent, &exchange.Update{Ref: ref, Mess: []json.RawMessage{[]byte(`{"image":"` + gone + `"}`)}}), exchange.CodeInvalid)
		}
		shut(t, e2) // watching for days costs
		late := upload(ref)
		time.Sleep(latestNaming + time.Hour)
		wantCode(t, e.Update(t.Context(), agent, &exchange.Update{Ref: ref, Mess: []json.RawMessage{[]byte(`{"image":"` + late + `"}`)}}), exchange.CodeInvalid)
		answerWith(t, e, agent, ref, `{"image":"`+uri+`"}`) // named before, so it stays
	})
}

// Ensure that uploads are bounded, refused for what is not there, and leave nothing when they break off.
func TestUploadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "look")
		_, err := e.Upload(t.Context(), agent, "2026-02-01-NONE", "x", "image/png", strings.NewReader("x"))
		wantCode(t, err, exchange.CodeThreadNotFound)
		done := make(chan error)
		hold := make(chan struct{})
		slow := func(c Caller, n int) {
			for range n {
				go func() {
					r, w := io.Pipe()
					go func() {
						<-hold
						w.CloseWithError(refuse(exchange.CodeTooLarge, "too large"))
					}()
					_, err := e.Upload(t.Context(), c, ref, "x", "image/png", r)
					done <- err
				}()
			}
			synctest.Wait()
		}
		slow(agent, maxOwnUploads)
		_, err = e.Upload(t.Context(), agent, ref, "x", "image/png", strings.NewReader("x"))
		wantCode(t, err, exchange.CodeOverloaded)
		for i := range maxUploads/maxOwnUploads - 1 {
			_, other := enroll(t, e, "home", fmt.Sprintf("other%d", i))
			if _, err := e.Upload(t.Context(), other, ref, "x", "image/png", strings.NewReader("x")); err != nil {
				t.Errorf("another's, while one executor has all of its own: %v", err)
			}
			slow(other, maxOwnUploads)
		}
		_, late := enroll(t, e, "home", "late")
		_, err = e.Upload(t.Context(), late, ref, "x", "image/png", strings.NewReader("x"))
		wantCode(t, err, exchange.CodeOverloaded)
		close(hold)
		for range maxUploads {
			wantCode(t, <-done, exchange.CodeTooLarge)
		}
		if _, err := e.Upload(t.Context(), agent, ref, "x", "image/png", strings.NewReader("x")); err != nil || len(bucket.Keys("attachments/")) != maxUploads/maxOwnUploads || len(e.uploads.by) != 0 {
			t.Errorf("after them: %v, %q", err, bucket.Keys("attachments/"))
		}
	})
}
