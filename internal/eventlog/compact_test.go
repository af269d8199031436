package eventlog

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// dayOld returns a bucket with a log whose first day, d, holds commits "0", "1", "2" and was closed by "3" as
// long ago as a day must be before it is merged, and a bit.
func dayOld(t *testing.T) (b *faultblob.Bucket, w *replica, d day) {
	b = faultblob.New()
	b.AllowMerges()
	w = start(t, b.Store(true))
	for i := range 3 {
		w.do(t, say(fmt.Sprint(i)))
	}
	d = w.today()
	time.Sleep(24 * time.Hour)
	w.do(t, say("3"))
	time.Sleep(mergeAfter + time.Second)
	return b, w, d
}

// compacted merges what can be merged, without an error.
func compacted(t *testing.T, s Store) Compaction {
	t.Helper()
	r, err := Compact(t.Context(), s, "home")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// folder returns the keys of a day.
func folder(b *faultblob.Bucket, d day) []string { return b.Keys(Prefix("home") + string(d) + "/") }

// concat returns the bytes of objects, one after the other.
func concat(b *faultblob.Bucket, keys []string) []byte {
	var all []byte
	for _, k := range keys {
		data, _ := b.Get(k)
		all = append(all, data...)
	}
	return all
}

// touches counts a view's writes, each of which is then done.
func touches(s *faultblob.Store) *[]string {
	var mu sync.Mutex
	var ops []string
	s.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
		if op.Kind == faultblob.Put || op.Kind == faultblob.Delete {
			mu.Lock()
			defer mu.Unlock()
			ops = append(ops, string(op.Kind)+" "+op.Key)
		}
		return faultblob.None
	})
	return &ops
}

// Rule 16: a day becomes its commits, one after the other, in the object of the first. Nothing else in the
// bucket is touched, old data in the same folder neither.
func TestRule16Merge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := dayOld(t)
		day1, rest := folder(b, d), slices.DeleteFunc(b.Keys(""), func(k string) bool { return strings.Contains(k, string(d)) })
		old := Prefix("home") + string(d) + "/00000000-0000-4000-9000-000000000000.jsonl"
		b.Put(old, []byte("{}\n"))
		want := concat(b, day1)
		s := b.Store(true)
		ops := touches(s)
		r := compacted(t, s)
		if len(r.Days) != 1 || r.Days[0] != (MergedDay{Day: string(d), Bytes: len(want), Deleted: 3}) || len(r.Kept) != 0 {
			t.Errorf("it says %+v", r)
		}
		if got, _ := b.Get(day1[0]); !bytes.Equal(got, want) {
			t.Errorf("the merged day is %s\nwant %s", got, want)
		}
		equal(t, "keys of the day", folder(b, d), []string{old, day1[0]})
		equal(t, "other keys", slices.DeleteFunc(b.Keys(""), func(k string) bool { return strings.Contains(k, string(d)) }), rest)
		if len(*ops) != 4 || (*ops)[0] != "put "+day1[0] {
			t.Errorf("writes: %q", *ops)
		}
		must(t, w.Sync(t.Context()), nil)
		w.do(t, say("4"))
		if r := compacted(t, s); len(r.Days)+len(r.Kept) != 0 || len(*ops) != 4 {
			t.Errorf("merged twice: %+v, %q", r, *ops)
		}
		equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3", "4"})
	})
}

// Rule 16: a day is merged when its end is older than a day by the store, whatever the clock of the one who
// merges says, and an open day not at all.
func TestRule16Age(t *testing.T) {
	for _, skew := range []time.Duration{-96 * time.Hour, 0, 96 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b, w, d := dayOld(t)
			s := b.Store(true)
			s.SetClock(func() time.Time { return time.Now().Add(skew) })
			w.do(t, say("4"))
			w.do(t, say("5"))
			open := w.today()
			time.Sleep(240 * time.Hour)
			if r := compacted(t, s); len(r.Days) != 2 || r.Days[0].Day != string(d) || len(folder(b, open)) != 2 {
				t.Errorf("skew %s: %+v", skew, r)
			}
			w.do(t, say("6")) // closes it
			time.Sleep(mergeAfter)
			if r := compacted(t, s); len(r.Days)+len(r.Kept) != 0 {
				t.Errorf("merged %s after the end of the day: %+v", mergeAfter, r)
			}
			time.Sleep(time.Second)
			if r := compacted(t, s); len(r.Days) != 1 || r.Days[0].Day != string(open) {
				t.Errorf("not merged later: %+v", r)
			}
			equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3", "4", "5", "6"})
		})
	}
}

