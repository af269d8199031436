package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const publicURL = "https://mess.example.org/mess"

func launchPublic(t *testing.T, store Store) *Engine {
	t.Helper()
	return launchWith(t, store, Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }, Notify: Notify{PublicURL: publicURL}})
}

// linkTo returns the token of a link that was made now.
func linkTo(t *testing.T, e *Engine, executorID, ref string) string {
	t.Helper()
	x := opened(t, e, "home")
	executor, ok := x.executor(executorID)
	if !ok {
		t.Fatal("no executor", executorID)
	}
	url, err := x.claimURL(t.Context(), executor, ref, e.store.Now())
	if err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutPrefix(url, publicURL+"/a/")
	if !ok || len(token) > 300 {
		t.Fatalf("got %s", url)
	}
	return token
}

// Ensure that a link claims the request for the executor whom it was sent to, once, at every replica and after a
// restart; and that looking at it changes nothing.
func TestClaimByLink(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launchPublic(t, bucket.Store(shared))
			_, agent := enroll(t, e, "home", "agent")
			enroll(t, e, "home", "phone")
			ref := post(t, e, agent, "Check the door")
			token := linkTo(t, e, "phone", ref)
			if again := linkTo(t, e, "phone", ref); again != token {
				t.Errorf("got %s, then %s", token, again)
			}
			if shared {
				other := launchPublic(t, bucket.Store(true))
				time.Sleep(time.Second)
				if same, err := other.ReadLink(t.Context(), token); err != nil || same.Thread.Ref != ref {
					t.Error("another replica:", same, err)
				}
			} else {
				shut(t, e)
				e = launchPublic(t, bucket.Store(false))
			}
			before := len(bucket.Keys("events/"))
			for range 3 {
				got, err := e.ReadLink(t.Context(), token)
				if err != nil || got.Executor != "phone" || got.Thread.Ref != ref || got.Thread.Status != "pending" || got.Thread.Executor != "" {
					t.Fatal("read:", got, err)
				}
			}
			if after := len(bucket.Keys("events/")); after != before {
				t.Errorf("reading wrote %d objects", after-before)
			}
			for i := range 3 {
				got, err := e.ClaimByLink(t.Context(), token)
				if err != nil || got.Executor != "phone" || got.Thread.Status != "claimed" || got.Thread.Executor != "phone" {
					t.Fatal("claim:", got, err)
				}
				if after := len(bucket.Keys("events/")); after != before+1 {
					t.Errorf("after claim %d: %d objects more", i+1, after-before)
				}
			}
			if broken := bucket.Broken(); broken != nil {
				t.Error(broken)
			}
		})
	}
}

// Ensure that nothing but the token itself opens: not one with any bit changed, cut, or prolonged, nor one that was
// signed for somebody else, and that no answer tells which of these it was.
func TestForgedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launchPublic(t, faultblob.New().Store(false))
		_, agent := enroll(t, e, "home", "agent")
		enroll(t, e, "home", "phone")
		enroll(t, e, "home", "other")
		enroll(t, e, "office", "phone")
		ref := post(t, e, agent, "Check the door")
		token := linkTo(t, e, "phone", ref)
		link, _, _, ok := readClaimLink(token)
		if !ok {
			t.Fatal("it can't be read")
		}
		phone, _ := opened(t, e, "home").executor("phone")
		secret := e.links.get(phone)
		forged := []string{"", "x", "====", token + "A", token + "=", token[1:], token[:len(token)-1], strings.Repeat("A", maxClaimToken+1), strings.Repeat("A", maxClaimToken)}
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * len(raw) {
			changed := append([]byte{}, raw...)
			changed[bit/8] ^= 1 << (bit % 8)
			forged = append(forged, base64.RawURLEncoding.EncodeToString(changed))
		}
		for _, change := range []func(*claimLink){
			func(l *claimLink) { l.Executor = "other" }, func(l *claimLink) { l.Executor = "nobody" }, func(l *claimLink) { l.Exchange = "office" },
			func(l *claimLink) { l.Exchange = "nowhere" }, func(l *claimLink) { l.Exchange, l.Executor = "", "" },
		} {
			changed := link
			change(&changed)
			forged = append(forged, changed.token(secret, phone.KeyHash))
		}
		forged = append(forged, link.token(nil, phone.KeyHash), link.token(secret, ""), link.token(secret[1:], phone.KeyHash))
		for _, token := range forged {
			for _, follow := range []func(context.Context, string) (*LinkedThread, error){e.ReadLink, e.ClaimByLink} {
				got, err := follow(t.Context(), token)
				if got != nil || err == nil || err.Error() != errNoLink().Error() {
					t.Errorf("%s: got %v, %v", token, got, err)
				}
				wantCode(t, err, exchange.CodeNotFound)
			}
		}
		if got, err := e.ReadLink(t.Context(), token); err != nil || got.Thread.Status != "pending" {
			t.Error("in the end:", got, err)
		}
	})
}

