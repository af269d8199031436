package exchange

import "strings"

const maxIDLength = 64

// ValidID reports whether a new executor may have that id: letters, digits, "_" and "-", parts of
// them joined by single dots, at most 64 characters, a letter or digit first. Ids name files and
// columns of queries (docs/storage.md), which is why nothing else goes. Existing data may hold others.
func ValidID(id string) bool {
	if len(id) > maxIDLength {
		return false
	}
	for part := range strings.SplitSeq(id, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return !alphanumeric(r) && r != '_' && r != '-' }) {
			return false
		}
	}
	return alphanumeric(rune(id[0]))
}

// ValidExchangeID reports whether a new exchange may have that id. A partition named null, in any
// case, is no string to the tools that query the log.
func ValidExchangeID(id string) bool {
	return ValidID(id) && !strings.EqualFold(id, "null")
}

func alphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}