// Rule 16: anything missing, nothing touched.
func TestRule16OnlyWholeDays(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(b *faultblob.Bucket, d day)
		kept   string
	}{
		{"no first object", func(b *faultblob.Bucket, d day) { b.Remove(positionKey("home", d, 1)) }, "it is not the log's first day"},
		{"a hole", func(b *faultblob.Bucket, d day) { b.Remove(positionKey("home", d, 2)) }, "position 2 is missing"},
		{"no end", func(b *faultblob.Bucket, d day) { b.Remove(positionKey("home", d, 4)) }, ""}, // as the open day
		{"a torn commit", func(b *faultblob.Bucket, d day) { b.Put(positionKey("home", d, 2), []byte("{")) }, "the log is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _, d := dayOld(t)
				c.damage(b, d)
				s := b.Store(true)
				ops := touches(s)
				r := compacted(t, s)
				if got := strings.Join(r.Kept, "\n"); c.kept == "" && got != "" || !strings.Contains(got, c.kept) {
					t.Errorf("kept %q, want %q", got, c.kept)
				}
				if len(*ops) != 0 {
					t.Errorf("touched: %q", *ops)
				}
			})
		})
	}
}

// Rule 16: a later day begins where the one before it ends. One whose first commit is gone is not merged
// under the key of its second, before or after the day before was.
func TestRule16FirstObjectOfALaterDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := dayOld(t)
		w.do(t, say("4"))
		w.do(t, say("5"))
		second := w.today()
		time.Sleep(24 * time.Hour)
		w.do(t, say("6"))
		time.Sleep(2 * mergeAfter)
		gone := folder(b, second)[0]
		data, _ := b.Get(gone)
		b.Remove(gone)
		for round := range 2 {
			r := compacted(t, b.Store(true))
			if len(r.Kept) != 1 || !strings.Contains(r.Kept[0], "does not follow") || len(r.Days) != 2-2*round {
				t.Errorf("round %d: %+v", round, r)
			}
		}
		b.Put(gone, data)
		if r := compacted(t, b.Store(true)); len(r.Days) != 1 || len(folder(b, d)) != 1 || len(folder(b, second)) != 1 {
			t.Errorf("%+v", r)
		}
		equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3", "4", "5", "6"})
	})
}

// Rule 16: whatever befalls a merge at any of its calls, and wherever it is killed: every reader finds the whole
// log, the next merge finishes it, and old data in the same folder stays. kill: every call after the fault fails
// too.
func TestRule16FaultsAtEveryCall(t *testing.T) {
	for _, fault := range []faultblob.Fault{faultblob.Refuse, faultblob.Drop, faultblob.Lose, faultblob.Late, faultblob.Die, faultblob.Cut} {
		for _, kill := range []bool{false, true} {
			for n := 1; ; n++ {
				calls := 0
				synctest.Test(t, func(t *testing.T) {
					name := fmt.Sprintf("fault %d at call %d, killed: %v", fault, n, kill)
					b, w, d := dayOld(t)
					old := Prefix("home") + string(d) + "/00000000-0000-4000-9000-000000000000.jsonl"
					b.Put(old, []byte("{}\n"))
					s := b.Store(true)
					var mu sync.Mutex
					s.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
						mu.Lock()
						defer mu.Unlock()
						calls++
						if calls == n {
							return fault
						}
						if calls > n && kill {
							return faultblob.Drop
						}
						return faultblob.None
					})
					_, err := Compact(t.Context(), s, "home")
					if err == nil && calls >= n && kill {
						t.Errorf("%s: no error", name)
					}
					want := []string{"0", "1", "2", "3"}
					equal(t, name, actors(checked(t, b)), want)
					must(t, w.Sync(t.Context()), nil)
					s.OnCall(nil)
					s.Release() // what was under way lands after all
					equal(t, name+", later", actors(checked(t, b)), want)
					compacted(t, b.Store(true))
					equal(t, name+", finished", folder(b, d), []string{old, positionKey("home", d, 1)})
					s.Release()
					equal(t, name+", finished", actors(checked(t, b)), want)
				})
				if calls < n {
					break
				}
			}
		}
	}
}

// Rule 16: two merges at once, at any speed, while others start, read and write.
func TestRule16TwoAtOnce(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			b, w, d := dayOld(t)
			var wg sync.WaitGroup
			for i := range uint64(3) {
				rng, mu := rand.New(rand.NewPCG(seed, i)), sync.Mutex{}
				pause := func() {
					mu.Lock()
					n := rng.IntN(100)
					mu.Unlock()
					time.Sleep(time.Duration(n) * time.Millisecond)
				}
				s := b.Store(true)
				s.OnCall(func(context.Context, faultblob.Op) faultblob.Fault { pause(); return faultblob.None })
				s.OnAnswer(func(context.Context, faultblob.Op) { pause() })
				wg.Go(func() {
					if i == 2 {
						equal(t, "a start's events", actors(start(t, s).desk.own()), []string{"0", "1", "2", "3"})
						return
					}
					if _, err := Compact(t.Context(), s, "home"); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			compacted(t, b.Store(true))
			equal(t, "keys", folder(b, d), []string{positionKey("home", d, 1)})
			w.do(t, say("4"))
			equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3", "4"})
		})
	}
}

