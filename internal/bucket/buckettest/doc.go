// Package buckettest is the suite that every storage type passes: races, paging, conditions, faults of
// the caller. gocloud's own suite for drivers has none of these; it passes on a driver that lets
// several creates of one key win and that loses keys in a paged listing.
//
// What only one storage type can show (crashes, lost answers) is tested beside it.
package buckettest
