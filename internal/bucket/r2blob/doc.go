// Package r2blob is a gocloud driver for an R2 bucket as a Cloudflare Worker has it: as an object with put, get,
// list and delete (a binding), without addresses, keys or signatures. It is built for GOOS=js alone.
//
// # What must stay true
//
//   - A create is one put with the condition that nothing is there, a replace one with the ETag that was read; R2
//     answers null where the condition does not hold, and stores nothing (docs/storage.md, rule 2).
//   - What the binding throws leaves the outcome of a write unknown: behind it is a network, and no list of its
//     errors says which of them were raised before anything was stored. Nothing is called definite but what was
//     never sent.
//   - An object that is written without a condition and is larger than a part is uploaded in parts, of which two
//     are in memory at most. It appears when all are there, or not at all.
//   - A body is given out whole or with an error: it counts by the size that R2 says the object has.
//   - Nothing is done twice by itself. R2 takes one write a second of one key, and answers more with an error: the
//     log never writes a key twice, but when it merges a day.
package r2blob
