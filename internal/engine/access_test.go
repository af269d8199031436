package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that a rotated key is dead at once, here and at another replica, that the new one opens at both and
// after a restart, and that the profile object tells of it.
func TestRotateKey(t *testing.T) {
	for _, shared := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			a := launch(t, bucket.Store(shared))
			b := a
			if shared {
				b = launch(t, bucket.Store(true))
			}
			old, c := enroll(t, a, "home", "my-phone")
			_, other := enroll(t, a, "home", "other")
			letIn(t, b, "home", old)
			for range 3 {
				key, err := a.RotateKey(t.Context(), c, "my-phone")
				if err != nil || key == old {
					t.Fatal(key, err)
				}
				_, err = b.Threads(t.Context(), c, exchange.Filter{})
				wantCode(t, err, exchange.CodeUnauthorized)
				wantCode(t, b.Create(t.Context(), c, request("x")), exchange.CodeUnauthorized)
				_, err = b.RotateKey(t.Context(), c, "my-phone")
				wantCode(t, err, exchange.CodeUnauthorized)
				for _, e := range []*Engine{a, b} {
					_, err = e.Authenticate(t.Context(), "home", old)
					wantCode(t, err, exchange.CodeUnauthorized)
					c = letIn(t, e, "home", key)
				}
				if m := members(t, bucket, phoneProfile); m["api_key_hash"] != `"`+auth.Hash(key)+`"` {
					t.Errorf("the profile holds %s", m["api_key_hash"])
				}
				old = key
			}
			for _, id := range []string{"other", "nobody", ""} {
				_, err := b.RotateKey(t.Context(), c, id)
				wantCode(t, err, exchange.CodeNotYourProfile)
			}
			post(t, b, other, "others go on")
			shut(t, a)
			letIn(t, launch(t, bucket.Store(shared)), "home", old)
		})
	}
}

// Ensure that of rotations at once one at a time counts: only one is answered per key, and that key opens.
func TestRotationsRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, c := enroll(t, a, "home", "my-phone")
		letIn(t, b, "home", key)
		keys := make(chan string, 20)
		var calls sync.WaitGroup
		for i := range cap(keys) {
			calls.Go(func() {
				key, err := []*Engine{a, b}[i%2].RotateKey(t.Context(), c, "my-phone")
				if err == nil {
					keys <- key
				} else {
					wantCode(t, err, exchange.CodeUnauthorized)
				}
			})
		}
		calls.Wait()
		if len(keys) != 1 {
			t.Fatalf("%d rotations with one key", len(keys))
		}
		letIn(t, b, "home", <-keys)
	})
}

// Ensure that a profile which can't be written does not keep back a new key for long, since nobody else has
// it, and that the next change of the profile tells of it.
func TestRotateKeyWithoutTheProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(true)
		var log logBuffer
		e := launchWith(t, store, Options{Logger: log.logger()})
		_, c := enroll(t, e, "home", "my-phone")
		store.OnCall(func(ctx context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key == phoneProfile {
				<-ctx.Done() // the store hangs
				return faultblob.Drop
			}
			return faultblob.None
		})
		began := time.Now()
		key, err := e.RotateKey(t.Context(), c, "my-phone")
		if err != nil || time.Since(began) > afterwards {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		store.OnCall(nil)
		if !strings.Contains(log.String(), "a new key's hash") || strings.Contains(log.String(), key) {
			t.Error(log.String())
		}
		c = letIn(t, e, "home", key)
		if err := e.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{}); err != nil {
			t.Fatal(err)
		}
		if m := members(t, bucket, phoneProfile); m["api_key_hash"] != `"`+auth.Hash(key)+`"` {
			t.Errorf("the profile holds %s", m["api_key_hash"])
		}
	})
}

