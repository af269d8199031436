package eventlog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Check finds a snapshot that is sound and not what the events make: one in whose state an event is missing,
// as after a mistake in the code, and one whose place in the log is another.
func TestCheckFindsWrongSnapshots(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *snapshot, image *deskImage)
		want   string
	}{
		{"the same", func(*snapshot, *deskImage) {}, ""},
		{"another state", func(_ *snapshot, image *deskImage) { (*image)[1].Actor = "nobody" }, "is not what the log's events up to seq 3 make: event 1"},
		{"another position", func(_ *snapshot, image *deskImage) { (*image)[2].At[15]++ }, "event 2"},
		{"an event less", func(_ *snapshot, image *deskImage) { *image = (*image)[:2] }, "2 events, not 4"},
		{"the day's size", func(s *snapshot, _ *deskImage) { s.head.size-- }, "the size of its day"},
		{"a later time", func(s *snapshot, _ *deskImage) { s.head.ts = s.head.ts.Add(time.Second) }, "the time of its last event"},
		{"originals", func(s *snapshot, _ *deskImage) { s.originals = []string{"x"} }, "the objects of the original server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := faultblob.New()
			r := start(t, b.Store(false))
			for i := range 4 {
				if i == 3 {
					s, image, _, err := r.freeze(r.desk)
					must(t, err, nil)
					written := image.(deskImage)
					c.change(&s, &written)
					data, err := s.encode(t.Context(), "home", written)
					must(t, err, nil)
					b.Put(snapshotKey("home", 3, "desk 1"), data)
				}
				r.do(t, say(fmt.Sprint(i)))
			}
			report, err := Check(t.Context(), b.Store(false), "home", deskOptions)
			got := strings.Join(report.Findings, "\n")
			if err != nil || len(report.Notes) > 0 || !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("%+v, %v, want %q", report, err, c.want)
			}
			if without, err := Check(t.Context(), b.Store(false), "home", CheckOptions{}); err != nil || len(without.Findings) > 0 {
				t.Errorf("without projections: %+v, %v", without, err)
			}
		})
	}
}
