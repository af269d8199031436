//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

const (
	// trustUs makes a server believe what the tests say of where a call comes from.
	trustUs = "TRUSTED_PROXIES=127.0.0.1"

	registrationToken = "a long and random registration token"
)

// TestRegistrationToken: with a token nobody joins without it; the register command brings it along and
// prints the key alone.
func TestRegistrationToken(t *testing.T) {
	s := start(t, append(folder(t).settings, "REGISTRATION=token", "REGISTRATION_TOKEN="+registrationToken)...)
	home := at(s, "home")
	for _, headers := range [][]string{nil, {"X-Registration-Token", "another"}, {"Authorization", "Bearer " + registrationToken}} {
		a := home.send(t, "POST", "/register", `{"executor_id": "stranger"}`, headers...)
		wantRefusal(t, "without the token", a, http.StatusUnauthorized, "X-Registration-Token")
	}
	got := run(t, time.Minute, []string{"REGISTRATION_TOKEN=" + registrationToken}, "register", "--url", s.url, "--exchange", "home", "--id", "my-phone", "--name", "My Phone", "--capability", "photo:capture")
	if got.code != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, "mess_home_") || strings.Count(got.stdout, "\n") != 1 {
		t.Fatalf("register: got %+v", got)
	}
	phone := home.as(strings.TrimSpace(got.stdout))
	if all := phone.executors(t); len(all) != 1 || all[0].DisplayName != "My Phone" || len(all[0].Capabilities) != 1 {
		t.Errorf("registered: got %+v", all)
	}
	got = run(t, time.Minute, nil, "register", "--url", s.url, "--exchange", "home", "--id", "another")
	if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "401") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("register without a token: got %+v", got)
	}
	if log := s.log.tail(1000); strings.Contains(log, registrationToken) {
		t.Errorf("the log holds the token:\n%s", log)
	}
}

// TestKeysAtReplicas: a key that was replaced at one replica opens nothing at the other from the moment of
// the answer on, nor does that of an executor who has left, whose claims are free again.
func TestKeysAtReplicas(t *testing.T) {
	a, b := homes(t)
	agent := a.register(t, "agent")
	phone := a.register(t, "phone")
	for round := range 20 {
		one, other := a, b
		if round%2 == 1 {
			one, other = b, a
		}
		other.as(phone.key).want(t, http.StatusOK, "GET", "/executors", nil) // it is known there
		key := one.as(phone.key).want(t, http.StatusOK, "POST", "/executors/phone/key", nil).text("api_key")
		for _, path := range []string{"/executors", "/requests", "/executors/phone", "/capabilities"} {
			if x := other.as(phone.key).send(t, "GET", path, nil); x.status != http.StatusUnauthorized {
				t.Fatalf("round %d: GET %s with the old key at the other replica: got %v", round, path, x)
			}
		}
		if x := other.as(phone.key).send(t, "POST", "/requests", intent("x")); x.status != http.StatusUnauthorized {
			t.Fatalf("round %d: a request with the old key at the other replica: got %v", round, x)
		}
		phone = phone.as(key)
		other.as(key).want(t, http.StatusOK, "GET", "/executors", nil)
	}
	ref := agent.create(t, intent("held"))
	phone.set(t, ref, "claimed")
	b.as(phone.key).want(t, http.StatusOK, "DELETE", "/executors/phone", nil)
	if x := a.as(phone.key).send(t, "GET", "/executors", nil); x.status != http.StatusUnauthorized {
		t.Errorf("who has left, at the other replica: got %v", x)
	}
	if got := agent.thread(t, ref); got.Status != "pending" || got.holder() != "" {
		t.Errorf("what the one who left held: got %+v", got)
	}
	wantRefusal(t, "its id", b.send(t, "POST", "/register", map[string]any{"executor_id": "phone"}), http.StatusConflict, "")
	wantRefusal(t, "its profile", agent.send(t, "GET", "/executors/phone", nil), http.StatusNotFound, "")
	agent.set(t, ref, "claimed")
}

