package auth

import (
	"fmt"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	s := NewSecret("open sesame")
	for text, want := range map[string]bool{
		"open sesame": true, "": false, "open sesam": false, "open sesame ": false, "Open sesame": false, "open sesame\x00": false, strings.Repeat("x", 1<<20): false,
	} {
		if s.Matches(text) != want {
			t.Errorf("%.20q: %v", text, !want)
		}
	}
	var none Secret
	if !s.Given() || none.Given() || NewSecret("").Given() || none.Matches("") || NewSecret("").Matches("") {
		t.Error("no secret lets somebody in")
	}
	if printed := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(printed, "sesame") {
		t.Errorf("printed as %s", printed)
	}
}
