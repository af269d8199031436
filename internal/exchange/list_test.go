package exchange_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// What filters are made of, in every combination.
var (
	someStatuses   = []string{"", "pending", "claimed", "completed,pending", "odd", "odd1,odd2,odd3", "in-progress,waiting,needs_input", "nonsense"}
	somePriorities = []string{"", "normal", "urgent", "odd priority,urgent", "background"}
	someRequestors = []string{"", "agent", "robot", "nobody"}
	someExecutors  = []string{"", "phone", "tablet", "nobody"}
	someEligible   = []string{"", "phone", "agent", "tablet", "nobody"}
	someSince      = []time.Time{{}, aDay.Add(-2*time.Hour + 300*time.Millisecond)}
)

func eachFilter(yield func(exchange.Filter)) {
	for _, status := range someStatuses {
		for _, priority := range somePriorities {
			for _, requestor := range someRequestors {
				for _, executor := range someExecutors {
					for _, eligible := range someEligible {
						for _, since := range someSince {
							yield(exchange.Filter{Status: status, Priority: priority, Requestor: requestor, Executor: executor, Eligible: eligible, Since: since})
						}
					}
				}
			}
		}
	}
}

// scan is a list as told by docs/protocol.md: all threads, looked at one by one.
func scan(s *exchange.State, f exchange.Filter, now time.Time) []exchange.Thread {
	in := func(list, one string) bool {
		list = strings.NewReplacer("in-progress", "in_progress").Replace(list)
		return list == "" || slices.Contains(strings.Split(list, ","), one)
	}
	found := []exchange.Thread{}
	for _, t := range s.Threads(exchange.Filter{}) {
		if in(f.Status, t.Status) && in(f.Priority, t.Priority) && in(f.Requestor, t.Requestor) && in(f.Executor, t.Executor) &&
			(f.Since.IsZero() || t.UpdatedAt.After(f.Since)) && (f.Eligible == "" || claimable(s, t, f.Eligible, now)) {
			found = append(found, t)
		}
	}
	return found
}

// claimable reports whether a claim would win the thread.
func claimable(s *exchange.State, t exchange.Thread, id string, now time.Time) bool {
	e, there := s.Executor(id)
	if !there || t.Status != exchange.StatusPending || t.Executor != "" {
		return false
	}
	terms := s.Terms(t.Ref)
	if _, holds := s.Executor(terms.ReservedFor); holds && terms.ReservedFor != id {
		return false
	}
	for _, c := range terms.Requires {
		if !slices.Contains(e.Capabilities, c) {
			return false
		}
	}
	for _, ref := range terms.DependsOn {
		if before, known := s.Thread(ref); !known || before.Status != exchange.StatusCompleted {
			return false
		}
	}
	return !now.Before(terms.NotBefore) && (terms.NeededBy.IsZero() || now.Before(terms.NeededBy))
}

// pages reads a list page by page.
func pages(t *testing.T, s *exchange.State, f exchange.Filter, now time.Time) (all []exchange.Thread, places []int64) {
	t.Helper()
	for {
		page := s.Page(f, now)
		if len(page.Threads) > f.Limit {
			t.Fatalf("%+v: a page of %d threads", f, len(page.Threads))
		}
		all, places = append(all, page.Threads...), append(places, page.Next)
		if page.Next == 0 {
			return all, places
		}
		if len(page.Threads) < f.Limit {
			t.Fatalf("%+v: a page of %d threads before the last", f, len(page.Threads))
		}
		if f.Beyond != 0 && page.Next >= f.Beyond {
			t.Fatalf("%+v: the page after %d leads back to %d", f, f.Beyond, page.Next)
		}
		f.Beyond = page.Next
	}
}

