package engine

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const agentProfile = "executors/exchange=home/agent.json"

// checked returns the report about home, which must be there.
func checked(t *testing.T, store Store) eventlog.Report {
	t.Helper()
	r, err := Check(t.Context(), store, "home")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// editProfile replaces a piece of the agent's profile.
func editProfile(old, new string) func(*testing.T, *faultblob.Bucket) {
	return func(t *testing.T, b *faultblob.Bucket) {
		data, _ := b.Get(agentProfile)
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("no %s in %s", old, data)
		}
		b.Put(agentProfile, bytes.Replace(data, []byte(old), []byte(new), 1))
	}
}

// Ensure that check tells from each other what no crash can do to a profile and what one can, and that it names
// the object of the first finding. The secrets of a profile are in no report.
func TestCheckProfiles(t *testing.T) {
	for name, c := range map[string]struct {
		change        func(*testing.T, *faultblob.Bucket)
		finding, note string
		key           string // of the finding, where it is another profile than the agent's
	}{
		"sound":             {change: func(*testing.T, *faultblob.Bucket) {}},
		"no object":         {change: func(_ *testing.T, b *faultblob.Bucket) { b.Put(agentProfile, []byte("{")) }, finding: "is no JSON object"},
		"null":              {change: func(_ *testing.T, b *faultblob.Bucket) { b.Put(agentProfile, []byte("null")) }, finding: "is no JSON object"},
		"another executor":  {change: editProfile(`"id": "agent"`, `"id": "phone"`), finding: "names another executor"},
		"no executor":       {change: editProfile(`"id": "agent"`, `"i": "agent"`), finding: "names another executor"},
		"another exchange":  {change: editProfile(`"exchange_id": "home"`, `"exchange_id": "away"`), finding: "names another exchange"},
		"another key":       {change: editProfile(`"api_key_hash": "`, `"api_key_hash": "A`), finding: "has the hash of a key that the log never gave"},
		"no key":            {change: editProfile(`"api_key_hash"`, `"x"`), finding: "has the hash of a key that the log never gave"},
		"a name ahead":      {change: editProfile(`"display_name": "agent"`, `"display_name": "Agent"`), note: "has another display_name than the log"},
		"a name of no text": {change: editProfile(`"display_name": "agent"`, `"display_name": 7`), finding: "has a display_name that is no text"},
		"skills ahead":      {change: editProfile(`"photo:capture"`, ``), note: "has other capabilities than the log"},
		"skills of no text": {change: editProfile(`"photo:capture"`, `7`), finding: "has capabilities that are no list"},
		"another birthday":  {change: editProfile(`"created_at": "2`, `"created_at": "1`), note: "has another created_at than the log"},
		"gone":              {change: func(_ *testing.T, b *faultblob.Bucket) { b.Remove(agentProfile) }, finding: "is missing, though the executor has been told its key"},
		"not yet there": {change: func(_ *testing.T, b *faultblob.Bucket) { b.Remove("executors/exchange=home/idle.json") },
			note: "idle.json is missing: the registration was not completed"},
		"of nobody": {change: func(_ *testing.T, b *faultblob.Bucket) {
			b.Put("executors/exchange=home/nobody.json", []byte(`{"id": "nobody", "exchange_id": "home"}`))
		}, finding: "belongs to no executor that the log knows", key: "executors/exchange=home/nobody.json"},
		"a stranger": {change: func(_ *testing.T, b *faultblob.Bucket) { b.Put("executors/exchange=home/index.txt", nil) }, note: "index.txt is no profile"},
	} {
		t.Run(name, func(t *testing.T) {
			b := faultblob.New()
			e := launch(t, b.Store(true))
			_, agent := enroll(t, e, "home", "agent")
			enroll(t, e, "home", "idle")
			time.Sleep(2 * time.Millisecond) // an event after the registration, by its ts
			if err := e.UpdateProfile(t.Context(), agent, "agent", ProfileUpdate{Settings: settings(`{"ntfy_token":"tk_secret"}`)}); err != nil {
				t.Fatal(err)
			}
			c.change(t, b)
			r := checked(t, b.Store(true))
			findings, notes := strings.Join(r.Findings, "\n"), strings.Join(r.Notes, "\n")
			if !strings.Contains(findings, c.finding) || len(r.Findings) > 1 || (c.finding == "") != (findings == "") {
				t.Errorf("findings: got %q, want %q", r.Findings, c.finding)
			}
			if !strings.Contains(notes, c.note) || len(r.Notes) > 1 || (c.note == "") != (notes == "") {
				t.Errorf("notes: got %q, want %q", r.Notes, c.note)
			}
			want := c.key
			if want == "" && c.finding != "" {
				want = agentProfile
			}
			if r.First != want || !strings.Contains(findings, want) {
				t.Errorf("the first is in %q, want %q", r.First, want)
			}
			if strings.Contains(findings+notes, "secret") {
				t.Error("a secret is in the report")
			}
		})
	}
}

