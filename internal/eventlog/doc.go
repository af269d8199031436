// Package eventlog keeps one append-only log per exchange in a bucket. The bucket is the only database:
// whatever a server holds in memory is a projection of its logs and can be rebuilt from them. The format
// and its rules are in docs/storage.md; the numbers below and in the comments are the rules' numbers there.
//
// A commit is one object with one or more events, one JSON object per line. Its key is computed from the
// exchange and the commit's first seq (key.go, rule 1) and it is created with if-not-exists, so exactly one
// writer wins a position, without a leader, a lock or a clock (rule 2). What must stay true:
//
//   - A command is decided on the state at the position its commit is written to, and never while another
//     attempt of it may still land (commit.go, rules 3 and 4).
//   - An answer leaves after the commit that carries it is durable and applied. An answer without a commit
//     leaves only from a state proved to be the head after the request came (submit.go, rules 10 and 11).
//   - Only the store's own "no such key" means that a position is free, and only an object read whole counts
//     (read.go, rule 5).
//   - A position has one key: genesis fixes the first day, and day_closed the next (genesis.go, day.go, rules
//     6 to 8).
//   - An answer of the store counts only if the day it is about had not been merged when it was given
//     (fence.go, rule 17). A day is merged as a whole or not at all, and its first object stays (compact.go,
//     rules 16 and 18).
//   - A snapshot is used only after the log was found to hold its last event, is no proof of anything else, and
//     can always be done without (snapshot.go, snapshotfile.go, restore.go, rule 19).
//   - What others wrote is found by asking for the one key that comes next. A listing is never evidence
//     (replay.go, follow.go, rule 9).
//
// The package knows positions, lines and days. What events mean is the Machine's business, which the log
// feeds with every commit in order, and which it asks for decisions.
//
// Cost: a command costs its share of one create, whatever the size of the log; a read costs its share of
// one request for an absent key where others can write, and nothing elsewhere; a start reads the newest
// snapshot and every object behind it once, or every object of the log. Reading a single event again costs one
// ranged read (fetch.go), by the position that came with it (position.go); reading on from any seq costs what is
// read and what lies between two marks (events.go, marks.go).
package eventlog
