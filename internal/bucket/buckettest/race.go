package buckettest

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// testCreateRace: of all who create a key at once exactly one succeeds, all others are told that it
// exists, and what is there is the winner's.
func testCreateRace(t *testing.T, s Store, o Options) {
	winners := make([]atomic.Int64, o.Races) // 1 + the racer
	var wg sync.WaitGroup
	start := make(chan struct{})
	for racer := range o.Racers {
		wg.Go(func() {
			<-start
			for n := range o.Races {
				// Everyone begins at the same key, so that the first ones are raced for hardest.
				switch err := create(t.Context(), s, raceKey(n), raceContent(racer, n)); {
				case err == nil:
					if !winners[n].CompareAndSwap(0, int64(racer)+1) {
						t.Errorf("%s has two winners: %d and %d", raceKey(n), winners[n].Load()-1, racer)
					}
				case !s.Exists(err):
					t.Errorf("create of %s: %v", raceKey(n), err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	for n := range winners {
		racer := int(winners[n].Load()) - 1
		if racer < 0 {
			t.Errorf("%s has no winner", raceKey(n))
			continue
		}
		if got, err := s.Bucket().ReadAll(t.Context(), raceKey(n)); err != nil || string(got) != raceContent(racer, n) {
			t.Errorf("%s was won by %d and reads %.40q, %v", raceKey(n), racer, got, err)
		}
	}
}

func raceKey(n int) string {
	return fmt.Sprintf("events/exchange=home/2026/02/%02d/%08d.jsonl", 1+n%5, n)
}

func raceContent(racer, n int) string { return fmt.Sprintf("{\"racer\":%d,\"key\":%d}\n", racer, n) }

// testReplaceRace: a counter that many increase by load and replace loses no increase.
func testReplaceRace(t *testing.T, s Store) {
	const key, racers, each = "executors/exchange=home/counter.json", 100, 1
	if err := s.Replace(t.Context(), key, "", []byte("0")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			for range each {
				if err := increase(t, s, key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, err := s.Bucket().ReadAll(t.Context(), key); err != nil || string(got) != strconv.Itoa(racers*each) {
		t.Errorf("after %d increases the counter is %q, %v", racers*each, got, err)
	}
}

// increase adds one. Other racers' changes send it round again; an unknown outcome would make the
// counter wrong, so it is an error.
func increase(t *testing.T, s Store, key string) error {
	for {
		data, version, err := s.Load(t.Context(), key)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		err = s.Replace(t.Context(), key, version, []byte(strconv.Itoa(n+1)))
		if err == nil || !s.Changed(err) && !conflict(s, err) {
			return err
		}
	}
}

// testReplaceCreateRace: Replace without a version creates, with one winner.
func testReplaceCreateRace(t *testing.T, s Store) {
	const key = "executors/exchange=home/alice.json"
	var wins atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			switch err := s.Replace(t.Context(), key, "", []byte("{}")); {
			case err == nil:
				wins.Add(1)
			case !s.Exists(err) && !conflict(s, err):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d of 50 created the object", wins.Load())
	}
}