// Ensure when a link does not work any more: once it has expired, to the second; when its executor has another key,
// or has left; and that what the rules refuse is refused in their words.
func TestLinksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launchPublic(t, faultblob.New().Store(false))
		_, agent := enroll(t, e, "home", "agent")
		_, phone := enroll(t, e, "home", "phone")
		_, robot := enroll(t, e, "home", "robot")
		enroll(t, e, "home", "leaver")
		ref := post(t, e, agent, "Check the door")
		ofPhone, ofRobot, ofLeaver := linkTo(t, e, "phone", ref), linkTo(t, e, "robot", ref), linkTo(t, e, "leaver", ref)
		nothing := linkTo(t, e, "robot", "2000-01-01-NONE")

		wantRefused := func(token string, code exchange.Code) {
			t.Helper()
			_, err := e.ClaimByLink(t.Context(), token)
			wantCode(t, err, code)
		}
		wantRefused(nothing, exchange.CodeThreadNotFound)
		if _, err := e.RotateKey(t.Context(), phone, "phone"); err != nil {
			t.Fatal(err)
		}
		wantRefused(ofPhone, exchange.CodeNotFound)
		leaver, _ := opened(t, e, "home").executor("leaver")
		if err := e.Remove(t.Context(), Caller{Exchange: "home", Caller: exchange.Caller{Executor: "leaver", KeyHash: leaver.KeyHash}}, "leaver"); err != nil {
			t.Fatal(err)
		}
		wantRefused(ofLeaver, exchange.CodeNotFound)
		renewed := linkTo(t, e, "phone", ref)
		if renewed == ofPhone {
			t.Error("the link outlives the key")
		}
		if _, err := e.ClaimByLink(t.Context(), renewed); err != nil {
			t.Fatal(err)
		}
		wantRefused(ofRobot, exchange.CodeAlreadyClaimed)
		if err := e.Update(t.Context(), robot, &exchange.Update{Ref: post(t, e, robot, "x"), Status: "cancelled"}); err != nil {
			t.Fatal(err)
		}

		last := linkTo(t, e, "robot", post(t, e, agent, "Check the window"))
		time.Sleep(claimTime - time.Second)
		if _, err := e.ReadLink(t.Context(), last); err != nil {
			t.Error("in its last second:", err)
		}
		time.Sleep(time.Second)
		wantRefused(last, exchange.CodeForbidden)
		_, err := e.ReadLink(t.Context(), last)
		wantCode(t, err, exchange.CodeForbidden)
	})
}

