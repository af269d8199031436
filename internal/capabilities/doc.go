// Package capabilities reads the catalogue of capabilities: YAML files in one folder, in which an operator
// describes the words that requestors and executors are to use for what executors can do. It is
// informational. Nothing is decided by it, and requests may name others.
//
//	id: photo:capture
//	description: Take a photo and send it
//	tags: [media]
//	---
//	id: location:indoor
//
// What must stay true:
//
//   - What is listed depends on the files alone, never on what they were before: a restart changes nothing.
//     (A folder that is there and can't be read is the exception: what was read of it before still counts.)
//   - A file that is broken is one line in the log, and all others count. It counts as a whole or not
//     at all, so that half a file never passes for the catalogue.
//   - Of two capabilities with one id the first counts, in the order of file names and then of documents.
//   - Files are read when they are asked for and have changed; they are looked at once a second at most. That
//     needs no watcher, works on every file system (those of containers included, where a change is a
//     symbolic link to another folder), and costs nothing while nobody asks.
//   - What an operator puts there by mistake costs a bounded amount of memory and time (limits below).
package capabilities