// checkFilter holds a list against the scan, as a whole and in pages.
func checkFilter(t *testing.T, s *exchange.State, f exchange.Filter, now time.Time, limits ...int) {
	t.Helper()
	want := scan(s, f, now)
	whole := s.Page(f, now)
	if !slices.Equal(whole.Threads, want) || whole.Next != 0 {
		t.Fatalf("%+v: got %d threads, want %d", f, len(whole.Threads), len(want))
	}
	if !whole.Until.IsZero() && !now.Before(whole.Until) {
		t.Fatalf("%+v: it holds until %v, and it is %v", f, whole.Until, now)
	}
	if f.Eligible != "" {
		checkUntil(t, s, f, now, whole)
	}
	for _, f.Limit = range limits {
		got, places := pages(t, s, f, now)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: in pages it has %d threads, want %d", f, len(got), len(want))
		}
		if most := max(1, (len(want)+f.Limit-1)/f.Limit); len(places) != most {
			t.Fatalf("%+v: %d threads on %d pages, want %d", f, len(want), len(places), most)
		}
	}
}

// checkUntil holds that a page does not change before it says that it may.
func checkUntil(t *testing.T, s *exchange.State, f exchange.Filter, now time.Time, page exchange.Page) {
	t.Helper()
	last := page.Until.Add(-time.Millisecond)
	if page.Until.IsZero() {
		last = aDay.AddDate(100, 0, 0)
	}
	if !slices.Equal(scan(s, f, last), page.Threads) {
		t.Fatalf("%+v at %v: it is another before %v", f, now, page.Until)
	}
}

// pageSeeds is how many histories TestPagesAreWhatAScanFinds tries; fewer under the race detector.
var pageSeeds = int64(8)

// Whatever the events are, each list is what a scan of all threads finds: in a state, in a fork of it, and in
// one read from a snapshot, in which pages also go on where those of the state ended.
func TestPagesAreWhatAScanFinds(t *testing.T) {
	for seed := range pageSeeds {
		r := rand.New(rand.NewSource(seed))
		size := sizes[seed%int64(len(sizes))]
		all := facts(5000+seed, size.events, size.refs)
		s := exchange.New()
		for len(all) > 0 {
			n := min(len(all), size.events/4)
			fork := s.Fork()
			for i, f := range all[:n] {
				if i == n/2 {
					fork = fork.Fork()
				}
				fork.Apply(f.Event)
			}
			now := aDay.Add(time.Duration(r.Intn(1000)) * time.Millisecond)
			chosen := 0
			eachFilter(func(f exchange.Filter) {
				if r.Intn(400) == 0 {
					chosen++
					checkFilter(t, fork, f, now, 1+r.Intn(20))
				}
			})
			for _, f := range all[:n] {
				s.Apply(f.Event)
			}
			again := decoded(t, encoded(t, s.Freeze()))
			if diff := exchange.Difference(s, again, equalPlaces); diff != "" {
				t.Fatal(diff)
			}
			eachFilter(func(f exchange.Filter) {
				if r.Intn(400) == 0 {
					chosen++
					checkFilter(t, s, f, now, 1+r.Intn(20))
					checkFilter(t, again, f, now, 1+r.Intn(20))
					f.Limit = 1 + r.Intn(20)
					_, places := pages(t, s, f, now)
					if _, same := pages(t, again, f, now); !slices.Equal(places, same) {
						t.Fatalf("%+v: pages end at %d, after a snapshot at %d", f, places, same)
					}
				}
			})
			if chosen < 12 {
				t.Fatalf("only %d filters", chosen)
			}
			all = all[n:]
		}
	}
}

// Every filter there is, on one state.
func TestEveryFilter(t *testing.T) {
	s := replayed(facts(77, 160, 30))
	now := aDay.Add(500 * time.Millisecond)
	found := 0
	eachFilter(func(f exchange.Filter) {
		checkFilter(t, s, f, now, 2)
		if len(s.Page(f, now).Threads) > 0 {
			found++
		}
	})
	if found < 100 {
		t.Errorf("only %d filters find anything: they say little", found)
	}
}

