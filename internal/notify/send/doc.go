// Package send carries requests to receivers on the internet and says what came of each: delivered, to be tried
// again, failed for good, or that the receiver wants no more.
//
// Receivers are other people's and do what they like, so everything about them is bounded: the time of an attempt,
// what is read of an answer, how many attempts run at once, how many of them at one host. A host that hangs has a
// few of the places at most, and hosts that are known to answer always find one (sender.go).
//
// Where requests lead is for executors to say, and a server stands in networks that executors do not. So
// connections are checked when they are made, after a name was resolved, and lead to public addresses on ports 80 and
// 443 and to what the operator allows (guard.go). Redirects are not followed.
//
// No text from here holds a URL, a header or what a receiver answered.
package send
