package settings

import (
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestMinPriority(t *testing.T) {
	for _, c := range []struct {
		least, priority string
		want            Verdict
	}{
		{"normal", "background", Never}, {"normal", "normal", Now}, {"normal", "elevated", Now}, {"normal", "urgent", Now},
		{"background", "background", Now}, {"urgent", "elevated", Never}, {"urgent", "urgent", Now}, {"", "background", Now},
		{"normal", "of the original's", Now}, {"elevated", "", Never},
	} {
		d := Preferences{MinPriority: c.least}.Decide(c.priority, time.Now())
		if d.Verdict != c.want || (d.Reason == BelowMinPriority) != (c.want == Never) {
			t.Errorf("%q of at least %q: %+v", c.priority, c.least, d)
		}
	}
}

// Ensure quiet hours to the minute, over midnight and within a day, in their own zone, and that urgent passes.
func TestQuietHours(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	night := &QuietHours{Start: 22 * 60, End: 7 * 60, Zone: berlin}
	noon := &QuietHours{Start: 12*60 + 30, End: 13*60 + 15, Zone: time.UTC}
	never := &QuietHours{Start: 8 * 60, End: 8 * 60, Zone: time.UTC}
	for _, c := range []struct {
		quiet     *QuietHours
		now, want string // "" for now
	}{
		{night, "2026-01-10T21:59:59.999+01:00", ""},
		{night, "2026-01-10T22:00:00+01:00", "2026-01-11T07:00:00+01:00"},
		{night, "2026-01-11T06:59:59.5+01:00", "2026-01-11T07:00:00+01:00"},
		{night, "2026-01-11T07:00:00+01:00", ""},
		{night, "2026-01-10T21:30:00Z", "2026-01-11T07:00:00+01:00"}, // 22:30 there
		{night, "2026-07-10T20:30:00Z", "2026-07-11T07:00:00+02:00"}, // in summer too
		{noon, "2026-01-10T12:29:59Z", ""},
		{noon, "2026-01-10T12:30:00Z", "2026-01-10T13:15:00Z"},
		{noon, "2026-01-10T13:15:00Z", ""},
		{never, "2026-01-10T08:00:00Z", ""},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		d := Preferences{MinPriority: "normal", Quiet: c.quiet}.Decide("elevated", now)
		if c.want == "" {
			if d != (Decision{}) {
				t.Errorf("%s: %+v", c.now, d)
			}
			continue
		}
		want, err := time.Parse(time.RFC3339, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict != Later || !d.At.Equal(want) || d.Reason != InQuietHours {
			t.Errorf("%s: %+v, want it at %s", c.now, d, c.want)
		}
		if d := (Preferences{MinPriority: "normal", Quiet: c.quiet}).Decide("urgent", now); d != (Decision{}) {
			t.Errorf("%s, urgent: %+v", c.now, d)
		}
		if d := (Preferences{MinPriority: "elevated", Quiet: c.quiet}).Decide("normal", now); d.Verdict != Never {
			t.Errorf("%s, not important: %+v", c.now, d)
		}
	}
}

// Ensure what happens when the clocks are set: forward at 2 to 3, back at 3 to 2.
func TestClockChanges(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	at := func(start, end int) *QuietHours { return &QuietHours{Start: start, End: end, Zone: berlin} }
	for name, c := range map[string]struct {
		quiet     *QuietHours
		now, want string
	}{
		"a night that is an hour shorter":   {at(22*60, 7*60), "2026-03-28T22:00:00+01:00", "2026-03-29T07:00:00+02:00"},
		"a night that is an hour longer":    {at(22*60, 7*60), "2026-10-24T22:00:00+02:00", "2026-10-25T07:00:00+01:00"},
		"an end that is left out":           {at(22*60, 2*60+30), "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		"a beginning and an end left out":   {at(2*60+10, 2*60+50), "2026-03-29T01:59:59+01:00", ""},
		"a beginning left out":              {at(2*60+10, 3*60+10), "2026-03-29T03:00:00+02:00", "2026-03-29T03:10:00+02:00"},
		"an end that comes twice, first":    {at(22*60, 2*60+30), "2026-10-25T02:10:00+02:00", "2026-10-25T02:30:00+02:00"},
		"an end that comes twice, second":   {at(22*60, 2*60+30), "2026-10-25T02:10:00+01:00", "2026-10-25T02:30:00+01:00"},
		"between the two":                   {at(22*60, 2*60+30), "2026-10-25T02:40:00+02:00", ""},
		"an end at the moment it goes back": {at(22*60, 3*60), "2026-10-25T02:10:00+02:00", "2026-10-25T03:00:00+01:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		d := Preferences{Quiet: c.quiet}.Decide("normal", now)
		if got := d.At.In(berlin).Format(time.RFC3339); d.Verdict == Later && got != c.want || (d.Verdict == Now) != (c.want == "") {
			t.Errorf("%s: %v at %s, want %s", name, d.Verdict, got, c.want)
		}
	}
}

// Ensure, minute by minute around the changes of the clocks of some odd zones, that the end of quiet hours is the
// first minute that is not quiet: Lord Howe moves by half an hour, Samoa left out a whole day, Dublin's winter
// is the one that is set.
func TestUntilIsTheFirstMoment(t *testing.T) {
	for name, day := range map[string]string{
		"Europe/Berlin": "2026-03-29", "America/New_York": "2026-11-01", "Australia/Lord_Howe": "2026-04-05", "Pacific/Apia": "2011-12-30",
		"Europe/Dublin": "2026-10-25", "Asia/Kathmandu": "2026-05-01", "America/Sao_Paulo": "2018-11-04",
	} {
		z := zone(t, name)
		begin, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		begin = begin.Add(-36 * time.Hour)
		for _, q := range []*QuietHours{{22 * 60, 7 * 60, z}, {0, 23*60 + 59, z}, {1*60 + 45, 2*60 + 15, z}, {0, 1 * 60, z}, {23 * 60, 30, z}} {
			first := time.Time{} // the first moment behind the minute looked at that is not quiet
			for i := 3 * 24 * 60; i >= 0; i-- {
				now := begin.Add(time.Duration(i) * time.Minute)
				if !q.at(now) {
					first = now
				} else if got := q.until(now); !first.IsZero() && !got.Equal(first) {
					t.Fatalf("%s %d-%d: at %s until %s, want %s", name, q.Start, q.End, now.In(z), got.In(z), first.In(z))
				}
			}
			if first.IsZero() {
				t.Errorf("%s: never anything but quiet", name)
			}
		}
	}
}
