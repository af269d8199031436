package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const phoneProfile = "executors/exchange=home/my-phone.json"

func settings(object string) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		panic(err)
	}
	return m
}

// members decodes a stored profile.
func members(t *testing.T, bucket *faultblob.Bucket, key string) map[string]string {
	t.Helper()
	data, ok := bucket.Get(key)
	if !ok {
		t.Fatal("there is no", key)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	m := map[string]string{}
	for name, value := range raw {
		m[name] = string(value)
	}
	return m
}

// Ensure that a registration leaves the original's fields and the settings in the profile object, the
// settings as they were sent, and that a body can't set what only the server sets.
func TestRegisterWritesTheProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		key, err := e.Register(t.Context(), "home", Registration{
			ExecutorID: "my-phone", DisplayName: "My <Phone>", Capabilities: []string{"photo:capture"},
			Settings: settings(`{"big":12345678901234567890.50,"notifications":[{"type":"ntfy","topic":"t"}],
				"api_key_hash":"x","id":"other","last_seen":1,"executor_id":"z","nothing":null}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := bucket.Get(phoneProfile)
		now := `"2000-01-01T00:00:00.000Z"` // when bubbles begin
		want := `{
  "id": "my-phone",
  "exchange_id": "home",
  "display_name": "My <Phone>",
  "capabilities": [
    "photo:capture"
  ],
  "api_key_hash": "` + auth.Hash(key) + `",
  "created_at": ` + now + `,
  "last_seen": ` + now + `,
  "big": 12345678901234567890.50,
  "notifications": [
    {
      "type": "ntfy",
      "topic": "t"
    }
  ]
}
`
		if string(data) != want {
			t.Fatalf("got %s\nwant %s", data, want)
		}
	})
}

// Ensure that ids which would harm paths or queries, and names that differ in case only, are refused
// before anything is stored.
func TestRegisterRefusesNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		enroll(t, e, "home", "my-phone")
		_, err := e.Register(t.Context(), "Home", Registration{ExecutorID: "x"})
		wantCode(t, err, exchange.CodeNameTaken)
		shut(t, e)
		e = launch(t, bucket.Store(false)) // knows its exchanges from the listing now
		stored := len(bucket.Keys(""))
		for _, c := range []struct {
			exchange, executor string
			want               exchange.Code
		}{
			{"null", "x", exchange.CodeInvalid},
			{"NULL", "x", exchange.CodeInvalid},
			{"-schema", "x", exchange.CodeInvalid},
			{"a/b", "x", exchange.CodeInvalid},
			{"a..b", "x", exchange.CodeInvalid},
			{strings.Repeat("a", 65), "x", exchange.CodeInvalid},
			{"", "x", exchange.CodeInvalid},
			{"home", "", exchange.CodeInvalid},
			{"home", "../x", exchange.CodeInvalid},
			{"fresh", "../x", exchange.CodeInvalid},
			{"home", "my-phone", exchange.CodeAlreadyRegistered},
			{"home", "My-Phone", exchange.CodeNameTaken},
			{"Home", "x", exchange.CodeNameTaken},
		} {
			_, err := e.Register(t.Context(), c.exchange, Registration{ExecutorID: c.executor})
			wantCode(t, err, c.want)
		}
		if now := bucket.Keys(""); len(now) != stored {
			t.Fatal("something was stored:", now)
		}
	})
}

// spelling is a store on a file system that does not tell cases apart.
type spelling struct {
	*faultblob.Store
	bucket *faultblob.Bucket
}

func (s spelling) Spelling(_ context.Context, folder, name string) (string, error) {
	for _, key := range s.bucket.Keys(folder) {
		entry, _, _ := strings.Cut(strings.TrimPrefix(key, folder), "/")
		if entry != name && strings.EqualFold(entry, name) {
			return entry, nil
		}
	}
	return "", nil
}

// Ensure that a stray folder or file in another case is not shared with a new exchange or executor.
func TestRegisterLooksAtStoredSpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, spelling{bucket.Store(false), bucket})
		enroll(t, e, "home", "agent")
		bucket.Put("events/exchange=Office/2026/01/01/x.jsonl", nil)
		bucket.Put("executors/exchange=Attic/x.json", nil)
		bucket.Put("executors/exchange=home/Lamp.json", nil)
		for _, c := range [][2]string{{"office", "x"}, {"attic", "x"}, {"home", "lamp"}} {
			_, err := e.Register(t.Context(), c[0], Registration{ExecutorID: c[1]})
			wantCode(t, err, exchange.CodeNameTaken)
		}
	})
}

// Ensure that two spellings of one exchange or executor, registered at the same time, don't both come
// to be.
func TestRacingSpellings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, spelling{bucket.Store(false), bucket})
		for i := range 20 {
			registered := make(chan string, 4)
			var calls sync.WaitGroup
			for _, name := range []string{"Home", "home", "HOME", "hOme"} {
				calls.Go(func() {
					if _, err := e.Register(t.Context(), fmt.Sprint(name, i), Registration{ExecutorID: "x"}); err == nil {
						registered <- name
					} else {
						wantCode(t, err, exchange.CodeNameTaken)
					}
				})
				calls.Go(func() {
					if _, err := e.Register(t.Context(), "office", Registration{ExecutorID: fmt.Sprint(name, i)}); err != nil {
						wantCode(t, err, exchange.CodeNameTaken)
					} else {
						registered <- name
					}
				})
			}
			calls.Wait()
			if len(registered) != 2 {
				t.Fatalf("%d spellings were registered", len(registered))
			}
		}
	})
}

// Ensure what a registration's profile write may meet: whatever becomes of it, the id belongs to the
// committed registration, and a client that was not given a key was told that the outcome is unknown.
func TestRegisterWhenTheProfileCannotBeWritten(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault faultblob.Fault
		times int // writes that it befalls
		fails bool
	}{
		{"refused", faultblob.Refuse, 1 << 30, true},
		{"lost", faultblob.Drop, 1 << 30, true},
		{"lost once", faultblob.Drop, 1, false},
		{"stored, answer lost", faultblob.Lose, 1 << 30, false},
		{"sent twice by the SDK", faultblob.Repeat, 1 << 30, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bucket := faultblob.New()
				store := bucket.Store(true)
				e := launch(t, store)
				enroll(t, e, "home", "agent")
				left := c.times
				store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
					if op.Kind == faultblob.Put && op.Key == phoneProfile && left > 0 {
						left--
						return c.fault
					}
					return faultblob.None
				})
				key, err := e.Register(t.Context(), "home", Registration{ExecutorID: "my-phone", Settings: settings(`{"mine":{"a":1}}`)})
				if c.fails {
					wantCode(t, err, exchange.CodeOutcomeUnknown)
				} else if err != nil {
					t.Fatal(err)
				}
				store.OnCall(nil)
				shut(t, e)
				e = launch(t, bucket.Store(true))
				_, err = e.Register(t.Context(), "home", Registration{ExecutorID: "my-phone"})
				wantCode(t, err, exchange.CodeAlreadyRegistered)
				if !c.fails {
					letIn(t, e, "home", key)
					if m := members(t, bucket, phoneProfile); m["mine"] != `{
    "a": 1
  }` || m["api_key_hash"] != `"`+auth.Hash(key)+`"` {
						t.Fatal(m)
					}
				}
			})
		})
	}
}

// impatient is a store whose client goes away when its profile is about to be written.
type impatient struct {
	*faultblob.Store
	goAway func()
}

func (s *impatient) Replace(ctx context.Context, key, version string, data []byte) error {
	s.goAway()
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Store.Replace(ctx, key, version, data)
}

// Ensure that a client who goes away after its registration committed does not stop the profile, and
// that an object of whatever origin which stands in the profile's place is overwritten.
func TestRegisterFinishesItsProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := &impatient{bucket.Store(false), func() {}}
		e := launch(t, store)
		enroll(t, e, "home", "agent")
		bucket.Put(phoneProfile, []byte(`{"id":"my-phone","api_key_hash":"of nobody","hooks":{}}`))
		ctx, goAway := context.WithCancel(t.Context())
		store.goAway = goAway
		key, err := e.Register(ctx, "home", Registration{ExecutorID: "my-phone", Settings: settings(`{"preferences":{}}`)})
		if err != nil {
			t.Fatal(err)
		}
		m := members(t, bucket, phoneProfile)
		if m["api_key_hash"] != `"`+auth.Hash(key)+`"` || m["hooks"] != "" || m["preferences"] != "{}" {
			t.Fatal(m)
		}
	})
}

// Ensure that a profile update changes what it names and nothing else, in the object and in the log, and
// that what the server did not write stays byte for byte.
func TestUpdateProfileMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(false))
		_, err := e.Register(t.Context(), "home", Registration{ExecutorID: "my-phone", DisplayName: "Old", Capabilities: []string{"a"},
			Settings: settings(`{"mine":{"n":1.10},"preferences":{"min_priority":"normal"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		key, c := enroll(t, e, "home", "agent")
		_ = key
		wantCode(t, e.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{}), exchange.CodeNotYourProfile)

		bucket.Remove("executors/exchange=home/agent.json") // as after a crash between the event and the object
		time.Sleep(time.Hour)
		name, none, capabilities := "Agent", "", []string{"b", "c"}
		steps := []struct {
			update ProfileUpdate
			want   map[string]string
		}{
			{ProfileUpdate{DisplayName: &name, Settings: settings(`{"mine":{"n":1.10},"q":[1e400]}`)},
				map[string]string{"display_name": `"Agent"`, "q": "[\n    1e400\n  ]", "created_at": `"2000-01-01T00:00:00.000Z"`, "last_seen": `"2000-01-01T01:00:00.000Z"`}},
			{ProfileUpdate{Capabilities: &capabilities, Settings: settings(`{"q": null ,"api_key_hash":"mine","created_at":null}`)},
				map[string]string{"display_name": `"Agent"`, "capabilities": "[\n    \"b\",\n    \"c\"\n  ]", "q": "", "mine": "{\n    \"n\": 1.10\n  }", "api_key_hash": `"` + c.KeyHash + `"`}},
			{ProfileUpdate{DisplayName: &none}, map[string]string{"display_name": `"agent"`, "created_at": `"2000-01-01T00:00:00.000Z"`}},
		}
		for i, s := range steps {
			if err := e.UpdateProfile(t.Context(), c, "agent", s.update); err != nil {
				t.Fatal(i, err)
			}
			m := members(t, bucket, "executors/exchange=home/agent.json")
			for name, want := range s.want {
				if m[name] != want {
					t.Fatalf("step %d: %s is %s, want %s", i, name, m[name], want)
				}
			}
		}
		all, err := e.Executors(t.Context(), c)
		if err != nil || all[1].DisplayName != "agent" || len(all[1].Capabilities) != 2 {
			t.Fatal(all[1].Executor, err)
		}
		for _, key := range bucket.Keys("events/exchange=home") {
			if data, _ := bucket.Get(key); strings.Contains(string(data), "1.10") {
				t.Fatalf("a setting stands in an event: %s", data)
			}
		}
	})
}

// Ensure that a client who goes away amid an update does not leave half of it.
func TestUpdateProfileIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		store := &impatient{bucket.Store(true), func() {}}
		e := launch(t, store)
		_, c := enroll(t, e, "home", "my-phone")
		ctx, goAway := context.WithCancel(t.Context())
		store.goAway = goAway
		name := "New"
		if err := e.UpdateProfile(ctx, c, "my-phone", ProfileUpdate{DisplayName: &name}); err != nil {
			t.Fatal(err)
		}
		if all, err := e.Executors(t.Context(), c); err != nil || all[0].DisplayName != name || members(t, bucket, phoneProfile)["display_name"] != `"New"` {
			t.Fatal(all, err)
		}
	})
}

