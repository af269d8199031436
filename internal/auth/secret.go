package auth

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Secret is a text that lets one in who knows it, such as a registration token. It can't be printed: it
// keeps only a hash. The zero Secret lets nobody in.
type Secret struct {
	sum   [sha256.Size]byte
	given bool
}

// NewSecret returns the secret that is that text; the zero Secret for an empty one.
func NewSecret(text string) Secret {
	return Secret{sha256.Sum256([]byte(text)), text != ""}
}

// Given reports that there is one.
func (s Secret) Given() bool { return s.given }

// Matches reports whether text is the secret, in a time that depends on neither of their contents.
func (s Secret) Matches(text string) bool {
	sum := sha256.Sum256([]byte(text))
	return s.given && subtle.ConstantTimeCompare(sum[:], s.sum[:]) == 1
}