// Ensure that who leaves is nobody any more, at both replicas and after a restart; that what he held is
// anybody's, and that his settings are gone.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		_, agent := enroll(t, a, "home", "agent")
		key, phone := enroll(t, a, "home", "my-phone")
		letIn(t, b, "home", key)
		held := post(t, a, agent, "held")
		if err := a.Update(t.Context(), phone, &exchange.Update{Ref: held, Status: "claimed"}); err != nil {
			t.Fatal(err)
		}
		woken := make(chan error)
		go func() {
			_, err := b.Wait(t.Context(), phone, 100)
			woken <- err
		}()
		synctest.Wait()
		for _, id := range []string{"agent", "nobody", ""} {
			wantCode(t, a.Remove(t.Context(), phone, id), exchange.CodeNotYourProfile)
		}
		if err := a.Remove(t.Context(), phone, "my-phone"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, <-woken, exchange.CodeUnauthorized)
		if _, there := bucket.Get(phoneProfile); there {
			t.Error("the profile is still there")
		}
		for range 2 {
			for _, e := range []*Engine{b, a} {
				_, err := e.Authenticate(t.Context(), "home", key)
				wantCode(t, err, exchange.CodeUnauthorized)
				wantCode(t, e.Remove(t.Context(), phone, "my-phone"), exchange.CodeUnauthorized)
				_, err = e.Profile(t.Context(), agent, "my-phone")
				wantCode(t, err, exchange.CodeExecutorNotFound)
				all, err := e.Executors(t.Context(), agent)
				if err != nil || len(all) != 1 || all[0].ID != "agent" {
					t.Error(all, err)
				}
				for id, want := range map[string]exchange.Code{"my-phone": exchange.CodeAlreadyRegistered, "My-Phone": exchange.CodeNameTaken} {
					_, err = e.Register(t.Context(), "home", Registration{ExecutorID: id})
					wantCode(t, err, want)
				}
			}
			shut(t, a)
			shut(t, b)
			a, b = launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		}
		thread, err := a.Thread(t.Context(), agent, held)
		if err != nil || thread.Status != "pending" || thread.Executor != "" || len(thread.Messages) != 1 {
			t.Error(thread, err)
		}
	})
}

// Ensure that who holds more threads than one commit gives back leaves all the same.
func TestRemoveWithManyThreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, phone := enroll(t, e, "home", "my-phone")
		_, agent := enroll(t, e, "home", "agent")
		const threads = 10_050
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				for range threads / 50 {
					cmd := request("x")
					if err := e.Create(t.Context(), phone, cmd); err != nil {
						t.Error(err)
						return
					}
					if err := e.Update(t.Context(), phone, &exchange.Update{Ref: cmd.Result.Ref, Status: "claimed"}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		calls.Wait()
		if err := e.Remove(t.Context(), phone, "my-phone"); err != nil {
			t.Fatal(err)
		}
		pending, err := e.Threads(t.Context(), agent, exchange.Filter{Status: "pending"})
		if err != nil || len(pending) != threads {
			t.Errorf("%d are pending, %v", len(pending), err)
		}
	})
}

// Ensure that a profile object which a removal left over is deleted within a day, and no other.
func TestLeftoverProfiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		bucket.AllowMerges()
		store := bucket.Store(true)
		var log logBuffer
		e := launchWith(t, store, Options{Logger: log.logger()})
		_, c := enroll(t, e, "home", "my-phone")
		enroll(t, e, "home", "agent")
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Delete {
				return faultblob.Refuse
			}
			return faultblob.None
		})
		if err := e.Remove(t.Context(), c, "my-phone"); err != nil {
			t.Fatal(err)
		}
		store.OnCall(nil)
		bucket.Put("executors/exchange=home/stray.json", []byte("{}"))
		if _, there := bucket.Get(phoneProfile); !there || !strings.Contains(log.String(), "still there") {
			t.Fatal("no leftover:", log.String())
		}
		r, err := Check(t.Context(), bucket.Store(true), "home")
		if err != nil || len(r.Findings) != 1 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "who was removed") || !strings.Contains(fmt.Sprint(r.Findings), "stray.json") {
			t.Errorf("check says %q and %q, %v", r.Findings, r.Notes, err)
		}
		time.Sleep(compactEvery + 2*compactSpread)
		if got := fmt.Sprint(bucket.Keys("executors/")); got != "[executors/exchange=home/agent.json executors/exchange=home/stray.json]" {
			t.Error(got)
		}
	})
}