// Ensure that updates of one profile, in one process and in several, all take effect.
func TestUpdateProfileRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, c := enroll(t, a, "home", "my-phone")
		letIn(t, b, "home", key)
		var calls sync.WaitGroup
		for i := range 40 {
			calls.Go(func() {
				e := a
				if i%8 == 0 {
					e = b
				}
				err := e.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{Settings: settings(fmt.Sprintf(`{"s%d":%d}`, i, i))})
				if err != nil {
					t.Error(i, err)
				}
			})
		}
		calls.Wait()
		m := members(t, bucket, phoneProfile)
		for i := range 40 {
			if m[fmt.Sprint("s", i)] != fmt.Sprint(i) {
				t.Errorf("update %d is lost", i)
			}
		}
	})
}

// Ensure that an update of a profile which the store does not take changes nothing and says what may
// have happened, and that a damaged object is written anew.
func TestUpdateProfileFaults(t *testing.T) {
	for fault, want := range map[faultblob.Fault]exchange.Code{
		faultblob.Refuse: exchange.CodeUnavailable,
		faultblob.Drop:   exchange.CodeOutcomeUnknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			bucket := faultblob.New()
			store := bucket.Store(true)
			e := launch(t, store)
			_, c := enroll(t, e, "home", "my-phone")
			bucket.Put(phoneProfile, []byte(`{"id":`))
			store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Put && op.Key == phoneProfile {
					return fault
				}
				return faultblob.None
			})
			name := "New"
			update := ProfileUpdate{DisplayName: &name, Settings: settings(`{"hooks":{}}`)}
			wantCode(t, e.UpdateProfile(t.Context(), c, "my-phone", update), want)
			if all, err := e.Executors(t.Context(), c); err != nil || all[0].DisplayName != "my-phone" {
				t.Fatal(all, err)
			}
			store.OnCall(nil)
			if err := e.UpdateProfile(t.Context(), c, "my-phone", update); err != nil {
				t.Fatal(err)
			}
			if m := members(t, bucket, phoneProfile); m["id"] != `"my-phone"` || m["api_key_hash"] != `"`+c.KeyHash+`"` || m["hooks"] != "{}" {
				t.Fatal(m)
			}
		})
	}
}

