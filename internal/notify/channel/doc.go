// Package channel turns a notification into the HTTP request that brings it to a channel: ntfy, Slack, Google
// Chat, or a webhook of one's own. Each is a pure function, one a file; testdata has what they make, byte by byte.
//
// A notification is made of other people's words, so none of them is trusted: what a receiver would take for a
// command (a mention of everyone, a link, a line of its protocol) arrives as text, and every text is cut to
// what the receiver takes. A request that its receiver would refuse for its size is a notification lost.
package channel
