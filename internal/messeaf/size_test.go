package messeaf

import (
	"bytes"
	"math/rand"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// No document has more values than were counted before it was parsed.
func FuzzSize(f *testing.F) {
	for _, text := range []string{
		"a: [b, c]", "{a, b: {c}}", "a: |\n  [b, c]\nd: e", "- - - a\n- b", "? a\n: b", "a: b\n  - |\n   # c\n   [d, e]", "a: |\n    b\n  [c, d]", "a: |\n    \n  [b, c]: d",
		"a: \"|\nb: |\n  c\" ", "a: 'b: |\n  c'\nd: [e, f]", "a: []\nb: {}\n", "[[], [], {}]", "a:\n- |\n [b]\n- c", "\"a\": |\n  b\n\tc", "a: |\n  b\r[c, d]", "- a: |\n  [b, c]: d", "---\na: b", "a: >-\n  b\n\n  c\nd: {e: f}",
		"- - - - - - []\n- - - - - - {}\n", "a: # b\n  c\nd: e # f\n", "a: |\n# b\n  c", "- |\n a\n - b", "a:\n  - b\n  -\n    - c\n",
	} {
		f.Add(text)
	}
	f.Fuzz(checkCount)
}

func checkCount(t *testing.T, text string) {
	chunks, err := documents("", []byte(text))
	if checkText("", []byte(text)) != nil || err != nil {
		return
	}
	for _, c := range chunks {
		node, err := compose("", c)
		if err != nil {
			continue
		}
		s := &sizer{simple: !loneCR(c.text)}
		for l := range bytes.Lines(c.text) {
			s.add(bytes.TrimRight(l, "\r\n"))
		}
		var all, inFlow int
		count(node, false, &all, &inFlow)
		// A line may begin an object with a key and a value; a comma likewise, in {a, b} or [a: b, c: d].
		if all > 3*(s.lines+s.flow)+3 || inFlow > 3*s.flow+3 {
			t.Fatalf("%d values, %d of them in flow collections, but %d lines and %d commas were counted in %q", all, inFlow, s.lines, s.flow, c.text)
		}
	}
}

// count counts nodes. An empty flow collection is not one that holds many.
func count(n *yaml.Node, within bool, all, inFlow *int) {
	within = within || n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0
	*all++
	if within {
		*inFlow++
	}
	for _, c := range n.Content {
		count(c, within, all, inFlow)
	}
}

// Lines thrown together in any order: what is counted is never too little.
func TestSizeOfAnything(t *testing.T) {
	parts := []string{
		"a: |", "b: >-", "- |", "- c: |", "  ", "    ", "   # d", "e: f", "- g", "  h", "[i, j, k]", "{l: m, n}", "- [o, p]", "q: [r,", "s]", "\"t\": \"u", "v\"", "'w", "x'", "? y", ": z", "a: []", "- {}", "- - - b", "c:", "-", "d: e # f", "g#h", "\ti", "---", "j: 'k'", "l: \"m\"",
	}
	r := rand.New(rand.NewSource(1))
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.Intn(7) {
			b.WriteString(strings.Repeat(" ", r.Intn(5)) + parts[r.Intn(len(parts))] + "\n")
		}
		checkCount(t, b.String())
	}
}
