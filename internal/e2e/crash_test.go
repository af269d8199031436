//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// crash ends the program in the middle of what it does, until all who call it have noticed, and returns what answers
// in its place: another process, or in the same Worker another program.
func (s *server) crash(tb testing.TB, noticed <-chan struct{}) *server {
	tb.Helper()
	if !s.worker {
		s.kill()
		<-noticed
		return start(tb, s.settings...)
	}
	for {
		s.stopInside(tb)
		select {
		case <-noticed: // who was between two calls meets the next one
			return s
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stopInside ends the program in a Worker, and nothing around it.
func (s *server) stopInside(tb testing.TB) {
	tb.Helper()
	s.inside(tb, "stop")
}

// inside has the Worker's tests' door do something at the address of a server (deploy/cloudflare/test/server.mjs).
func (s *server) inside(tb testing.TB, what string) {
	tb.Helper()
	if _, err := answerTo(http.Post(s.url+"/-test/"+what, "", nil)); err != nil {
		tb.Fatal(err)
	}
}

// TestCrash: the program ends without a word in the middle of work, again and again. Nothing acknowledged is ever
// missing, and no claim has two winners.
func TestCrash(t *testing.T) {
	const rounds = 4
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		work, verified := newLoad(t, s, 6), map[string]bool{}
		for range rounds {
			first, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				work.run(s, first)
			}()
			<-first
			s = s.crash(t, gone)
			work.verify(t, s, verified)
		}
		t.Logf("%d acknowledged changes in %d threads", work.acks, len(work.threads))
		if work.acks < rounds {
			t.Errorf("only %d changes were acknowledged", work.acks)
		}
		s.terminate(t)
		checkPasses(t, place.forCommands(t))
		checkLog(t, place.files(t), "home")
	})
}

// TestFiftyClaim: of fifty who claim a request at once one is told that it is his.
func TestFiftyClaim(t *testing.T) {
	onEachStorage(t, func(t *testing.T, s *server) {
		home := at(s, "home")
		agent := home.register(t, "agent")
		var all []client
		for n := range 50 {
			all = append(all, home.register(t, fmt.Sprint("phone-", n)))
		}
		ref := agent.create(t, intent("who comes first?"))
		told := make([]answer, len(all))
		var race sync.WaitGroup
		for n, c := range all {
			race.Go(func() { told[n] = c.send(t, "PATCH", "/requests/"+ref, `{"status": "claimed"}`) })
		}
		race.Wait()
		winner := ""
		for n, a := range told {
			switch {
			case a.status == http.StatusOK && winner == "":
				winner = fmt.Sprint("phone-", n)
			case a.status != http.StatusConflict:
				t.Errorf("phone-%d was answered %v; %q has won", n, a, winner)
			}
		}
		if got := agent.thread(t, ref); got.holder() != winner || winner == "" {
			t.Errorf("held by %q; won by %q", got.holder(), winner)
		}
	})
}

// TestExpiresAlone: a request that nobody takes in time expires in the stored log though nobody asks; in a Worker,
// though no program runs in it either.
func TestExpiresAlone(t *testing.T) {
	t.Parallel()
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		agent := at(s, "home").register(t, "agent")
		due := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
		ref := agent.create(t, fmt.Sprintf(`{"intent": "soon", "needed_by": %q}`, due.Format(time.RFC3339)))
		s.alone(t)
		for begun := time.Now(); ; {
			events := storedEvents(t, place.files(t))
			i := slices.IndexFunc(events, func(e event) bool {
				return e.Type == "status_changed" && strings.Contains(string(e.Payload), `"new_status":"expired"`)
			})
			if i >= 0 {
				if e := events[i]; e.Thread == nil || *e.Thread != ref || e.TS < due.Format("2006-01-02T15:04:05.000Z") {
					t.Errorf("%+v; it was due at %v", e, due)
				}
				return
			}
			if time.Since(begun) > time.Minute {
				t.Fatal("it has not expired within a minute")
			}
			time.Sleep(200 * time.Millisecond) // nothing tells of what is stored
		}
	})
}

// TestMoves: an exchange goes on wherever its objects were copied to: from a directory to the storage, and from
// there to another directory.
func TestMoves(t *testing.T) {
	inEachStorage(t, func(t *testing.T, place storage) {
		from := directory(t)
		s := start(t, from.settings...)
		agent, phone := at(s, "home").register(t, "agent"), at(s, "home").register(t, "phone")
		refs := []string{agent.create(t, intent("a")), agent.create(t, intent("b")), agent.create(t, intent("c"))}
		phone.set(t, refs[0], "claimed")
		before := everything(t, agent, refs)
		s.terminate(t)

		place.putAll(t, objectsIn(t, from.data))
		s = start(t, place.settings...)
		agent = at(s, "home").as(agent.key)
		if after := everything(t, agent, refs); after != before {
			t.Fatalf("after the move: got\n%s\nwant\n%s", after, before)
		}
		at(s, "home").as(phone.key).set(t, refs[0], "completed")
		before = everything(t, agent, refs)
		s.terminate(t)
		checkPasses(t, place.forCommands(t))

		to := directory(t)
		to.putAll(t, objectsIn(t, place.files(t)))
		checkPasses(t, to.settings)
		s = start(t, to.settings...)
		if after := everything(t, at(s, "home").as(agent.key), refs); after != before {
			t.Errorf("after the move back: got\n%s\nwant\n%s", after, before)
		}
	})
}

// objectsIn are the objects in a folder by their keys, less what is the folder's own.
func objectsIn(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		key, err := filepath.Rel(root, path)
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(key, ".") {
			return err
		}
		all[filepath.ToSlash(key)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTimes measures, and prints: of a Worker the first answer of a program that begins with it, which each request
// would pay if each had a program of its own; and then a GET and a create.
func TestTimes(t *testing.T) {
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		health := client{base: s.url, http: at(s, "home").http}
		timed := func(f func()) time.Duration {
			begun := time.Now()
			f()
			return time.Since(begun).Round(100 * time.Microsecond)
		}
		ask := func() { health.want(t, http.StatusOK, "GET", "/health", nil) }
		ask()
		agent := at(s, "home").register(t, "agent")
		var again, reads, creates []time.Duration
		if s.worker {
			for range 10 {
				s.stopInside(t)
				again = append(again, timed(ask))
			}
			t.Logf("first answer of another program: median %v", median(again))
		}
		ref := agent.create(t, intent("a"))
		for range 100 {
			reads = append(reads, timed(func() { agent.want(t, http.StatusOK, "GET", "/requests/"+ref, nil) }))
			creates = append(creates, timed(func() { agent.create(t, intent("b")) }))
		}
		t.Logf("GET: median %v; create: median %v", median(reads), median(creates))
	})
}
