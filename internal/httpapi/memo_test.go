package httpapi

import (
	"fmt"
	"strings"
	"testing"
)

// Ensure that what passed is remembered, that what did not is not, and that neither the number of texts
// nor their length is the client's to choose.
func TestMemo(t *testing.T) {
	var m memo
	if m.has("a") {
		t.Error("it remembers what it was never told")
	}
	m.add("a")
	if !m.has("a") || m.has("b") {
		t.Error("it does not remember exactly what it was told")
	}
	if long := strings.Repeat("x", longestMemory+1); m.has(long) {
		t.Error("it remembers a long text")
	} else if m.add(long); m.has(long) {
		t.Error("it keeps a long text")
	}
	for i := range 3 * mostMemories {
		m.add(fmt.Sprint(i))
		if len(m.texts) > mostMemories {
			t.Fatalf("it holds %d texts", len(m.texts))
		}
		if !m.has(fmt.Sprint(i)) {
			t.Fatalf("it does not hold text %d, the last", i)
		}
	}
}

// Ensure that a query is answered the same the second time, whether it passes or is refused.
func TestQueryTwice(t *testing.T) {
	s := siteOf(t, willing{})
	for query, status := range map[string]int{
		"limit=7": 200, "limit=7&limit=8": 400, "limit=x": 400, "status=pending&limit=1": 200, "limit=%zz": 400, "other=1": 200,
	} {
		for range 3 {
			s.at("home").as(goodKey).want(status, "GET", "/requests?"+query, "")
		}
	}
}
