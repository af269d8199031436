//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// trap is a way to break a reader that guesses types from the first files: many requests that carry
// one value, then one that carries another. Both are members of a request, in JSON.
type trap struct{ name, usual, odd string }

// traps are the guesses that broke the query on a log without the schema object; each is made good by
// giving the payload the type JSON before anything is guessed.
var traps = []trap{
	{"a number, then a text", `"x": 1`, `"x": "str"`},
	{"an object, then a text", `"x": {"y": 1}`, `"x": "s"`},
	{"a date, then words", `"note": "2026-01-05"`, `"note": "hello"`},
	{"a time stamp, then words", `"at": "2026-01-05T10:00:00Z"`, `"at": "soon"`},
	{"a time, then words", `"clock": "10:00:00"`, `"clock": "noon"`},
	{"a UUID, then words", `"id2": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"`, `"id2": "mine"`},
	{"a name that comes late", `"a": 1`, `"a": 1, "late": "claim"`},
	{"names that differ in case", `"Foo": 1`, `"foo": "x", "FOO": true`},
	{"an integer, then a fraction", `"c": 1`, `"c": 1.75`},
	{"a boolean, then a number", `"b": true`, `"b": 17`},
	{"a small integer, then a huge one", `"n": 1`, `"n": 123456789012345678901234567890`},
	{"numbers in a list, then objects", `"l": [1]`, `"l": [{"a": 1}]`},
	{"texts in a list, then an object", `"m": ["x"]`, `"m": {"a": 1}`},
	{"an empty object, then a full one", `"e": {}`, `"e": {"k": [1, "2", null]}`},
	{"null, then a list", `"z": null`, `"z": [[]]`},
	{"two hundred names for integers, then a text", manyNames(`1`), manyNames(`"text"`)},
}

func manyNames(value string) string {
	var names []string
	for i := range 220 {
		names = append(names, fmt.Sprintf("%q: %s", fmt.Sprintf("k%d", i), value))
	}
	return strings.Join(names, ", ")
}

// Values of which each is known to upset some reader of JSON. All of them are allowed by the contract.
var (
	oddNumbers = []string{"0", "-0", "1", "2.50", "1E+2", "-1e-7", "1e308", "-1e-400", "18446744073709551616", "12345678901234567890123", "0.1", "9007199254740993", "-9223372036854775809"}
	oddTexts   = []string{
		`""`, `" "`, `"2026-01-05"`, `"2026-01-05T10:00:00Z"`, `"10:00:00"`, `"6ba7b810-9dad-11d1-80b4-00c04fd430c8"`, `"NaN"`, `"null"`, `"true"`, `"123"`, `"1e400"`,
		`"it's"`, `"\"quoted\""`, `"back\\slash"`, `"\\ud800"`, `"$.x"`, `"%s%n"`, `"{\"a\":1}"`, `"[1]"`, `"{"`, `"😀"`, `"\ud83d\ude00"`, `"\u00e9\/"`, `"שלום العالم"`, "\"\u2028\u2029\"",
		"\"\ufeffBOM\"", "\"\uffff\U0010ffff\"", `"tab\tline\r\nfeed"`, `"<script>&amp;</script>"`, `"x'); DROP TABLE events; --"`, `"data:image/png;base64,iVBORw0KGgo="`,
	}
	oddNames = []string{
		`""`, `" "`, `"x"`, `"X"`, `"x.y"`, `"$"`, `"\"q\""`, `"line\nfeed"`, `"naïve"`, `"😀"`, `"event_id"`, `"exchange_id"`, `"thread_ref"`, `"seq"`, `"ts"`, `"payload"`, `"exchange"`,
		`"filename"`, `"2026-01-01"`, `"null"`, `"__proto__"`, `"mess"`,
	}
)

// oddValue makes a JSON value at most depth levels deep.
func oddValue(r *rand.Rand, depth int) string {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	kind := r.IntN(10)
	if depth == 0 {
		kind = r.IntN(7)
	}
	switch kind {
	case 0, 1, 2:
		return pick(oddNumbers)
	case 3, 4, 5:
		return pick(oddTexts)
	case 6:
		return pick([]string{"null", "true", "false", "[]", "{}"})
	case 7:
		return strings.Repeat("[", depth) + pick(oddTexts) + strings.Repeat("]", depth)
	case 8:
		var items []string
		for range r.IntN(5) {
			items = append(items, oddValue(r, depth-1))
		}
		return "[" + strings.Join(items, ",") + "]"
	default:
		return "{" + strings.Join(oddMembers(r, r.IntN(6), depth-1), ",") + "}"
	}
}

// oddMembers makes members of an object, with no name twice.
func oddMembers(r *rand.Rand, n, depth int) []string {
	var members []string
	for _, i := range r.Perm(len(oddNames))[:n] {
		members = append(members, oddNames[i]+": "+oddValue(r, depth))
	}
	return members
}

// oddRequest makes the body of a request. Its members are all the client's own.
func oddRequest(r *rand.Rand) string {
	words := oddTexts[r.IntN(len(oddTexts))]
	if text := ""; json.Unmarshal([]byte(words), &text) != nil || strings.TrimSpace(text) == "" {
		words = `"an intent has to say something"`
	}
	members := append([]string{`"intent": ` + words}, oddMembers(r, r.IntN(8), r.IntN(8))...)
	if r.IntN(2) == 0 {
		members = append(members, `"priority": "elevated"`)
	}
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ", ") + "}"
}

// oddMess makes the blocks of a message: unknown types, which are kept, and responses.
func oddMess(r *rand.Rand) string {
	blocks := []string{`{"response": {"content": [` + oddValue(r, 5) + `, ` + oddTexts[r.IntN(len(oddTexts))] + `]}}`}
	for range r.IntN(3) {
		blocks = append(blocks, `{"x-unknown": `+oddValue(r, 6)+`}`)
	}
	slices.Reverse(blocks)
	return "[" + strings.Join(blocks, ", ") + "]"
}
