package send

import (
	"testing"
	"time"
)

var now = time.Date(2026, 2, 1, 22, 0, 0, 0, time.UTC)

// Ensure the schedule: when each attempt follows the one before, and when it is given up.
func TestSchedule(t *testing.T) {
	follow := func(urgent bool, random float64) (all []time.Duration) {
		for failures := 1; ; failures++ {
			at, ok := Retry{Failures: failures, Urgent: urgent, Now: now}.Next(random)
			if !ok {
				return all
			}
			all = append(all, at.Sub(now))
		}
	}
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, c := range map[string]struct{ got, want []time.Duration }{
		"ordinary": {follow(false, 0.5), []time.Duration{5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}},
		"urgent":   {follow(true, 0.5), []time.Duration{5 * s, 15 * s, 60 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}},
		"earliest": {follow(false, 0), []time.Duration{4 * s, 4 * m, 24 * m, 96 * m, 4 * h, 8 * h, 672 * m, 16 * h, 1152 * m}},
	} {
		if len(c.got) != len(c.want) {
			t.Fatalf("%s: %v", name, c.got)
		}
		for i := range c.want {
			if off := c.got[i] - c.want[i]; off < -time.Millisecond || off > time.Millisecond {
				t.Errorf("%s: pause %d is %v, want %v", name, i+1, c.got[i], c.want[i])
			}
		}
	}
	if latest := follow(false, 0.999999); latest[8] <= 24*h || latest[8] > 24*h*12/10 {
		t.Errorf("latest: %v", latest)
	}
	if _, ok := (Retry{Failures: 0, Now: now}).Next(0); ok {
		t.Error("what has not failed is tried again")
	}
}

// Ensure that a receiver's wish counts, up to a day, and that nothing is tried at or after the cut.
func TestWishAndCut(t *testing.T) {
	for _, c := range []struct {
		r    Retry
		want time.Duration // 0 for never
	}{
		{Retry{Failures: 1, After: time.Second}, 5 * time.Second},
		{Retry{Failures: 1, After: time.Hour}, time.Hour},
		{Retry{Failures: 1, After: 1000 * time.Hour}, 24 * time.Hour},
		{Retry{Failures: 1, Cut: now.Add(5 * time.Second)}, 0},
		{Retry{Failures: 1, Cut: now.Add(5*time.Second + 1)}, 5 * time.Second},
		{Retry{Failures: 1, After: time.Minute, Cut: now.Add(time.Minute)}, 0},
		{Retry{Failures: 10}, 0},
		{Retry{Failures: 10, Urgent: true}, 20 * time.Hour},
		{Retry{Failures: 12, Urgent: true}, 0},
	} {
		c.r.Now = now
		at, ok := c.r.Next(0.5)
		if ok != (c.want != 0) || ok && at.Sub(now) != c.want {
			t.Errorf("%+v: %v %v, want %v", c.r, at.Sub(now), ok, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0,
		"99999999999": maxRetryAfter, "18446744073709551616": 0,
		"Sun, 01 Feb 2026 22:01:00 GMT": time.Minute, "Sun, 01 Feb 2026 21:00:00 GMT": 0, "Fri, 01 Feb 2126 22:00:00 GMT": maxRetryAfter,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