// Ensure that a change of a profile which is under way while its executor leaves does not bring it back.
func TestUpdateProfileOfOneWhoLeaves(t *testing.T) {
	for _, point := range []faultblob.Kind{faultblob.Get, faultblob.Put} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			store := bucket.Store(true)
			a, b := launch(t, store), launch(t, bucket.Store(true))
			key, c := enroll(t, a, "home", "my-phone")
			letIn(t, b, "home", key)
			var once sync.Once
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == point && op.Key == phoneProfile {
					once.Do(func() {
						if err := b.Remove(t.Context(), c, "my-phone"); err != nil {
							t.Error(err)
						}
					})
				}
				return faultblob.None
			})
			wantCode(t, a.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{Settings: settings(`{"hooks":{}}`)}), exchange.CodeUnauthorized)
			if data, there := bucket.Get(phoneProfile); there {
				t.Errorf("at a %s: it came back: %s", point, data)
			}
		})
	}
}

// Ensure that one sees all of oneself, masked, of others what the list shows, and of nobody nothing.
func TestProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(true)
		e := launch(t, store)
		_, agent := enroll(t, e, "home", "agent")
		key, err := e.Register(t.Context(), "home", Registration{ExecutorID: "my-phone", DisplayName: "Phone", Capabilities: []string{"a"},
			Settings: settings(`{"notifications":[{"type":"slack","webhook_url":"https://hooks.slack.com/services/T/B/x"}],"preferences":{"min_priority":"urgent"},"pin":1234}`)})
		if err != nil {
			t.Fatal(err)
		}
		phone := letIn(t, e, "home", key)
		show := func(c Caller, id string) string {
			p, err := e.Profile(t.Context(), c, id)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(p.Settings)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%s %s %s %v %v %s", p.ID, p.DisplayName, p.Capabilities, p.CreatedAt.IsZero(), p.LastSeen.IsZero(), text)
		}
		own := `{"notifications":[{"type":"slack","webhook_url":"https://hooks.slack.com/…"}],"pin":"***","preferences":{"min_priority":"urgent"}}`
		if got, want := show(phone, "my-phone"), "my-phone Phone [a] false false "+own; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got, want := show(agent, "my-phone"), "my-phone Phone [a] false false null"; got != want {
			t.Errorf("another's: got %s", got)
		}
		for _, id := range []string{"nobody", "", "../agent", "My-Phone"} {
			_, err := e.Profile(t.Context(), agent, id)
			wantCode(t, err, exchange.CodeExecutorNotFound)
		}
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key == phoneProfile {
				return faultblob.Drop
			}
			return faultblob.None
		})
		_, err = e.Profile(t.Context(), phone, "my-phone")
		wantCode(t, err, exchange.CodeUnavailable)
		show(agent, "my-phone") // needs no object
		store.OnCall(nil)
		for _, damaged := range []string{"", "[]", "{", `"x"`, "null"} {
			bucket.Put(phoneProfile, []byte(damaged))
			if got := show(phone, "my-phone"); !strings.HasSuffix(got, " {}") {
				t.Errorf("of the object %q: %s", damaged, got)
			}
		}
		bucket.Remove(phoneProfile)
		if got := show(phone, "my-phone"); !strings.HasSuffix(got, " {}") {
			t.Error("without an object:", got)
		}
		revoke(t, e, "home", "my-phone")
		_, err = e.Profile(t.Context(), phone, "my-phone")
		wantCode(t, err, exchange.CodeUnauthorized)
	})
}

