// Package auth makes, reads and hashes API keys. Nothing else in the program reads a credential.
//
// A key is mess_{exchange}_{token}. The exchange may contain "_", the token may not, so a key
// splits at its first and its last "_". New tokens are 128 random bits as 32 lower-case hex digits;
// data of the original server may hold others, so Parse takes any token of printable characters.
//
// What is stored of a key is its hash, the base64 SHA-256 of the whole key. It may stand in the
// event log (docs/storage.md): nothing can be learnt from the hash of 128 random bits. For the same
// reason a hash may be looked up in a map; where two hashes are compared, it takes constant time.
//
// Whose key it is, and whether it still is, are questions to the exchange's state. This package
// knows the form of a key only, and everything it takes may come from an attacker: any length, any
// bytes.
package auth
