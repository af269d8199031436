// Package hook turns a moment in the life of a request into the HTTP request that one hook of an executor makes of
// it, and reads what its answer says. The types and their members are the original server's, so hooks that exist
// keep working; testdata has what they make, byte by byte.
//
// An answer may name what it opened: a task, an issue. That external id is a variable of the same executor's later
// hooks on the same request, so that the one that fires on completion can close what the first one opened.
package hook