// Ensure that what was shown masked is not taken for settings, and changes nothing.
func TestMaskedSettingsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "my-phone")
		before, _ := bucket.Get(phoneProfile)
		for _, object := range []string{
			`{"notifications":[{"type":"ntfy","topic":"***"}]}`, `{"pin":"***"}`, `{"a":{"b":[1,{"url":"https://hooks.slack.com/…"}]}}`, `{"url":"http://x/\u2026"}`,
		} {
			wantCode(t, e.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{Settings: settings(object)}), exchange.CodeInvalid)
			_, err := e.Register(t.Context(), "home", Registration{ExecutorID: "x", Settings: settings(object)})
			wantCode(t, err, exchange.CodeInvalid)
		}
		if after, _ := bucket.Get(phoneProfile); string(after) != string(before) {
			t.Errorf("written: %s", after)
		}
		for _, object := range []string{`{"a":"****","b":"**","c":"and so on …","d":"https://hooks.slack.com/...","***":1,"id":"***"}`} {
			if err := e.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{Settings: settings(object)}); err != nil {
				t.Errorf("%s: %v", object, err)
			}
		}
	})
}

// Ensure that settings which could not work are refused with a sentence that names the field, also before it is
// looked at whose profile it is, and that nothing is stored of them.
func TestSettingsThatCannotWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, c := enroll(t, e, "home", "my-phone")
		before, keys := members(t, bucket, phoneProfile), len(bucket.Keys(""))
		for object, want := range map[string]string{
			`{"notifications":[{"type":"ntfy","topic":"t"},{"type":"pager"}]}`:                          "notifications[1].type: must be one of ntfy, slack, google_chat, webhook",
			`{"hooks":{"on_request_created":[{"type":"todoist"}]},"other":1}`:                           "hooks.on_request_created[0].token: is required",
			`{"preferences":{"quiet_hours":{"enabled":true,"timezone":"Mars/Olympus"}}}`:                "preferences.quiet_hours.timezone: must be the name of a time zone such as Europe/Berlin",
			`{"other":1,"notifications":[{"type":"webhook","url":"https://u:pw@h/"}],"preferences":{}}`: "notifications[0].url: must not hold a user name or password",
		} {
			for _, id := range []string{"my-phone", "another"} {
				err := e.UpdateProfile(t.Context(), c, id, ProfileUpdate{Settings: settings(object)})
				if wantCode(t, err, exchange.CodeInvalid); err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
			}
			_, err := e.Register(t.Context(), "home", Registration{ExecutorID: "x", Settings: settings(object)})
			if wantCode(t, err, exchange.CodeInvalid); err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			_, err = e.Register(t.Context(), "elsewhere", Registration{ExecutorID: "x", Settings: settings(object)})
			wantCode(t, err, exchange.CodeInvalid)
		}
		if after := members(t, bucket, phoneProfile); !maps.Equal(after, before) || len(bucket.Keys("")) != keys {
			t.Errorf("written: %v, %d objects", after, len(bucket.Keys("")))
		}
	})
}

// Ensure that a key is recognized without asking the store where this replica knows it, and not where it
// is wrong or dead.
func TestRecognizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := bucket.Store(true)
		e := launch(t, store)
		key, c := enroll(t, e, "home", "my-phone")
		calls := 0
		store.OnCall(func(context.Context, faultblob.Op) faultblob.Fault {
			calls++
			return faultblob.None
		})
		for text, want := range map[string]bool{key: true, key + "0": false, "mess_nowhere_0123": false, "": false, "x": false, strings.Repeat("mess_", 1<<20): false} {
			if e.Recognizes(text) != want {
				t.Errorf("%.40q: %v", text, !want)
			}
		}
		if calls > 0 {
			t.Errorf("%d calls of the store", calls)
		}
		if err := e.Prove(t.Context(), c); err != nil {
			t.Error(err)
		}
		revoke(t, e, "home", "my-phone")
		if e.Recognizes(key) {
			t.Error("a dead key is recognized")
		}
		wantCode(t, e.Prove(t.Context(), c), exchange.CodeUnauthorized)
	})
}