// Ensure that the secret of links is made once, whoever needs it first, kept through every change of the profile,
// shown to nobody and set by nobody; and that without a public address there is none.
func TestLinkSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launchPublic(t, bucket.Store(true))
		_, agent := enroll(t, e, "home", "agent")
		key, err := e.Register(t.Context(), "home", Registration{ExecutorID: "my-phone", Settings: settings(`{"link_secret":"mine","notifications":[{"type":"ntfy","topic":"t"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		phone := letIn(t, e, "home", key)
		if got := members(t, bucket, phoneProfile)[linkSecretName]; got != "" {
			t.Errorf("registered with %s", got)
		}
		ref := post(t, e, agent, "Check the door")

		// Replicas that make one at the same time come to the same.
		replicas, tokens := []*Engine{e, launchPublic(t, bucket.Store(true)), launchPublic(t, bucket.Store(true))}, make([]string, 3)
		var all sync.WaitGroup
		for i, replica := range replicas {
			letIn(t, replica, "home", key) // opens the exchange there
			all.Go(func() { tokens[i] = linkTo(t, replica, "my-phone", ref) })
		}
		all.Wait()
		stored := members(t, bucket, phoneProfile)[linkSecretName]
		if stored == "" || tokens[0] != tokens[1] || tokens[1] != tokens[2] {
			t.Fatalf("the secret %s, the links %v", stored, tokens)
		}

		name := "My Phone"
		for _, change := range []ProfileUpdate{{DisplayName: &name}, {Settings: settings(`{"link_secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","x":1}`)}, {Settings: settings(`{"link_secret":null,"notifications":null}`)}} {
			if err := e.UpdateProfile(t.Context(), phone, "my-phone", change); err != nil {
				t.Fatal(err)
			}
			if got := members(t, bucket, phoneProfile)[linkSecretName]; got != stored {
				t.Fatalf("changed to %s", got)
			}
		}
		for _, replica := range replicas {
			if got := linkTo(t, replica, "my-phone", ref); got != tokens[0] {
				t.Error("another link after a change of the profile")
			}
			for _, who := range []Caller{phone, agent} {
				p, err := replica.Profile(t.Context(), who, "my-phone")
				shown, _ := json.Marshal(p)
				if err != nil || p.Settings[linkSecretName] != nil || strings.Contains(string(shown), strings.Trim(stored, `"`)) {
					t.Errorf("shown: %s, %v", shown, err)
				}
			}
		}
		checked(t, bucket.Store(true))

		private := launch(t, bucket.Store(true))
		letIn(t, private, "home", key)
		executor, _ := opened(t, private, "home").executor("agent")
		if url, err := opened(t, private, "home").claimURL(t.Context(), executor, ref, time.Now()); url != "" || err != nil || members(t, bucket, "executors/exchange=home/agent.json")[linkSecretName] != "" {
			t.Errorf("without a public address: %q, %v", url, err)
		}
	})
}

// Ensure that a profile which holds something else under the name of the secret gets one.
func TestLinkSecretOfOthers(t *testing.T) {
	for _, held := range []string{`"short"`, `7`, `{}`, `"` + base64.StdEncoding.EncodeToString(make([]byte, 31)) + `"`, `""`} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			e := launchPublic(t, bucket.Store(false))
			enroll(t, e, "home", "my-phone")
			data, _ := bucket.Get(phoneProfile)
			bucket.Put(phoneProfile, bytes.Replace(data, []byte(`"last_seen"`), []byte(`"link_secret": `+held+`, "last_seen"`), 1))
			token := linkTo(t, e, "my-phone", "2026-02-01-XY1Z")
			if got := members(t, bucket, phoneProfile)[linkSecretName]; got == held || len(got) != 46 {
				t.Errorf("%s became %s", held, got)
			}
			if _, err := e.ReadLink(t.Context(), token); codeOf(err) != exchange.CodeThreadNotFound {
				t.Errorf("%s: %v", held, err)
			}
		})
	}
}

// Ensure that secrets in memory are bounded, and that one which is there costs the storage nothing.
func TestLinkSecretsAreKept(t *testing.T) {
	var s linkSecrets
	for range maxLinkSecrets + 10 {
		one := &exchange.Executor{}
		s.put(one, []byte{1})
		if s.get(one) == nil || len(s.all) > maxLinkSecrets {
			t.Fatalf("%d are kept", len(s.all))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(false)
		var calls atomic.Int64
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if strings.HasPrefix(op.Key, "executors/") {
				calls.Add(1)
			}
			return faultblob.None
		})
		e := launchPublic(t, store)
		enroll(t, e, "home", "my-phone")
		token := linkTo(t, e, "my-phone", "2026-02-01-XY1Z")
		before := calls.Load()
		linkTo(t, e, "my-phone", "2026-02-01-XY1Z")
		_, err := e.ReadLink(t.Context(), token)
		wantCode(t, err, exchange.CodeThreadNotFound)
		if after := calls.Load(); before == 0 || after != before {
			t.Errorf("%d calls, then %d", before, after)
		}
	})
}
