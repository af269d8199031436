package engine

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that the candidates for a ref are of the form of new refs, short ones first, and drawn evenly
// enough that many requests of a day don't meet.
func TestSuffixes(t *testing.T) {
	counts, seen := map[rune]int{}, map[string]bool{}
	const rounds = 500
	for range rounds {
		before := 0
		for _, s := range newSuffixes() {
			if len(s) < max(4, before) || len(s) > 6 || strings.ToUpper(s) != s {
				t.Fatal(s)
			}
			before = len(s)
			seen[s] = true
			for _, r := range s {
				counts[r]++
			}
		}
	}
	if len(seen) < rounds*16*99/100 {
		t.Errorf("only %d different ones", len(seen))
	}
	const each = rounds * 76 / 36
	for r, n := range counts {
		if len(counts) != 36 || n < each*7/10 || n > each*13/10 {
			t.Errorf("%c came %d times, about %d is even", r, n, each)
		}
	}
}

// Ensure that a caller reads its own exchange only, also where refs are the same.
func TestExchangesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(false))
		_, home := enroll(t, e, "home", "agent")
		_, office := enroll(t, e, "home.2", "agent")
		ref := post(t, e, home, "of home")
		_, err := e.Thread(t.Context(), office, ref)
		wantCode(t, err, exchange.CodeThreadNotFound)
		wantCode(t, e.Update(t.Context(), office, &exchange.Update{Ref: ref, Status: "claimed"}), exchange.CodeThreadNotFound)
		if list, err := e.Threads(t.Context(), office, exchange.Filter{}); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
		if list, err := e.Threads(t.Context(), home, exchange.Filter{Status: "pending", Limit: 1}); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
	})
}
