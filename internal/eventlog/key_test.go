package eventlog

import (
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// Rule 1: the key is a function of exchange and seq, a UUID of version 8 whose bits say both, and sorts in
// log order.
func TestRule1PositionKeys(t *testing.T) {
	for _, exchange := range []string{"home", "home-2", "007", "a.b_c"} {
		var names []string
		for _, seq := range []int64{0, 1, 2, 255, 256, 65535, 1 << 32, maxSeq} {
			u := positionID(exchange, seq)
			if u.Version() != 8 || u.Variant() != uuid.RFC4122 {
				t.Errorf("%s: version %d, variant %s", u, u.Version(), u.Variant())
			}
			// Take the two fixed fields out of the 128 bits: what is left is 48 bits of seq and 74 of hash.
			bits := new(big.Int).SetBytes(u[:])
			field := func(from, n uint) *big.Int {
				v := new(big.Int).Rsh(bits, 128-from-n)
				return v.And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), n), big.NewInt(1)))
			}
			if got := field(0, 48).Int64(); got != seq {
				t.Errorf("%s: seq %d, want %d", u, got, seq)
			}
			free := new(big.Int).Lsh(field(52, 12), 62)
			free.Or(free, field(66, 62))
			h := sha256.Sum256([]byte(exchange))
			want := new(big.Int).Rsh(new(big.Int).SetBytes(h[:]), 256-74)
			if free.Cmp(want) != 0 {
				t.Errorf("%s: free bits %x, want %x", u, free, want)
			}
			names = append(names, u.String())
		}
		if !slices.IsSorted(names) {
			t.Errorf("names of %s do not sort in log order: %q", exchange, names)
		}
	}
}

// The layout is frozen with format 1: what a version computed, every later one must find.
func TestPositionKeyIsFrozen(t *testing.T) {
	got := positionKey("home", "2026/02/01", 42)
	const want = "events/exchange=home/2026/02/01/00000000-002a-84ea-8501-620541dcf38e.jsonl"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := namesOf("home").key("2026/02/01", 42); got != want {
		t.Errorf("among many: got %s, want %s", got, want)
	}
	const genesis = "events/exchange=home/1970/01/01/00000000-0000-84ea-8501-620541dcf38e.jsonl"
	if got := genesisKey("home"); got != genesis {
		t.Errorf("got %s, want %s", got, genesis)
	}
}

func TestParseKeyTellsCommitsFromOthers(t *testing.T) {
	p, ok := parseKey("home", positionKey("home", "2026/02/01", 42))
	if !ok || p.seq != 42 || p.day != "2026/02/01" {
		t.Errorf("own key: got %v, %v", p, ok)
	}
	for _, key := range []string{
		positionKey("home-2", "2026/02/01", 42),
		"events/exchange=home/2026/02/01/" + positionID("other", 42).String() + ".jsonl",
		"events/exchange=home/2026/02/01/6b1f0a52-7a55-4c1e-9d6e-3f2f5b8f3c11.jsonl",
		"events/exchange=home/2026/02/01/" + positionID("home", 42).String() + ".json",
		"events/exchange=home/2026/02/01/x" + positionID("home", 42).String() + ".jsonl",
		SchemaKey, "", "events/exchange=home/",
	} {
		if p, ok := parseKey("home", key); ok {
			t.Errorf("%s: taken for %s", key, p)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("home", positionKey("home", "2026/02/01", 42))
	f.Add("a=b", SchemaKey)
	f.Fuzz(func(t *testing.T, exchange, key string) {
		p, ok := parseKey(exchange, key)
		if again := namesOf(exchange).key(p.day, p.seq); ok && again != key {
			t.Errorf("%q was read as %s, whose key is %q among many", key, p, again)
		}
		if ok && positionKey(exchange, p.day, p.seq) != key {
			t.Errorf("%q was read as %s, whose key is %q", key, p, positionKey(exchange, p.day, p.seq))
		}
	})
}
