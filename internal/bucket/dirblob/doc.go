// Package dirblob is a gocloud bucket driver on a local directory that keeps what the log asks of a
// bucket: a writer that closed without error is on the disk, a create either makes the object or finds
// it there, and every listing is complete and in key order. docs/storage.md, "Directory backend", is
// the specification; its rules are named here where they are enforced.
//
// # Layout
//
// The object with key "a/b/c" is the file a/b/c, its content and nothing else, so that other programs
// can read the data where it lies. name.go says how the few keys that are no file names are spelled.
// Three names at the top are the driver's own and never objects: .tmp (files being written), .lock (the
// lock) and .probe (there for a moment at start).
//
// # Invariants
//
//  1. An object appears complete or not at all: it is written to .tmp, synced, and only then linked
//     (create) or renamed (overwrite) to its name. Readers hold the file they opened.
//  2. One winner: a create ends in link(2), which the kernel refuses with EEXIST for all but one,
//     even if a second process should get past the lock.
//  3. Durable: the data is synced before the name exists, and after it the directory and every folder
//     above whose own entry this process has not yet seen synced. "It existed before" would not do:
//     another writer may have made the folder a moment ago and not have synced it yet.
//  4. Before the link or rename every failure is definite: the temporary file goes, the object is as it
//     was. After it nothing is retried or read back: a sync that fails then is fatal, and so is every
//     call from then on, because the page cache shows what the disk may not hold.
//  5. One process: flock(2) on the open .lock, never its existence or a process id. The lock's path is
//     looked at again before each commit and each "not found", so a directory that was removed,
//     replaced or moved away is fatal, never an empty bucket.
//  6. Changes of one key exclude each other. So a replace compares and renames without anyone between,
//     and whoever is told that an object exists is told of a durable one.
//
// Content types and metadata are not kept. Symbolic links to regular files inside the directory are
// read and listed; links to folders are not entered, and nothing outside is ever touched (os.Root).
package dirblob