// Rule 16: what a sleeper wrote into a merged day is deleted by the next merge, and never merged: not even
// where it would end the day, and the one who merges had begun to read before another merged it.
func TestRule16OrphansAreNotMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, d := dayOld(t)
		end, _ := b.Get(positionKey("home", d, 4))
		orphan := bytes.Replace(end, []byte(`"seq":4`), []byte(`"seq":2`), 1)
		s := b.Store(true)
		s.OnAnswer(func(_ context.Context, op faultblob.Op) {
			if op.Kind == faultblob.Get && op.Key == positionKey("home", d, 1) { // it has read this one as it was
				s.OnAnswer(nil)
				compacted(t, b.Store(true))
				b.Put(positionKey("home", d, 2), orphan)
				b.Put(positionKey("home", d, 4), end) // as a slow listing would have it
				time.Sleep(2 * mergeAfter)
			}
		})
		compacted(t, s)
		equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3"})
		compacted(t, b.Store(true))
		equal(t, "keys", folder(b, d), []string{positionKey("home", d, 1)})
		equal(t, "events", actors(checked(t, b)), []string{"0", "1", "2", "3"})
	})
}

// Rule 16: a day larger than can be held in memory stays as it is, and is said to.
func TestRule16Cap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, d := dayOld(t)
		b.Put(positionKey("home", d, 2), make([]byte, maxMerged+1))
		r := compacted(t, b.Store(true))
		if len(r.Days) != 0 || len(r.Kept) != 1 || r.Kept[0] != string(d)+": it is larger than 64 MiB" || len(folder(b, d)) != 4 {
			t.Errorf("%+v", r)
		}
	})
}

// Rule 6: nothing is merged where there is no log, or one in a format that this version does not write to.
func TestRule16OtherFormats(t *testing.T) {
	b := faultblob.New()
	_, err := Compact(t.Context(), b.Store(true), "home")
	must(t, err, ErrNotFound)
	data, err := encodeGenesis("home", genesis{Format: 2, Next: "2026/02/01"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.Put(genesisKey("home"), data)
	_, err = Compact(t.Context(), b.Store(true), "home")
	must(t, err, ErrFormat)
}

// Check tells what a merge leaves behind from what a broken one does.
func TestCheckFindsBrokenMerges(t *testing.T) {
	for _, c := range []struct {
		name           string
		damage         func(b *faultblob.Bucket, keys []string)
		findings, note string
	}{
		{"merged", func(b *faultblob.Bucket, keys []string) {
			b.Put(keys[0], concat(b, keys))
			for _, k := range keys[1:] {
				b.Remove(k)
			}
		}, "", ""},
		{"killed before the first delete", func(b *faultblob.Bucket, keys []string) { b.Put(keys[0], concat(b, keys)) }, "", "is left over from a merge"},
		{"in part", func(b *faultblob.Bucket, keys []string) { b.Put(keys[0], concat(b, keys[:2])) }, "was merged in part", ""},
		{"deleted first", func(b *faultblob.Bucket, keys []string) { b.Remove(keys[1]) }, "position 2 is missing", ""},
		{"not all of it", func(b *faultblob.Bucket, keys []string) {
			b.Put(keys[0], concat(b, keys[:2]))
			for _, k := range keys[1:] {
				b.Remove(k)
			}
		}, "position 3 is missing", ""},
		{"with a hole", func(b *faultblob.Bucket, keys []string) {
			b.Put(keys[0], concat(b, []string{keys[0], keys[2], keys[3]}))
		}, "the log is damaged", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _, d := dayOld(t)
				c.damage(b, folder(b, d))
				r, err := Check(t.Context(), b.Store(false), "home", CheckOptions{})
				if err != nil {
					t.Fatal(err)
				}
				findings, notes := strings.Join(r.Findings, "\n"), strings.Join(r.Notes, "\n")
				if !strings.Contains(findings, c.findings) || (c.findings == "") != (findings == "") || !strings.Contains(notes, c.note) || (c.note == "") != (notes == "") {
					t.Errorf("findings %q, notes %q", r.Findings, r.Notes)
				}
			})
		})
	}
}
