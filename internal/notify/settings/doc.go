// Package settings reads what an executor has set in its profile about notifications: the members
// "notifications" (a list of channels), "hooks" (lists of hooks by moment) and "preferences".
//
// There is one reading and two ways to take it. Check is for what is being set: the first thing that could not
// work is an error that names the field, and nothing is stored. Read is for what is stored, which may be the
// original server's or a newer one's: what can't be used is left out and reported, and the rest is used.
//
// It is pure: the same profile reads the same everywhere, which is why the time zones are in the binary. No
// sentence holds a value of a setting, since it may be a secret.
package settings
