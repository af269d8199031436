package engine

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// keyedPhoto is a PATCH with a medium that is kept beside the log.
func keyedPhoto(ref, status, key string, block string) *exchange.Update {
	cmd := keyed(ref, status, key)
	cmd.Mess = []json.RawMessage{json.RawMessage(block)}
	return cmd
}

// Ensure that a keyed command with media is answered again without storing them again, also where it was refused, and
// that a refusal is noted although nothing of its media is stored.
func TestKeyedMediaAreStoredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		_, agent := enroll(t, a, "home", "agent")
		_, phone := enroll(t, a, "home", "phone")
		_, tablet := enroll(t, a, "home", "tablet")
		ref := post(t, a, agent, "door")
		block := `{"response":{"content":["` + photo(7) + `"]}}`
		stored := func() int { return len(bucket.Keys("attachments/")) }
		for i, e := range []*Engine{a, a, b, launch(t, bucket.Store(true))} {
			cmd := keyedPhoto(ref, exchange.StatusInProgress, "photo", block)
			if err := e.Update(t.Context(), phone, cmd); err != nil || cmd.Result.Status != exchange.StatusInProgress {
				t.Fatal(i, cmd.Result, err)
			}
			wantCode(t, e.Update(t.Context(), tablet, keyedPhoto(ref, exchange.StatusClaimed, "late", block)), exchange.CodeAlreadyClaimed)
			if stored() != 1 || notes(bucket) != 2 {
				t.Errorf("after %d times %d attachments are stored, and %d answers", i+1, stored(), notes(bucket))
			}
		}
		if err := a.Update(t.Context(), phone, &exchange.Update{Ref: ref, Status: exchange.StatusPending}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, b.Update(t.Context(), tablet, keyedPhoto(ref, exchange.StatusClaimed, "late", block)), exchange.CodeAlreadyClaimed)
		if err := b.Update(t.Context(), tablet, keyedPhoto(ref, exchange.StatusClaimed, "new", block)); err != nil || stored() != 2 {
			t.Error(stored(), err)
		}
		checkAll(t, bucket, "in the end")
	})
}

// Ensure that a message that names an upload is answered again when the upload is not there any more, that one that
// never was is refused without a note, and that a refusal notes the expiry that it rests on.
func TestKeyedLinksAndExpiries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		_, agent := enroll(t, e, "home", "agent")
		ref := post(t, e, agent, "door")
		answerWith(t, e, agent, ref, `{"response":{"content":["`+photo(7)+`"]}}`)
		key := bucket.Keys("attachments/")[0]
		link := "/api/v1/exchanges/home/requests/" + ref + "/attachments/" + key[len(attachmentFolder("home"))+len(ref)+1:]
		named := func(key string) error {
			return e.Update(t.Context(), agent, keyedPhoto(ref, "", key, `{"response":{"content":[{"image":"`+link+`"}]}}`))
		}
		if err := named("named"); err != nil {
			t.Fatal(err)
		}
		bucket.Remove(key)
		if err := named("named"); err != nil {
			t.Error("answered before, and now", err)
		}
		before := notes(bucket)
		wantCode(t, named("another"), exchange.CodeInvalid)
		if n := notes(bucket); n != before {
			t.Errorf("%d answers became %d", before, n)
		}

		urgentRef := urgent(t, e, agent)
		time.Sleep(time.Minute)
		wantCode(t, e.Update(t.Context(), agent, keyedPhoto(urgentRef, exchange.StatusClaimed, "due", `{"response":{"content":["`+photo(8)+`"]}}`)), exchange.CodeThreadClosed)
		if expiries(bucket) != 1 || notes(bucket) != before+1 {
			t.Errorf("%d expiries, and %d answers became %d", expiries(bucket), before, notes(bucket))
		}
	})
}
