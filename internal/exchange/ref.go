package exchange

import (
	"strings"
	"time"
)

const (
	refDay       = "2006-01-02"
	maxRefLength = 128
)

// NewRef is the ref of a thread created at that time: YYYY-MM-DD-suffix, the day in UTC.
func NewRef(created time.Time, suffix string) string {
	return created.UTC().Format(refDay) + "-" + suffix
}

// ParseRef splits a ref into its day and its suffix. New suffixes are four or more upper-case letters
// and digits; imported ones may be longer and hold lower-case letters, "-", "_" and ".", as in
// 2026-02-01-003-check-fridge. ok is false for what is no ref, such as anything that could leave a
// folder when used as a name in one.
func ParseRef(ref string) (day time.Time, suffix string, ok bool) {
	if len(ref) <= len(refDay)+1 || len(ref) > maxRefLength || ref[len(refDay)] != '-' {
		return time.Time{}, "", false
	}
	day, err := time.Parse(refDay, ref[:len(refDay)])
	suffix = ref[len(refDay)+1:]
	if err != nil || !alphanumeric(rune(suffix[0])) || strings.Contains(suffix, "..") {
		return time.Time{}, "", false
	}
	if strings.ContainsFunc(suffix, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune("-_.", r) }) {
		return time.Time{}, "", false
	}
	return day, suffix, true
}
