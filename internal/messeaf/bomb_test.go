package messeaf_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

const envelope = `ref: 2026-02-01-XY1Z
requestor: agent
status: pending
created: 2026-02-01T22:00:00Z
updated: 2026-02-01T22:00:00Z
intent: look
`

const message = "---\nfrom: agent\nreceived: 2026-02-01T22:00:00Z\nMESS: []\n"

func repeat(s string, size int) string { return strings.Repeat(s, size/len(s)) }

// What is large, or would be, costs no more than a few times its size, whatever becomes of it.
//
// Long because it is a table.
func TestBombs(t *testing.T) {
	const mb = 1 << 20
	var keys, mostKeys, staircase strings.Builder
	for i := range 110_000 {
		fmt.Fprintf(&keys, "k%d: x\n", i)
		if i < 99_000 {
			fmt.Fprintf(&mostKeys, "k%d: x\n", i)
		}
	}
	for i := 0; staircase.Len() < 3*mb; i++ {
		staircase.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for _, c := range []struct {
		name, text, refused string
	}{
		{"a flow of scalars", "x: [" + repeat("a,", 3*mb), "commas and brackets"},
		{"a flow of keys", "{" + repeat("a,", 3*mb), "commas and brackets"},
		{"a flow of lists", "x: [" + repeat("[],", 3*mb), "commas and brackets"},
		{"a flow that hides its start", "x: [\"]\"," + repeat("a,", 3*mb), "commas and brackets"},
		{"flows side by side", "x: []" + repeat("[]", 3*mb), "commas and brackets"},
		{"a flow in lines", "x: [\n" + repeat("a,\n", 3*mb), "commas and brackets"},
		{"the largest flow", "x: [" + repeat(`"a":b,`, 32000*6) + "a]", ""},
		{"the largest flow of maps", "x: {" + repeat(`"a":b,`, 32000*6) + "a}", "given twice"},
		{"many lines", "x:\n" + repeat("- a\n", 3*mb), "100000 lines"},
		{"many blanks", "x:\n" + repeat("-\n", 3*mb), "100000 lines"},
		{"the most lines", "x:\n" + strings.Repeat("-\n", 99_000), ""},
		{"many keys", keys.String(), "100000 lines"},
		{"the most keys", mostKeys.String(), ""},
		{"the most objects", "x:\n" + strings.Repeat("- a: b\n", 99_000), ""},
		{"lists in a line", "x:\n" + repeat("- - - - -\n", 3*mb), "100000 lines"},
		{"a comment", "# " + repeat("a", mb), ""},
		{"comments", repeat("#\n", mb), "100000 lines"},
		{"stairs", staircase.String(), "nested too deeply"},
		{"brackets", "x: " + repeat("[", 3*mb), "commas and brackets"},
		{"some brackets", "x: " + strings.Repeat("[", 30000), "nested too deeply"},
		{"dashes", "x: " + repeat("- ", 3*mb), "100000 lines"},
		{"documents", strings.Repeat(message, 10_000), "more than 5000 documents"},
		{"empty documents", strings.Repeat("---\n", 10_000), "more than 5000 documents"},
		{"one document less", strings.Repeat(message, 4_999), ""},
		{"a long text", "x: " + repeat("a", mb), ""},
		{"a long quoted text", `x: "` + repeat(`\n`, mb) + `"`, ""},
		{"a long literal text", "x: |\n" + repeat(" aaa, [b] {c}\n", mb), ""},
		{"a long literal text behind others", "a: b\nc:\n  - 'd'\nx: |\n" + repeat(" aaa, b, c, d\n", mb), ""},
		{"flows that hide in a literal block", "x: |\n    a\n  b\ny: |\n   [" + repeat("a,", 3*mb), "commas and brackets"},
		{"flows that hide behind a longer blank line", "x: |\n    \n  [" + repeat("a,", 3*mb), "commas and brackets"},
		{"flows that hide in a plain text", "x: a\n  - |\n    # b\n    [" + repeat("a,", 3*mb), "commas and brackets"},
		{"flows that hide behind a CR", "x: |\n  a\r[" + repeat("a,", 3*mb), "commas and brackets"},
		{"flows that hide in quotes", "x: \"|\ny: |\n  a\" [" + repeat("a,", 3*mb), "commas and brackets"},
		{"flows that hide in flows", "x: [a,\ny: |\n  " + repeat("a,", 3*mb), "commas and brackets"},
		{"flows that hide behind a key", "- x: |\n  [" + repeat("a,", 3*mb), "commas and brackets"},
		{"prose", "x: " + repeat("one, two, three; four ", mb), ""},
		{"too long a text", "x: " + repeat("a", 11*mb), "larger than 10 MiB"},
		{"a long key", "? " + repeat("a", mb) + "\n: a", ""},
		{"blanks", repeat(" ", mb), ""},
		{"tags", "x:\n" + repeat("- !a a\n", mb/2), "tags (!name)"},
		{"anchors", "x:\n" + repeat("- &a a\n", mb/2), "anchors (&name)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := envelope + c.text
			var err error
			cost, took := measure(func() { _, err = messeaf.ParseV1("", []byte(text)) })
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("got %.300v", err)
			}
			if most := uint64(len(text))*4 + 96*mb; cost > most {
				t.Errorf("%d MB at once, at most %d are fine", cost>>20, most>>20)
			}
			t.Logf("%d MB at once, %v", cost>>20, took.Round(time.Millisecond))
		})
	}
}

// measure returns how much the heap grew at most while f ran.
func measure(f func()) (cost uint64, took time.Duration) {
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			runtime.ReadMemStats(&now)
			if now.HeapAlloc > before.HeapAlloc {
				cost = max(cost, now.HeapAlloc-before.HeapAlloc)
			}
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	start := time.Now()
	f()
	took = time.Since(start)
	close(done)
	<-stopped
	return cost, took
}