// TestOwnProfile: one reads one's own settings masked, and after leaving nothing of them is left in the storage.
func TestOwnProfile(t *testing.T) {
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		home := at(s, "home")
		phone := home.as(home.want(t, http.StatusCreated, "POST", "/register", `{"executor_id": "phone", "notifications": [
			{"type": "slack", "webhook_url": "https://hooks.example.org/T0PSECRET"}, {"type": "ntfy", "topic": "T0PSECRET", "server": "https://ntfy.sh"}]}`).text("api_key"))
		own := phone.want(t, http.StatusOK, "GET", "/executors/phone", nil)
		if got := compact(t, own.body); !strings.Contains(got, `"notifications":[{"type":"slack","webhook_url":"https://hooks.example.org/…"},{"type":"ntfy","topic":"***","server":"https://ntfy.sh"}]`) {
			t.Errorf("own profile: got %s", got)
		}
		if got := home.register(t, "agent").want(t, http.StatusOK, "GET", "/executors/phone", nil); strings.Contains(string(got.body), "notifications") {
			t.Errorf("another's profile: got %v", got)
		}
		phone.want(t, http.StatusOK, "DELETE", "/executors/phone", nil)
		if got := s.restart(t); at(got, "home").as(phone.key).send(t, "GET", "/executors", nil).status != http.StatusUnauthorized {
			t.Error("the key of one who has left opens after a restart")
		}
		err := filepath.WalkDir(place.files(t), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if strings.Contains(string(data), "T0PSECRET") {
				t.Errorf("%s holds the secret", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		checkPasses(t, place.forCommands(t))
	})
}

// TestLimits: registrations and wrong keys above 300 a minute of one address are 429 with Retry-After; other
// addresses, and good keys from the same one, go on.
func TestLimits(t *testing.T) {
	s := start(t, append(folder(t).settings, trustUs)...)
	home := at(s, "home")
	agent := home.register(t, "agent")
	from := func(c client, address, method, path string, body any) answer {
		return c.send(t, method, path, body, "X-Forwarded-For", "203.0.113.1, "+address)
	}
	flood := func(call func(i int) answer, usual int) {
		t.Helper()
		var statuses [2]int
		var mu sync.Mutex
		var callers sync.WaitGroup
		for c := range 8 {
			callers.Go(func() {
				for i := range 40 { // 320 in all
					a := call(40*c + i)
					mu.Lock()
					switch after, _ := strconv.Atoi(a.header.Get("Retry-After")); {
					case a.status == usual:
						statuses[0]++
					case a.status == http.StatusTooManyRequests && a.text("code") == "rate_limited" && after >= 1 && after <= 60:
						statuses[1]++
					default:
						t.Errorf("call %d: got %v, Retry-After %q", i, a, a.header.Get("Retry-After"))
					}
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		if statuses != [2]int{300, 20} {
			t.Errorf("of 320 calls, %d were let through and %d limited", statuses[0], statuses[1])
		}
	}
	flood(func(i int) answer {
		return from(home, "198.51.100.1", "POST", "/register", map[string]any{"executor_id": fmt.Sprintf("x-%d", i)})
	}, http.StatusCreated)
	flood(func(i int) answer {
		return from(home.as(fmt.Sprintf("mess_home_%032x", i)), "198.51.100.1", "GET", "/requests", nil)
	}, http.StatusUnauthorized)
	if a := from(home, "198.51.100.2", "POST", "/register", map[string]any{"executor_id": "elsewhere"}); a.status != http.StatusCreated {
		t.Errorf("another address: got %v", a)
	}
	if a := from(agent, "198.51.100.1", "GET", "/requests", nil); a.status != http.StatusOK {
		t.Errorf("a good key from the address: got %v", a)
	}
	if a := home.send(t, "POST", "/register", map[string]any{"executor_id": "plain"}); a.status != http.StatusCreated {
		t.Errorf("the proxy itself: got %v", a)
	}
}

// TestNobodyIsTrusted: without TRUSTED_PROXIES nobody's word counts, and all of one connection's address count as one.
func TestNobodyIsTrusted(t *testing.T) {
	s := start(t, folder(t).settings...)
	home := at(s, "home")
	limited := 0
	for i := range 310 {
		if home.send(t, "POST", "/register", "", "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i%256)).status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 10 {
		t.Errorf("%d of 310 were limited, want 10", limited)
	}
}

// TestCapabilities: the catalogue is what the files say when they are asked for, broken ones left out, at
// every replica.
func TestCapabilities(t *testing.T) {
	words := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(words, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "id: photo:capture\ndescription: Take a photo\ntags: [media]\ndefinition: {any: thing}\n---\nid: location:indoor\n")
	write("b.yml", "id: [broken")
	s := start(t, append(bucketOf(t, s3test.Start(t)).settings, "CAPABILITIES_DIR="+words)...)
	agent := at(s, "home").register(t, "agent")
	photo, indoor := `{"id":"photo:capture","description":"Take a photo","tags":["media"]}`, `{"id":"location:indoor","description":"","tags":[]}`
	want := func(query, list string) {
		t.Helper()
		eventually(t, func() error {
			if got := compact(t, agent.want(t, http.StatusOK, "GET", "/capabilities"+query, nil).body); got != `{"capabilities":[`+list+`]}` {
				return fmt.Errorf("GET /capabilities%s: got %s, want %s", query, got, list)
			}
			return nil
		})
	}
	want("", photo+","+indoor)
	want("?tag=media", photo)
	want("?tag=none", "")
	if log := s.log.tail(1000); strings.Count(log, "b.yml") != 1 {
		t.Errorf("a broken file is not one line of the log:\n%s", log)
	}
	write("b.yml", "id: x")
	want("", photo+","+indoor+`,{"id":"x","description":"","tags":[]}`)
	if err := os.Remove(filepath.Join(words, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	want("", `{"id":"x","description":"","tags":[]}`)
	wantRefusal(t, "without a key", at(s, "home").send(t, "GET", "/capabilities", nil), http.StatusUnauthorized, "")
}

// eventually asks until the answer is right. A change of the catalogue shows within a second, which nothing
// announces.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-late:
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
