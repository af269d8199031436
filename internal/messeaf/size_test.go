package messeaf

import (
	"bytes"
	"encoding/json"
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

// What Render writes is of simple lines alone, so no text that it holds is taken for structure.
func TestRenderedLinesAreSimple(t *testing.T) {
	for _, text := range []string{"one, [two], {three}", "one,\n[two],\n\n  {three: [\n", "- [a", "a: [b", "a #[b", " [a", "yes", "[a]:", "'a", "https://example.org/?a[]=b,c#d", "é [a]", "-1", "a:\t[", "a\n[ \n"} {
		mess := list([]json.RawMessage{object([]member{{"response", object([]member{
			{"content", list([]json.RawMessage{quote(text), list([]json.RawMessage{quote(text), json.RawMessage("-2.50")}), json.RawMessage("[]")})}, {text, quote(text)}, {"last", json.RawMessage("{}")},
		})}})})
		thread, err := New(View{Envelope: Envelope{Ref: "2026-02-01-XY1Z", Intent: text}, Messages: []Message{{From: text, Mess: mess}}})
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := thread.RenderV1()
		if err != nil {
			t.Fatal(err)
		}
		chunks, refused := documents("", rendered)
		if refused != nil || len(chunks) != 2 {
			t.Fatal(refused)
		}
		for _, c := range chunks {
			s := &sizer{simple: !loneCR(c.text)}
			for l := range bytes.Lines(c.text) {
				if s.add(bytes.TrimRight(l, "\r\n")); !s.simple {
					t.Fatalf("the line %q is not simple in\n%s", l, c.text)
				}
			}
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
