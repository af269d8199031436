package eventlog

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Where events are rather looked for, alone or in the merged day, is a guess by the clock. A fetch makes it
// once, or it would cut what it reads by another guess than it read by.
func TestFetchGuessesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, w, _ := dayOld(t)
		var at []At
		var closed time.Time
		for _, e := range w.desk.events {
			if e.Type == typeDayClosed {
				closed = e.TS
			}
		}
		for _, e := range w.desk.own() {
			at = append(at, e.At)
		}
		now := closed.Add(likelyMerged - time.Millisecond)
		w.store.SetClock(func() time.Time { return now })
		w.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			w.store.SetClock(func() time.Time { return now.Add(time.Minute) })
			return faultblob.None
		})
		events, err := w.Fetch(t.Context(), at)
		must(t, err, nil)
		equal(t, "events", actors(events), []string{"0", "1", "2", "3"})
	})
}

// Of three looks the second fails, at the only place that holds the event. That is no damage.
func TestFetchBlamesTheStoreFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := dayOld(t)
		time.Sleep(likelyMerged) // but it is not
		first := folder(b, d)[0]
		w.store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key != first {
				return faultblob.Drop
			}
			return faultblob.None
		})
		_, err := w.Fetch(t.Context(), []At{w.desk.own()[1].At})
		must(t, err, ErrUnavailable)
	})
}

// A day that is rather looked for as one object, and is none yet: what is in its first object is found there,
// whatever is asked for with it.
func TestFetchFromTheFirstOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, w, _ := dayOld(t)
		time.Sleep(likelyMerged)
		own := w.desk.own()
		events, err := w.Fetch(t.Context(), []At{own[0].At, own[1].At})
		must(t, err, nil)
		equal(t, "events", actors(events), []string{"0", "1"})
	})
}