// Ensure that last_seen is the later of the last event and the last request, and costs no write.
func TestLastSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		e := launch(t, bucket.Store(true))
		key, c := enroll(t, e, "home", "agent")
		start := time.Now()
		seen := func(e *Engine) time.Duration {
			all, err := e.Executors(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return all[0].LastSeen.Sub(start)
		}
		time.Sleep(time.Minute)
		post(t, e, c, "x") // an event, without Authenticate
		if got := seen(e); got != time.Minute {
			t.Fatal("after an event:", got)
		}
		objects := len(bucket.Keys(""))
		time.Sleep(time.Minute)
		letIn(t, e, "home", key)
		if got := seen(e); got != 2*time.Minute || len(bucket.Keys("")) != objects {
			t.Fatal("after a request:", got)
		}
		if got := seen(launch(t, bucket.Store(true))); got != time.Minute {
			t.Fatal("at another replica:", got)
		}
	})
}

// Ensure that a client which has lost its key since it was let in changes nothing in its profile.
func TestUpdateProfileProvesTheKeyFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := faultblob.New()
		a, b := launch(t, bucket.Store(true)), launch(t, bucket.Store(true))
		key, c := enroll(t, a, "home", "my-phone")
		letIn(t, b, "home", key)
		before, _ := bucket.Get(phoneProfile)
		revoke(t, a, "home", "my-phone")
		wantCode(t, b.UpdateProfile(t.Context(), c, "my-phone", ProfileUpdate{Settings: settings(`{"hooks":{}}`)}), exchange.CodeUnauthorized)
		if after, _ := bucket.Get(phoneProfile); string(after) != string(before) {
			t.Fatalf("written: %s", after)
		}
	})
}
