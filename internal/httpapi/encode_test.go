package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Ensure that compact removes exactly what the tokenizer's own Compact does.
func TestCompact(t *testing.T) {
	for _, v := range []string{
		`{}`, `[ ]`, ` "a b\t" `, "{\n\t\"a b\" : [ 1 , 2.50, true ,null ] ,\r\n \"c\":\"d  e\"}", `"\\"`, `["\\" , "\""]`, `[ "\\\" ]" , " \\\\" ]`,
		`{"a":{"b" : [ { "c\"" : "\u0020 " } ] } }`, `12345678901234567890 `, "[\"\u2028 <&>\" , \"é\"]", smallBody,
		"[" + strings.Repeat(` " \\ " ,`, 100) + `1]`,
	} {
		want := jsontext.Value(v)
		if err := want.Compact(); err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		if got := compact([]byte(v)); string(got) != string(want) {
			t.Errorf("%s: got %s, want %s", v, got, want)
		}
	}
}

// Ensure that times are written as package time writes them, in every year there is.
func TestAppendTime(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Date(2026, 2, 1, 23, 4, 5, 6_999_999, time.FixedZone("", -3600)), time.Date(2024, 2, 29, 0, 0, 0, 999_000_000, time.UTC),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		want := at.UTC().Format(`x"2006-01-02T15:04:05.000Z"`)
		if got := appendTime([]byte("x"), at); string(got) != want {
			t.Errorf("%v: got %s, want %s", at, got, want)
		}
	}
}

// Ensure that a buffer comes back empty, and that a large one does not come back.
func TestBuffers(t *testing.T) {
	giveBuffer(append(takeBuffer(), "text"...))
	giveBuffer(make([]byte, 0, mostPooled+1))
	for range 10 {
		if b := takeBuffer(); len(b) != 0 || cap(b) > mostPooled {
			t.Errorf("got a buffer with %d bytes in it and room for %d", len(b), cap(b))
		}
	}
}
