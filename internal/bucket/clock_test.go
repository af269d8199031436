package bucket

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestClock: the latest Date, carried forward; small steps back are the rounding of Dates and the way of
// an answer, big ones a store whose clock was set right.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{}
		if got := c.now(); !got.Equal(time.Now()) {
			t.Errorf("before the first answer it is %v", got)
		}
		store := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		for _, step := range []struct {
			name  string
			after time.Duration // since the last step, by the machine
			date  time.Duration // of the answer, since store
			want  time.Duration // the estimate, since store
		}{
			{"first", 0, 0, 0},
			{"as carried forward", 10 * time.Second, 10 * time.Second, 10 * time.Second},
			{"cut to the second", 900 * time.Millisecond, 10 * time.Second, 10900 * time.Millisecond},
			{"slow answer", time.Second, 10 * time.Second, 11900 * time.Millisecond},
			{"ahead", 0, 12 * time.Second, 12 * time.Second},
			{"2 s behind", 2 * time.Second, 12 * time.Second, 14 * time.Second},
			{"more than 2 s behind", time.Millisecond, 12 * time.Second, 12 * time.Second},
			{"after a suspend", 0, time.Hour, time.Hour},
			{"set back", 0, time.Minute, time.Minute},
		} {
			time.Sleep(step.after)
			c.learn(store.Add(step.date))
			if got := c.now().Sub(store); got != step.want {
				t.Errorf("%s: the estimate is %v, want %v", step.name, got, step.want)
			}
		}
		before := c.now()
		c.answered(t.Context(), http.Header{})
		c.answered(t.Context(), http.Header{"Date": {"yesterday"}})
		if !c.now().Equal(before) {
			t.Errorf("an answer without a date moved the clock from %v to %v", before, c.now())
		}
	})
}