// Ensure that a profile with the key that its executor had before the last one is no finding.
func TestCheckKnowsKeysThatWereReplaced(t *testing.T) {
	events := []eventlog.Event{
		{Seq: 1, Type: exchange.ExecutorRegistered, Actor: "agent", Payload: []byte(`{"display_name":"agent","capabilities":[],"api_key_hash":"one"}`)},
		{Seq: 2, Type: exchange.ExecutorUpdated, Actor: "agent", Payload: []byte(`{"api_key_hash":"two"}`)},
	}
	m := newMachine("home", nil)
	m.Apply(events)
	a := &audit{state: m.state, keys: map[string][]string{}, here: map[string]bool{}}
	a.watch(events)
	x, _ := a.state.Executor("agent")
	for hash, want := range map[string]eventlog.Report{
		"one":   {Notes: []string{agentProfile + " has the hash of a key that was replaced"}},
		"two":   {},
		"three": {Findings: []string{agentProfile + " has the hash of a key that the log never gave this executor"}},
	} {
		p := newProfile("home", x)
		p.set("api_key_hash", hash)
		data, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		r := eventlog.Report{Exchange: "home"}
		a.checkProfile(&r, storedProfile{file: "agent", members: identityIn(data)})
		if !slices.Equal(r.Findings, want.Findings) || !slices.Equal(r.Notes, want.Notes) {
			t.Errorf("%s: got %q and %q", hash, r.Findings, r.Notes)
		}
	}
}

// Ensure that a profile which is written, and one that is registered, while the check runs is no finding.
func TestCheckBesideServers(t *testing.T) {
	b := faultblob.New()
	e := launch(t, b.Store(true))
	enroll(t, e, "home", "agent")
	store := b.Store(true)
	once := false
	store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		if !once && op.Kind == faultblob.Get && strings.HasPrefix(op.Key, "events/exchange=home/") { // the profiles were read
			once = true
			_, late := enroll(t, e, "home", "late")
			time.Sleep(2 * time.Millisecond)
			post(t, e, late, "asked at once")
		}
		return faultblob.None
	})
	if r := checked(t, store); !once || len(r.Findings)+len(r.Notes) > 0 || r.Events < 4 {
		t.Errorf("%+v", r)
	}
}

// Ensure that what the original server left among the profiles is noted and is no finding, and that the executors
// who came later are held to the rules there too.
func TestCheckProfilesOfOldData(t *testing.T) {
	b := faultblob.New()
	old := originalIn(t, b)
	e := launch(t, old.open())
	enroll(t, e, "home", "agent")
	shut(t, e)
	r := checked(t, b.Store(false))
	if len(r.Findings) > 0 {
		t.Errorf("findings: %q", r.Findings)
	}
	for _, want := range []string{"torn.json, of the original server, is no JSON object", "my-phone copy.json, of the original server, names another executor", "index.txt is no profile"} {
		if !strings.Contains(strings.Join(r.Notes, "\n"), want) {
			t.Errorf("%q is not in %q", want, r.Notes)
		}
	}
	b.Put(agentProfile, []byte("[]"))
	if r := checked(t, b.Store(false)); len(r.Findings) != 1 || r.First != agentProfile {
		t.Errorf("findings: %q in %q", r.Findings, r.First)
	}
}

// Ensure that the profiles are not judged by a log that can't be read to its end, and that a store which fails is
// an error.
func TestCheckWithoutAWholeLog(t *testing.T) {
	b := faultblob.New()
	e := launch(t, b.Store(true))
	_, agent := enroll(t, e, "home", "agent")
	post(t, e, agent, "x")
	shut(t, e)
	b.Remove(b.Keys("events/exchange=home/2")[0]) // the registration
	if r := checked(t, b.Store(true)); len(r.Findings) != 1 || !strings.Contains(r.Findings[0], "position 1 is missing") {
		t.Errorf("findings: %q", r.Findings)
	}
	if _, err := Check(t.Context(), b.Store(true), "away"); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("no exchange: %v", err)
	}
	store := b.Store(true)
	store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		if op.Key == agentProfile {
			return faultblob.Drop
		}
		return faultblob.None
	})
	if _, err := Check(t.Context(), store, "home"); err == nil || !strings.Contains(err.Error(), agentProfile) {
		t.Errorf("a profile that can't be read: %v", err)
	}
}
