package auth

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

func TestNewKeyReadsBack(t *testing.T) {
	for _, exchange := range []string{"home", "my_home", "a", "x_", strings.Repeat("e", 64)} {
		key, err := New(exchange, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^mess_` + exchange + `_[0-9a-f]{32}$`).MatchString(key) {
			t.Errorf("New(%q) = %q", exchange, key)
		}
		gotExchange, token, ok := Parse(key)
		if !ok || gotExchange != exchange || len(token) != 32 {
			t.Errorf("Parse(%q) = %q, %q, %v", key, gotExchange, token, ok)
		}
	}
}

func TestNewUsesAllRandomBits(t *testing.T) {
	key, err := New("home", bytes.NewReader([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff")))
	if err != nil || key != "mess_home_000102030405060708090a0b0c0d0eff" {
		t.Errorf("New = %q, %v", key, err)
	}
}

// A short or broken source of randomness must never give a weaker key.
func TestNewWithoutEnoughRandomness(t *testing.T) {
	broken := errors.New("broken")
	if key, err := New("home", iotest.ErrReader(broken)); !errors.Is(err, broken) || key != "" {
		t.Errorf("New with a broken source = %q, %v", key, err)
	}
	if key, err := New("home", strings.NewReader("only15bytes....")); err == nil {
		t.Errorf("New with 15 bytes = %q", key)
	}
}

func TestParse(t *testing.T) {
	long := "mess_home_" + strings.Repeat("a", MaxKeyLength-len("mess_home_"))
	for _, c := range []struct {
		key, exchange, token string
	}{
		{"mess_home_abc123def456", "home", "abc123def456"},
		{"mess_my_home_0f", "my_home", "0f"},
		{"mess_a__b", "a_", "b"},
		{"mess___b", "_", "b"},
		{"mess_home_A-Z.~", "home", "A-Z.~"},
		{"mess_my home_0f", "my home", "0f"}, // the original took any name
		{"mess_haus-ü_ключ", "haus-ü", "ключ"},
		{long, "home", long[len("mess_home_"):]},
	} {
		exchange, token, ok := Parse(c.key)
		if !ok || exchange != c.exchange || token != c.token {
			t.Errorf("Parse(%q) = %q, %q, %v", c.key, exchange, token, ok)
		}
	}
	for _, key := range []string{
		"", "mess", "mess_", "mess__", "mess___", "mess_home", "mess_home_", "mess__abc", "Mess_home_abc", "mess-home-abc",
		" mess_home_abc", "mess_home_a b", "mess_home_abc ", "mess_home_a\x00b", "mess_home_a\tb", "mess_home_\u00a0", "mess_home_a\x7f",
		"mess_ho\nme_abc", "mess_../../etc_abc", "mess_ho/me_abc", "mess_home_\xff", "mess_\xff_abc",
		long + "a", strings.Repeat("_", 10<<20), "mess_" + strings.Repeat("a_", 5<<20),
	} {
		if exchange, token, ok := Parse(key); ok || exchange != "" || token != "" {
			t.Errorf("Parse(%.40q) = %q, %q, %v; it is no key", key, exchange, token, ok)
		}
	}
}

// The hash must stay what the original server stored, or every key issued by it dies.
// printf %s mess_home_abc123def456 | openssl dgst -sha256 -binary | base64
func TestHashIsTheOriginalServers(t *testing.T) {
	if got := Hash("mess_home_abc123def456"); got != "3aq/GbRV4LjK2GUG0TtBKjv8DUuSYyPPKsLDqNfMafI=" {
		t.Errorf("Hash = %s", got)
	}
}

func TestEqualHash(t *testing.T) {
	a := Hash("mess_home_1")
	if !EqualHash(a, Hash("mess_home_1")) || EqualHash(a, Hash("mess_home_2")) || EqualHash(a, a[:10]) || EqualHash(a, "") {
		t.Error("EqualHash does not tell hashes apart")
	}
	if EqualHash("", "") {
		t.Error("an executor without a key must not be reachable by a missing one")
	}
}

func TestFromHeader(t *testing.T) {
	for h, want := range map[string]string{
		"Bearer mess_home_abc": "mess_home_abc",
		"Bearer x":             "x",
		"Bearer a b":           "a b", // Parse decides
	} {
		if key, ok := FromHeader(h); !ok || key != want {
			t.Errorf("FromHeader(%q) = %q, %v", h, key, ok)
		}
	}
	for _, h := range []string{
		"", "Bearer", "Bearer ", "Bearer  x", "Bearer \tx", "bearer x", "BEARER x", " Bearer x", "Bearer\tx", "Basic eDp5", "mess_home_abc",
	} {
		if key, ok := FromHeader(h); ok || key != "" {
			t.Errorf("FromHeader(%q) = %q, %v; it holds no key", h, key, ok)
		}
	}
}

// Whatever Parse takes is put together again from its parts, and its parts are harmless in a path
// and a log line.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{
		"Bearer mess_home_abc123def456", "Bearer mess_my_home_0f", "Bearer mess___", "Bearer mess_../x_y", "Bearer  mess_home_a", "bearer mess_home_a", "Bearer mess_a\x00_b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, ok := FromHeader(header)
		if !ok {
			return
		}
		if "Bearer "+key != header {
			t.Fatalf("FromHeader(%q) = %q", header, key)
		}
		exchange, token, ok := Parse(key)
		if !ok {
			return
		}
		if "mess_"+exchange+"_"+token != key || exchange == "" || token == "" || strings.Contains(token, "_") {
			t.Fatalf("Parse(%q) = %q, %q", key, exchange, token)
		}
		if len(key) > MaxKeyLength || strings.ContainsFunc(key, unicode.IsControl) || strings.Contains(exchange, "/") || strings.ContainsFunc(token, unicode.IsSpace) {
			t.Fatalf("Parse took %q", key)
		}
		if !EqualHash(Hash(key), Hash("mess_"+exchange+"_"+token)) {
			t.Fatal("the hash changed")
		}
	})
}