// A list of what an executor could claim has just the threads whose claim is not refused.
func TestEligibleIsWhatAClaimWins(t *testing.T) {
	claims := 0
	for seed := range int64(40) {
		s := replayed(facts(9000+seed, 300, 40))
		if s.ReadOnly() != "" {
			continue
		}
		now := aDay.Add(time.Duration(seed*25) * time.Millisecond)
		for _, e := range s.Executors() {
			if owner, opens := s.ExecutorByKeyHash(e.KeyHash); !opens || owner.ID != e.ID {
				continue
			}
			eligible := s.Page(exchange.Filter{Eligible: e.ID}, now).Threads
			for _, thread := range s.Threads(exchange.Filter{Status: exchange.StatusPending}) {
				claim := &exchange.Update{Caller: exchange.Caller{Executor: e.ID, KeyHash: e.KeyHash}, Ref: thread.Ref, Status: exchange.StatusClaimed}
				_, refusal := claim.Decide(s, now)
				if thread.Executor != "" {
					continue // no log has such a thread
				}
				if listed := slices.Contains(eligible, thread); listed != (refusal == nil) {
					t.Fatalf("seed %d: %s of %s is listed: %v, and claimed: %v", seed, thread.Ref, e.ID, listed, refusal)
				}
				claims++
			}
		}
	}
	if claims < 1000 {
		t.Errorf("only %d claims", claims)
	}
}

// Pages that are read while threads change show none twice, and all that did not change once.
func TestPagesWhileThreadsChange(t *testing.T) {
	for seed := range int64(20) {
		c := newCrowd(0, 1)
		const threads = 700
		for i := range threads {
			c.create(i)
		}
		r := rand.New(rand.NewSource(seed))
		f := exchange.Filter{Limit: 1 + r.Intn(50)}
		if seed%2 == 0 {
			f.Eligible = executor(3)
		}
		shown, changed := map[string]bool{}, map[string]bool{}
		for {
			page := c.state.Page(f, c.ts)
			for _, thread := range page.Threads {
				if shown[thread.Ref] {
					t.Fatalf("seed %d: %s is shown twice", seed, thread.Ref)
				}
				shown[thread.Ref] = true
			}
			if page.Next == 0 {
				break
			}
			f.Beyond = page.Next
			// Those at the end of the page are the ones that the place could be lost with.
			last := page.Threads[len(page.Threads)-1].Ref
			for _, ref := range []string{last, crowdRef(r.Intn(threads)), crowdRef(r.Intn(threads))} {
				changed[ref] = true
				c.apply(exchange.MessageAdded, ref, "executor-7", aMessage)
			}
		}
		for i := range threads {
			if ref := crowdRef(i); !shown[ref] && !changed[ref] {
				t.Fatalf("seed %d: %s did not change and was not shown", seed, ref)
			}
		}
	}
}

// A page ends after so many threads that were looked at, and leads on to where the next one is found.
func TestPagesAreBounded(t *testing.T) {
	c := newCrowd(0, 1)
	const each, looked = 6000, 5000
	post := func(i int, who, priority string) {
		c.apply(exchange.ThreadCreated, crowdRef(i), who, fmt.Sprintf(`{"intent":"x","priority":%q}`, priority))
	}
	post(0, "agent", "urgent")
	for i := range each {
		post(1+i, "agent", "normal")
		post(1+each+i, "other", "urgent")
	}
	f := exchange.Filter{Requestor: "agent", Priority: "urgent", Limit: 10}
	first := c.state.Page(f, c.ts)
	if len(first.Threads) != 0 || first.Next == 0 {
		t.Fatalf("the first page has %d threads and leads to %d", len(first.Threads), first.Next)
	}
	f.Beyond = first.Next
	second := c.state.Page(f, c.ts)
	if len(second.Threads) != 1 || second.Threads[0].Ref != crowdRef(0) || second.Next != 0 {
		t.Errorf("the second page has %d threads and leads to %d", len(second.Threads), second.Next)
	}
	f.Limit, f.Beyond = 0, 0
	if all := c.state.Threads(f); len(all) != 1 {
		t.Errorf("without a limit %d threads are found", len(all))
	}
	if whole := c.state.Page(exchange.Filter{Priority: "urgent", Limit: looked}, c.ts); len(whole.Threads) != looked {
		t.Errorf("a list that is kept has %d threads", len(whole.Threads))
	}
}

