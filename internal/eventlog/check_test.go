package eventlog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// dayKey is the key of a position on the day of these tests.
func dayKey(n int64) string { return positionKey("home", "2026/02/01", n) }

// edit replaces a piece of a commit.
func edit(n int64, old, new string) func(b *faultblob.Bucket) {
	return func(b *faultblob.Bucket) {
		data, _ := b.Get(dayKey(n))
		b.Put(dayKey(n), bytes.Replace(data, []byte(old), []byte(new), 1))
	}
}

var damages = []struct {
	name   string
	damage func(b *faultblob.Bucket)
	want   string // part of a finding
	first  string // the object in which the first finding shows
}{
	{"sound", func(*faultblob.Bucket) {}, "", ""},
	{"a hole", func(b *faultblob.Bucket) { b.Remove(dayKey(2)) }, "position 2 is missing", dayKey(3)},
	{"cut", func(b *faultblob.Bucket) {
		data, _ := b.Get(dayKey(2))
		b.Put(dayKey(2), data[:len(data)-9])
	}, "does not end in a line feed", dayKey(2)},
	{"empty", func(b *faultblob.Bucket) { b.Put(dayKey(2), nil) }, "does not end in a line feed", dayKey(2)},
	{"another seq", edit(2, `"seq":2`, `"seq":3`), "begins with seq 3", dayKey(2)},
	{"another exchange", edit(2, `"exchange_id":"home"`, `"exchange_id":"away"`), "belongs to another exchange", dayKey(2)},
	{"time goes back", edit(3, `"ts":"2026`, `"ts":"2025`), "older than the one before", dayKey(3)},
	{"a ninth key", edit(2, `"seq":2`, `"x":1,"seq":2`), "its keys are", dayKey(2)},
	{"a key twice", edit(2, `"seq":2`, `"seq":2,"seq":2`), "its keys are", dayKey(2)},
	{"payload is a string", edit(2, `"payload":{"pad":""}`, `"payload":"{}"`), "payload is no object", dayKey(2)},
	{"an event id twice", func(b *faultblob.Bucket) {
		data, _ := b.Get(dayKey(2))
		b.Put(dayKey(3), bytes.Replace(data, []byte(`"seq":2`), []byte(`"seq":3`), 1))
	}, "is that of seq 2 too", dayKey(3)},
	{"a position under two dates", func(b *faultblob.Bucket) {
		data, _ := b.Get(dayKey(2))
		b.Put(positionKey("home", "2026/02/02", 2), data)
	}, "is not in the chain", positionKey("home", "2026/02/02", 2)},
	{"no genesis", func(b *faultblob.Bucket) { b.Remove(genesisKey("home")) }, "position 0 is missing", genesisKey("home")},
	{"genesis damaged", func(b *faultblob.Bucket) { b.Put(genesisKey("home"), []byte("{}\n")) }, "the log is damaged", genesisKey("home")},
	{"no schema object", func(b *faultblob.Bucket) { b.Remove(SchemaKey) }, "schema object", SchemaKey},
	{"day closed wrongly", edit(3, `"event_type":"said"`, `"event_type":"day_closed"`), "closes its day wrongly", dayKey(3)},
}

// Check finds each way in which a log can be damaged, and nothing in a sound one. A checker that never fails
// proves nothing.
func TestCheckFindsDamage(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			b := faultblob.New()
			s := b.Store(false)
			s.SetClock(at("2026-02-01T12:00:00Z"))
			r := start(t, s)
			for _, who := range []string{"a", "b", "c"} {
				r.do(t, say(who))
			}
			c.damage(b)
			report, err := Check(t.Context(), b.Store(false), "home", CheckOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(report.Findings, "\n")
			if c.want == "" && (got != "" || report.Events != 3 || report.Objects != 3) {
				t.Errorf("a sound log: %+v", report)
			}
			if !strings.Contains(got, c.want) || report.First != c.first {
				t.Errorf("findings %q, want %q; the first in %s, want %s", got, c.want, report.First, c.first)
			}
		})
	}
}

func TestCheckOfNoLog(t *testing.T) {
	b := faultblob.New()
	must(t, WriteSchema(t.Context(), b.Store(false)), nil)
	_, err := Check(t.Context(), b.Store(false), "home", CheckOptions{})
	must(t, err, ErrNotFound)
}
