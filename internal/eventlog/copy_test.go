package eventlog

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

func nothingBeside() error { return nil }

// wantSaid checks a log and who spoke in it.
func wantSaid(t *testing.T, b *faultblob.Bucket, want ...string) {
	t.Helper()
	var said []string
	for _, e := range checked(t, b) {
		if e.Type == "said" {
			said = append(said, e.Actor)
		}
	}
	equal(t, "who spoke", said, want)
}

// A copy ends where a first listing ended, whatever a later one shows, and the next goes on from there.
func TestCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := faultblob.New(), faultblob.New()
		to.AllowMerges()
		w := start(t, from.Store(true))
		w.do(t, say("0"))
		w.do(t, say("1"))
		source := from.Store(true)
		var lists atomic.Int64
		source.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.List && lists.Add(1) == 2 {
				w.do(t, say("2"))
			}
			return faultblob.None
		})
		besides := 0
		done, err := Copy(t.Context(), source, to.Store(false), "home", func() error {
			if besides++; len(to.Keys(Prefix("home"))) > 0 {
				t.Error("what belongs to the log comes after the log")
			}
			return nil
		})
		if err != nil || done.Objects != 3 || done.Same != 0 || besides != 1 {
			t.Fatalf("%+v, %v", done, err)
		}
		wantSaid(t, to, "0", "1")
		done, err = Copy(t.Context(), from.Store(true), to.Store(false), "home", nothingBeside)
		if err != nil || done.Objects != 1 || done.Same != 3 {
			t.Fatalf("again: %+v, %v", done, err)
		}
		wantSaid(t, to, "0", "1", "2")
		x := start(t, to.Store(false))
		x.do(t, say("3"))
		wantSaid(t, to, "0", "1", "2", "3")
	})
}

// Where a day is merged under the hands of a copy, it begins again; a copy goes on beyond a merge; and a copy of which
// the days were not merged is one.
func TestCopyBesideMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, w, d := dayOld(t)
		to, before := faultblob.New(), faultblob.New()
		to.AllowMerges()
		before.AllowMerges()
		if _, err := Copy(t.Context(), from.Store(true), before.Store(false), "home", nothingBeside); err != nil {
			t.Fatal(err)
		}
		source := from.Store(true)
		var gets atomic.Int64
		source.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Kind == faultblob.Get && strings.Contains(op.Key, string(d)) && gets.Add(1) == 2 {
				compacted(t, from.Store(true))
			}
			return faultblob.None
		})
		rounds := 0
		done, err := Copy(t.Context(), source, to.Store(false), "home", func() error { rounds++; return nil })
		if err != nil || rounds < 1 {
			t.Fatalf("%+v, %v", done, err)
		}
		wantSaid(t, to, "0", "1", "2", "3")
		w.do(t, say("4"))
		for _, target := range []*faultblob.Bucket{to, before} {
			if _, err := Copy(t.Context(), from.Store(true), target.Store(false), "home", nothingBeside); err != nil {
				t.Fatal(err)
			}
			wantSaid(t, target, "0", "1", "2", "3", "4")
		}
	})
}

// Whatever ends a copy, what is there by then is a log, and the next copy goes on.
func TestCopyInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := faultblob.New(), faultblob.New()
		w := start(t, from.Store(true))
		var said []string
		for _, who := range []string{"0", "1", "2", "3", "4"} {
			w.do(t, say(who))
			said = append(said, who)
		}
		for n := 0; ; n++ {
			target := to.Store(false)
			puts := 0
			target.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
				if op.Kind == faultblob.Put && strings.HasPrefix(op.Key, Prefix("home")) {
					if puts++; puts == 2 {
						return faultblob.Refuse
					}
				}
				return faultblob.None
			})
			_, err := Copy(t.Context(), from.Store(true), target, "home", nothingBeside)
			if err == nil {
				wantSaid(t, to, said...)
				return
			}
			if n > 10 {
				t.Fatal(err)
			}
			wantSaid(t, to, said[:n]...)
		}
	})
}

// Where the target holds another log, or one that went on by itself, nothing is written.
func TestCopyElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, other, on := faultblob.New(), faultblob.New(), faultblob.New()
		w := start(t, from.Store(true))
		w.do(t, say("0"))
		start(t, other.Store(false)).do(t, say("elsewhere"))
		if _, err := Copy(t.Context(), from.Store(true), on.Store(false), "home", nothingBeside); err != nil {
			t.Fatal(err)
		}
		start(t, on.Store(false)).do(t, say("by itself"))
		for range 2 {
			for _, target := range []*faultblob.Bucket{other, on} {
				before := target.Keys("")
				if _, err := Copy(t.Context(), from.Store(true), target.Store(false), "home", nothingBeside); !errors.Is(err, ErrElsewhere) {
					t.Errorf("%v", err)
				}
				equal(t, "keys", target.Keys(""), before)
			}
			w.do(t, say("1")) // as long as the others by now
			time.Sleep(time.Second)
		}
		if _, err := Copy(t.Context(), from.Store(true), on.Store(false), "nowhere", nothingBeside); !errors.Is(err, ErrNotFound) {
			t.Errorf("of no log: %v", err)
		}
	})
}