// So does one for which many other threads were looked at.
func TestPagesCountDependencies(t *testing.T) {
	c := newCrowd(0, 1)
	refs := make([]string, 100)
	for i := range refs {
		c.create(i)
		c.finish(i)
		refs[i] = crowdRef(i)
	}
	const each = 120
	for i := range each {
		c.apply(exchange.ThreadCreated, crowdRef(1000+i), "executor-1", `{"intent":"x"}`)
		c.apply(exchange.MessageAdded, crowdRef(1000+i), "executor-1", `{"mess":[{"request":{"constraints":{"depends_on":["`+strings.Join(refs, `","`)+`"]}}}]}`)
	}
	f := exchange.Filter{Eligible: "executor-1", Limit: 1000}
	var sizes []int
	for more := true; more; more = f.Beyond != 0 {
		page := c.state.Page(f, c.ts)
		sizes, f.Beyond = append(sizes, len(page.Threads)), page.Next
	}
	if !slices.Equal(sizes, []int{50, 50, 20}) {
		t.Errorf("pages of %v threads, want 50, 50 and 20", sizes)
	}
}

// However many different things pending threads demand, a list of what one could claim is right, and what
// others could do costs it nothing.
func TestManyDemands(t *testing.T) {
	s := exchange.New()
	var seq int64
	apply := func(typ, thread, actor, payload string) {
		seq++
		s.Apply(exchange.Event{Seq: seq, TS: aDay.Add(time.Duration(seq) * time.Millisecond), Thread: thread, Type: typ, Actor: actor, Payload: []byte(payload)})
	}
	var words []string
	for i := range 48 {
		words = append(words, fmt.Sprintf(`"w%02d"`, i))
	}
	apply(exchange.ExecutorRegistered, "", "few", `{"capabilities":["w00","w01"]}`)
	apply(exchange.ExecutorRegistered, "", "many", `{"capabilities":[`+strings.Join(words, ",")+`]}`)
	apply(exchange.ExecutorRegistered, "", "half", `{"capabilities":[`+strings.Join(words[:24], ",")+`]}`)
	apply(exchange.ExecutorRegistered, "", "leaves", `{"capabilities":[]}`)
	n := 0
	for i := range words { // 1,128 pairs
		for j := range i {
			ref := fmt.Sprintf("2026-02-01-%04d", n)
			n++
			apply(exchange.ThreadCreated, ref, "few", `{"intent":"x"}`)
			apply(exchange.MessageAdded, ref, "few", `{"mess":[{"request":{"requires":[`+words[i]+`,`+words[j]+`]}}]}`)
			if n%7 == 0 {
				apply(exchange.StatusChanged, ref, "few", `{"new_status":"pending","executor_id":null,"delegated_to":"leaves"}`)
			}
		}
	}
	check := func() {
		t.Helper()
		for _, id := range []string{"few", "many", "half", "leaves"} {
			checkFilter(t, s, exchange.Filter{Eligible: id}, aDay, 400)
			checkFilter(t, s, exchange.Filter{Eligible: id, Requestor: "few"}, aDay)
		}
	}
	check()
	apply(exchange.ExecutorRemoved, "", "leaves", `{}`)
	check()
	if diff := exchange.Difference(s, decoded(t, encoded(t, s.Freeze())), equalPlaces); diff != "" {
		t.Fatal(diff)
	}
	for i := range n {
		apply(exchange.StatusChanged, fmt.Sprintf("2026-02-01-%04d", i), "few", `{"new_status":"completed","executor_id":"few"}`)
	}
	check()
	if diff := exchange.Difference(s, s, equalPlaces); diff != "" {
		t.Fatal(diff)
	}
}
