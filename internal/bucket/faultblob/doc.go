// Package faultblob is a bucket in memory for tests: strict about what may be done to a log, and faulty on
// demand. A Bucket holds the objects, any number of Stores are views of it, as replicas have them. Each
// call of a Store is shown to its Fault function first, which decides what becomes of it.
//
// What a fault does to a write is what real stores and networks do: refused for certain, lost on its way,
// done with the answer lost, done late, or done and then repeated by the SDK, which meets its own object.
package faultblob
