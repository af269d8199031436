package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	prefix     = "mess_"
	tokenBytes = 16

	// MaxKeyLength is the length of the longest key that Parse takes, in bytes. New keys have at
	// most 102 (an exchange id of 64).
	MaxKeyLength = 512
	// usualKeyLength is above that of new keys.
	usualKeyLength = 128

	hashLength = (sha256.Size + 2) / 3 * 4 // base64
)

// New makes the API key of an executor of exchange, with 128 bits read from random; nil is
// crypto/rand.Reader. It fails only where random does.
func New(exchange string, random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var token [tokenBytes]byte
	if _, err := io.ReadFull(random, token[:]); err != nil {
		return "", fmt.Errorf("read random bits for an API key: %w", err)
	}
	return prefix + exchange + "_" + hex.EncodeToString(token[:]), nil
}

// Parse splits a key into its exchange and its token. ok is false for what can be no key: another
// form, an empty part, a control character, a space in the token, a "/" in the exchange (which names
// a folder), bytes that are no UTF-8, or more than MaxKeyLength bytes.
func Parse(key string) (exchange, token string, ok bool) {
	if len(key) > MaxKeyLength || !utf8.ValidString(key) {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", "", false
	}
	last := strings.LastIndexByte(rest, '_')
	if last < 1 || last == len(rest)-1 {
		return "", "", false
	}
	exchange, token = rest[:last], rest[last+1:]
	if strings.ContainsFunc(exchange, notInExchange) || strings.ContainsFunc(token, notInToken) {
		return "", "", false
	}
	return exchange, token, true
}

func notInExchange(r rune) bool { return r == '/' || unicode.IsControl(r) }

func notInToken(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// Hash returns what is stored of a key: the standard base64 of the SHA-256 of the whole key.
func Hash(key string) string {
	var text [usualKeyLength]byte // so that the bytes of a usual key are not allocated for each request
	sum := sha256.Sum256(append(text[:0], key...))
	var hash [hashLength]byte
	base64.StdEncoding.Encode(hash[:], sum[:])
	return string(hash[:])
}

// EqualHash reports whether two hashes are the same, in a time that does not depend on where they
// differ. The empty hash, of an executor without a key, equals none.
func EqualHash(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// FromHeader returns the key in an Authorization header: the scheme spelled exactly "Bearer", one
// space, the key. It does not look into the key.
func FromHeader(h string) (key string, ok bool) {
	key, ok = strings.CutPrefix(h, "Bearer ")
	if !ok || key == "" || key[0] == ' ' || key[0] == '\t' {
		return "", false
	}
	return key, true
}
